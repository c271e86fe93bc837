"""The primitives of every kind of subject, in the axes of the scene and in half extents."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial

from lumora.world.render import paint
from lumora.world.render.primitives import BOX, CAPSULE, CONE, COOKIE, CYLINDER, ELLIPSOID, TORUS
from lumora.world.scene import Color, Emotion, Kind, Subject, Vector


@dataclass(frozen=True)
class BodyPart:
    """One primitive of a body: `sizes` scales the unit shape, `turn` rotates it about x, y, then z, `centre` moves
    it."""

    shape: int
    centre: Vector
    sizes: Vector
    color: Vector
    second: Vector = (0.0, 0.0, 0.0)
    paint: int = paint.PLAIN
    turn: Vector = (0.0, 0.0, 0.0)
    k: float = 0.5
    swing: float = 0.0
    """Amplitude in radians of the swing about the upper end when a character walks; opposite legs have opposite
    signs."""
    neck: float | None = None
    """For parts of a head: y of the vertical axis about which the head turns towards the camera."""
    own_material: bool = True
    """Whether the part has the subject's material; others, such as scarves and eyes, are matte."""


def rgb(red: float, green: float, blue: float) -> Vector:
    """Linear light (gamma 2) of a color in display values."""
    return red * red, green * green, blue * blue


PALETTE: dict[Color, Vector] = {
    "red": rgb(0.86, 0.09, 0.09),
    "orange": rgb(1.0, 0.52, 0.04),
    "yellow": rgb(1.0, 0.88, 0.10),
    "green": rgb(0.06, 0.66, 0.24),
    "blue": rgb(0.10, 0.30, 0.92),
    "purple": rgb(0.50, 0.12, 0.74),
    "pink": rgb(1.0, 0.52, 0.74),
    "brown": rgb(0.44, 0.25, 0.12),
    "black": rgb(0.09, 0.09, 0.10),
    "white": rgb(0.95, 0.95, 0.95),
}
CREAM, INK, WOOD = rgb(0.97, 0.92, 0.82), rgb(0.10, 0.09, 0.10), rgb(0.36, 0.24, 0.15)
BEAK, CARROT, STEEL = rgb(1.0, 0.62, 0.10), rgb(1.0, 0.50, 0.10), rgb(0.62, 0.64, 0.68)
MAW = rgb(0.62, 0.10, 0.12)
SNOW, ROSE, SCREEN = rgb(0.95, 0.96, 0.98), rgb(0.95, 0.55, 0.60), rgb(0.84, 0.90, 0.93)


def mix(a: Vector, b: Vector, share: float) -> Vector:
    return tuple(x + share * (y - x) for x, y in zip(a, b, strict=True))  # type: ignore[return-value]


def accent(color: Color) -> Vector:
    """The second color of a pattern: lighter, or darker for white, and not another of the ten colors."""
    if color == "white":
        return rgb(0.66, 0.70, 0.76)
    if color == "black":
        return rgb(0.34, 0.34, 0.37)
    return mix(PALETTE[color], CREAM, 0.85)


def parts_of(subject: Subject) -> tuple[BodyPart, ...]:
    """The primitives of a subject at rest, in body coordinates."""
    color = PALETTE[subject.color]
    tones = (color, accent(subject.color))
    if subject.kind in _SOLIDS:
        return (replace(_SOLIDS[subject.kind], color=tones[0], second=tones[1]),)
    return _CHARACTERS[subject.kind](*tones, subject)


_WHITE = (1.0, 1.0, 1.0)
_HERE = (0.0, 0.0, 0.0)
_UPRIGHT_RING = (math.pi / 2, 0.0, 0.0)

_SOLIDS: dict[Kind, BodyPart] = {
    "ball": BodyPart(ELLIPSOID, _HERE, (1.0, 1.0, 1.0), _WHITE, paint=paint.BALL),
    "cube": BodyPart(BOX, _HERE, (0.95, 0.95, 1.0), _WHITE, paint=paint.INSET),
    "crate": BodyPart(BOX, _HERE, (0.95, 0.95, 1.0), _WHITE, paint=paint.PLANKS),
    "cylinder": BodyPart(CYLINDER, _HERE, (0.75, 0.75, 1.0), _WHITE, paint=paint.BAND),
    "cone": BodyPart(CONE, _HERE, (0.85, 0.85, 1.0), _WHITE, paint=paint.HOOPS),
    "capsule": BodyPart(CAPSULE, _HERE, (0.55, 0.55, 1.0), _WHITE, paint=paint.BELT, k=0.55),
    "ring": BodyPart(TORUS, _HERE, (1.0, 1.0, 1.0), _WHITE, paint=paint.SEGMENTS, turn=_UPRIGHT_RING, k=0.28),
    "cookie": BodyPart(COOKIE, _HERE, (1.0, 1.0, 0.22), _WHITE, paint=paint.CHIPS, turn=_UPRIGHT_RING, k=0.0),
}


def _limb(
    x: float, y: float, top: float, bottom: float, radius: float, color: Vector, swing: float, own: bool
) -> BodyPart:
    half = 0.5 * (top - bottom)
    sizes = (radius, radius, half)
    return BodyPart(
        CAPSULE, (x, y, bottom + half), sizes, color, k=min(radius / half, 1.0), swing=swing, own_material=own
    )


def _robot(color: Vector, second: Vector, subject: Subject) -> tuple[BodyPart, ...]:
    metal = rgb(0.40, 0.42, 0.46) if subject.color == "black" else STEEL
    head = partial(BodyPart, neck=0.0)
    return (
        head(BOX, (0.0, 0.0, 0.36), (0.66, 0.50, 0.46), color, SCREEN, paint.FACE_SCREEN),
        BodyPart(BOX, (0.0, 0.0, -0.40), (0.44, 0.34, 0.32), color, second, paint.CHEST),
        head(CYLINDER, (0.0, 0.0, 0.85), (0.05, 0.05, 0.06), metal, own_material=False),
        head(ELLIPSOID, (0.0, 0.0, 0.92), (0.10, 0.10, 0.08), second, own_material=False),
        head(CYLINDER, (-0.70, 0.0, 0.36), (0.16, 0.16, 0.06), metal, turn=(0.0, math.pi / 2, 0.0), own_material=False),
        head(CYLINDER, (0.70, 0.0, 0.36), (0.16, 0.16, 0.06), metal, turn=(0.0, math.pi / 2, 0.0), own_material=False),
        _limb(-0.58, 0.0, -0.10, -0.66, 0.13, metal, 0.7, False),
        _limb(0.58, 0.0, -0.10, -0.66, 0.13, metal, -0.7, False),
        _limb(-0.23, 0.0, -0.55, -1.0, 0.18, color, -0.6, True),
        _limb(0.23, 0.0, -0.55, -1.0, 0.18, color, 0.6, True),
    )


def _snowman(color: Vector, second: Vector, subject: Subject) -> tuple[BodyPart, ...]:
    head = partial(BodyPart, neck=0.0, own_material=False)
    return (
        BodyPart(ELLIPSOID, (0.0, 0.0, -0.54), (0.62, 0.60, 0.46), color, SNOW, paint.SWEATER),
        head(ELLIPSOID, (0.0, 0.0, 0.19), (0.58, 0.54, 0.54), SNOW, INK, paint.FACE_HIGH),
        BodyPart(TORUS, (0.0, 0.0, -0.24), (0.48, 0.48, 0.48), mix(color, INK, 0.3), k=0.24, own_material=False),
        head(CYLINDER, (0.0, 0.0, 0.65), (0.54, 0.54, 0.04), color),
        head(CYLINDER, (0.0, 0.0, 0.83), (0.37, 0.37, 0.17), color, second, paint.HATBAND),
        head(CONE, (0.0, -0.62, 0.22), (0.09, 0.09, 0.18), CARROT, turn=(math.pi / 2, 0.0, 0.0)),
        BodyPart(
            CAPSULE, (-0.68, 0.0, -0.36), (0.06, 0.06, 0.30), WOOD, turn=(0.0, -0.9, 0.0), k=0.2, own_material=False
        ),
        BodyPart(
            CAPSULE, (0.68, 0.0, -0.36), (0.06, 0.06, 0.30), WOOD, turn=(0.0, 0.9, 0.0), k=0.2, own_material=False
        ),
    )


def _duck(color: Vector, second: Vector, subject: Subject) -> tuple[BodyPart, ...]:
    """The bill shows the emotion: wide open if surprised, slightly open if happy, drooping if sad, closed if angry."""
    gape, droop, width = _BILLS[subject.emotion or "happy"]
    head = partial(BodyPart, neck=-0.14)
    wing = mix(color, second, 0.3)
    return (
        BodyPart(ELLIPSOID, (0.0, 0.12, -0.44), (0.56, 0.70, 0.42), color),
        head(ELLIPSOID, (0.0, -0.14, 0.34), (0.60, 0.54, 0.56), color, second, paint.FACE_BILL),
        head(
            ELLIPSOID, (0.0, -0.70, 0.16 + gape), (width, 0.24, 0.08), BEAK, turn=(droop, 0.0, 0.0), own_material=False
        ),
        head(
            ELLIPSOID,
            (0.0, -0.62, 0.10 - gape),
            (0.8 * width, 0.20, 0.06),
            MAW,
            turn=(droop, 0.0, 0.0),
            own_material=False,
        ),
        head(CONE, (0.0, -0.10, 0.92), (0.12, 0.12, 0.08), color),
        BodyPart(ELLIPSOID, (-0.54, 0.16, -0.40), (0.10, 0.40, 0.26), wing, turn=(0.3, 0.0, 0.0)),
        BodyPart(ELLIPSOID, (0.54, 0.16, -0.40), (0.10, 0.40, 0.26), wing, turn=(0.3, 0.0, 0.0)),
        BodyPart(ELLIPSOID, (0.0, 0.80, -0.20), (0.20, 0.26, 0.10), color, turn=(0.7, 0.0, 0.0)),
        _limb(-0.22, 0.02, -0.66, -1.0, 0.12, BEAK, 0.7, False),
        _limb(0.22, 0.02, -0.66, -1.0, 0.12, BEAK, -0.7, False),
    )


_BILLS: dict[Emotion, tuple[float, float, float]] = {
    "happy": (0.05, -0.25, 0.30),
    "sad": (0.00, 0.35, 0.22),
    "angry": (0.00, 0.0, 0.34),
    "surprised": (0.10, 0.0, 0.22),
}
"""Half the opening, the rotation in radians and the half width of a duck's bill."""


def _cat(color: Vector, second: Vector, subject: Subject) -> tuple[BodyPart, ...]:
    head = partial(BodyPart, neck=-0.12)
    return (
        BodyPart(ELLIPSOID, (0.0, 0.18, -0.45), (0.42, 0.58, 0.36), color),
        head(ELLIPSOID, (0.0, -0.12, 0.20), (0.68, 0.52, 0.54), color, second, paint.FACE_CAT),
        head(CONE, (-0.40, -0.05, 0.76), (0.24, 0.14, 0.24), color, ROSE, paint.EAR, turn=(0.0, -0.25, 0.0)),
        head(CONE, (0.40, -0.05, 0.76), (0.24, 0.14, 0.24), color, ROSE, paint.EAR, turn=(0.0, 0.25, 0.0)),
        BodyPart(ELLIPSOID, (0.0, -0.24, -0.52), (0.26, 0.20, 0.26), second, own_material=False),
        BodyPart(CAPSULE, (0.18, 0.80, -0.10), (0.10, 0.10, 0.42), color, turn=(-0.35, 0.25, 0.0), k=0.24),
        _limb(-0.24, -0.16, -0.50, -1.0, 0.15, color, 0.6, True),
        _limb(0.24, -0.16, -0.50, -1.0, 0.15, color, -0.6, True),
        _limb(-0.26, 0.50, -0.50, -1.0, 0.15, color, -0.6, True),
        _limb(0.26, 0.50, -0.50, -1.0, 0.15, color, 0.6, True),
    )


_CHARACTERS = {"robot": _robot, "snowman": _snowman, "duck": _duck, "cat": _cat}
