"""Who is in a scene and what each sets out to do; where they stand is decided by `staging`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np

from lumora.world.scene import (
    CAMERA_MOVES,
    CHARACTERS,
    COLORS,
    EMOTIONS,
    GLANCES,
    KINDS,
    SIZES,
    VERBS,
    CameraMove,
    Color,
    Direction,
    Kind,
    Material,
    Motion,
    Size,
    Style,
    Subject,
    Verb,
)

T = TypeVar("T")

SOLIDS: tuple[Kind, ...] = ("ball", "cube", "cylinder", "cone", "capsule", "ring")

KINDS_FOR: dict[Verb, tuple[Kind, ...]] = {
    "still": (*SOLIDS, "cookie", "crate", *CHARACTERS),
    "roll": ("ball", "cylinder", "capsule", "ring"),
    "slide": ("cube", "cylinder", "cone", "capsule", "crate"),
    "bounce": SOLIDS,
    "fall": (*SOLIDS, "cookie", "crate"),
    "jump": (*SOLIDS, *CHARACTERS),
    # Only what does not look the same from all sides.
    "spin": ("cube", "ring", "cookie", "crate", *CHARACTERS),
    "walk": CHARACTERS,
    "orbit": ("ball", "cube", *CHARACTERS),
}
"""Whose motion can be told apart in a picture: a ball that slid would look like one that rolls."""

WAYS_FOR: dict[Verb, tuple[tuple[Direction | None, ...], tuple[float, ...]]] = {
    "roll": (("right", "left", "toward", "away"), (0.33, 0.33, 0.17, 0.17)),
    "slide": (("right", "left", "toward", "away"), (0.33, 0.33, 0.17, 0.17)),
    "walk": (("right", "left", "toward", "away"), (0.33, 0.33, 0.17, 0.17)),
    "bounce": ((None, "right", "left"), (0.4, 0.3, 0.3)),
    "jump": ((None, "right", "left", "toward", "away"), (0.4, 0.22, 0.22, 0.08, 0.08)),
}

HEADINGS: dict[Direction, float] = {"right": math.pi / 2, "left": -math.pi / 2, "toward": 0.0, "away": math.pi}


def held_out(subject: Subject) -> bool:
    """Whether no training sees its kind, colour and motion together: of the pairs of kind and colour every twentieth is
    held out, and of the others, of the triples, every twentieth too."""
    pair = KINDS.index(subject.kind) * len(COLORS) + COLORS.index(subject.color)
    return pair % 20 == 7 or (pair + 3 * VERBS.index(subject.motion.verb)) % 20 == 3


@dataclass(frozen=True)
class Preset:
    """One step of the curriculum: what may appear, and how often."""

    counts: tuple[float, ...]
    """Shares of scenes with one, two … subjects."""
    kinds: tuple[Kind, ...]
    verbs: tuple[Verb, ...]
    materials: dict[Material, float]
    moves: tuple[CameraMove, ...]
    situations: dict[str, float]
    """Shares of the ways to arrange a scene, by their names in `situations`."""
    styles: tuple[Style, ...] = ("plain",)
    shots: tuple[float, ...] = (1.0,)
    """Shares of films with one, two … shots."""
    unpainted: bool = False
    """Whether bodies have no patterns, and each place by each light always the same decoration."""
    decorations: int = 0
    """How many decorations each place has by each light; 0: any number. `unpainted` has one."""
    kind_weights: dict[Kind, float] = field(default_factory=dict)
    """How often a kind is chosen among those that suit a verb; 1 for kinds not listed. Empty: all alike."""
    large: float = 0.5
    """Share of large subjects, where a situation leaves the size open."""
    static: float = 0.5
    """Share of scenes with a static camera."""
    gentle: float = 1.0
    """Speed of the camera relative to the usual one."""
    stage_size: float = 1.0
    """Size of the stage, places and ways, relative to the usual one."""
    close: bool = False
    """Whether the camera is as near as the action allows: up to where a large subject is half as high as the picture,
    and a small one 0.3 of it."""


_SIMPLE = Preset(
    counts=(0.55, 0.45),
    kinds=SOLIDS,
    verbs=("roll", "slide", "bounce", "fall", "jump", "spin"),
    materials={"matte": 0.7, "shiny": 0.3},
    moves=("pan left", "pan right", "tilt up", "tilt down", "move in", "move out", "orbit"),
    situations={"at large": 1.0},
)

PRESETS: dict[str, Preset] = {
    "simple": _SIMPLE,
    "medium": Preset(
        counts=(0.45, 0.55),
        kinds=KINDS,
        verbs=("roll", "slide", "bounce", "fall", "jump", "spin", "walk", "walk"),
        materials={"matte": 0.5, "shiny": 0.3, "metal": 0.2},
        moves=CAMERA_MOVES[1:],
        situations={"at large": 0.74, "in front": 0.09, "on top": 0.07, "orbit": 0.1},
    ),
    "full": Preset(
        counts=(0.3, 0.4, 0.3),
        kinds=KINDS,
        verbs=("roll", "slide", "bounce", "fall", "jump", "spin", "walk", "walk"),
        materials={"matte": 0.5, "shiny": 0.3, "metal": 0.2},
        moves=CAMERA_MOVES[1:],
        situations={
            "at large": 0.44,
            "in front": 0.06,
            "on top": 0.05,
            "orbit": 0.07,
            "hit": 0.08,
            "push": 0.07,
            "topple": 0.07,
            "bite": 0.08,
            "hide": 0.08,
        },
    ),
    "plain": replace(_SIMPLE, unpainted=True),
    "film": Preset(
        counts=(0.4, 0.6),
        kinds=KINDS,
        verbs=("roll", "slide", "bounce", "fall", "jump", "spin", "walk", "walk"),
        materials={"matte": 0.5, "shiny": 0.3, "metal": 0.2},
        moves=("pan left", "pan right", "tilt up", "tilt down", "move in", "move out", "orbit", *GLANCES, *GLANCES),
        situations={"at large": 0.8, "hide": 0.2},
        styles=("plain", "plain", "toon", "black and white", "pixel art"),
        shots=(0.15, 0.4, 0.3, 0.15),
    ),
}
PRESETS["plain-film"] = replace(
    PRESETS["film"],
    counts=_SIMPLE.counts,
    kinds=_SIMPLE.kinds,
    verbs=_SIMPLE.verbs,
    materials=_SIMPLE.materials,
    shots=(0.15, 0.6, 0.25),
    unpainted=True,
)
PRESETS["stage"] = Preset(
    counts=(0.25, 0.75),
    kinds=KINDS,
    verbs=("roll", "slide", "bounce", "fall", "jump", "jump", "spin", "walk", "walk"),
    materials={"matte": 0.6, "shiny": 0.4},
    moves=("pan left", "pan right", "move in", "move out", "orbit"),
    situations={"at large": 0.66, "hit": 0.12, "push": 0.06, "bite": 0.12, "on top": 0.04},
    decorations=4,
    kind_weights={"cone": 1.3, "ring": 1.5, "cookie": 1.4, **dict.fromkeys(CHARACTERS, 1.6)},
    large=0.65,
    static=0.7,
    gentle=0.7,
    stage_size=0.7,
    close=True,
)
PRESETS["stage-film"] = replace(
    PRESETS["stage"],
    moves=(*PRESETS["stage"].moves, *GLANCES),
    situations={"at large": 1.0},
    styles=("plain", "plain", "plain", "toon", "black and white", "pixel art"),
    shots=(0.1, 0.6, 0.3),
)


def choice(rng: np.random.Generator, options: Sequence[T], weights: Sequence[float] | None = None) -> T:
    """One of the options, which may be anything (numpy's own would turn them into an array)."""
    if weights is None:
        return options[int(rng.integers(len(options)))]
    share = np.cumsum(weights) / np.sum(weights)
    return options[int(np.searchsorted(share, rng.random(), side="right"))]


def draw_verb(rng: np.random.Generator, preset: Preset, stillness: float) -> Verb:
    return "still" if rng.random() < stillness else choice(rng, preset.verbs)


def draw_subject(
    rng: np.random.Generator,
    preset: Preset,
    verb: Verb,
    color: Color,
    kinds: tuple[Kind, ...] = KINDS,
    size: Size | None = None,
    ways: tuple[Direction, ...] | None = None,
) -> Subject:
    """A subject at the origin, with its verb, direction and heading but no speed yet; one of `kinds` that suits."""
    allowed: list[Kind] = [kind for kind in kinds if kind in preset.kinds and kind in KINDS_FOR[verb]]
    weights = [preset.kind_weights.get(kind, 1.0) for kind in allowed] if preset.kind_weights else None
    kind = choice(rng, allowed, weights)
    way = choice(rng, ways) if ways else draw_way(rng, verb)
    return _dressed(rng, preset, kind, color, size or draw_size(rng, preset), Motion(verb, way))


def draw_size(rng: np.random.Generator, preset: Preset) -> Size:
    return choice(rng, SIZES, None if preset.large == 0.5 else (1 - preset.large, preset.large))


def _dressed(rng: np.random.Generator, preset: Preset, kind: Kind, color: Color, size: Size, motion: Motion) -> Subject:
    """A subject of this kind with a material and, if it has a face, an emotion; turned the way that it goes."""
    material = choice(rng, tuple(preset.materials), tuple(preset.materials.values()))
    emotion = choice(rng, EMOTIONS) if kind in CHARACTERS else None
    heading = _draw_heading(rng, kind, motion)
    return Subject(kind, color, material, size, (0.0, 0.0, 0.0), heading, motion, emotion)


def draw_way(rng: np.random.Generator, verb: Verb) -> Direction | None:
    return choice(rng, *WAYS_FOR[verb]) if verb in WAYS_FOR else None


def _draw_heading(rng: np.random.Generator, kind: Kind, motion: Motion) -> float:
    """Walkers look where they go, wheels stand along their way, the rest turns a little from the camera."""
    verb, way = motion.verb, motion.direction
    if way is not None and (verb == "walk" or (verb == "jump" and kind in CHARACTERS)):
        return HEADINGS[way]
    if way is not None and verb == "roll":
        return 0.0 if way in ("right", "left") else math.pi / 2
    return rng.uniform(-0.5, 0.5)


def with_deed(rng: np.random.Generator, preset: Preset, subject: Subject, stillness: float) -> Subject:
    """The same subject, at the origin, with something else to do that suits its kind."""
    suiting: list[Verb] = [verb for verb in preset.verbs if subject.kind in KINDS_FOR[verb]]
    verb: Verb = "still" if rng.random() < stillness or not suiting else choice(rng, suiting)
    motion = Motion(verb, draw_way(rng, verb))
    return replace(subject, position=(0.0, 0.0, 0.0), motion=motion, heading=_draw_heading(rng, subject.kind, motion))


def draw_colors(rng: np.random.Generator, count: int) -> list[Color]:
    """All different."""
    return [COLORS[i] for i in rng.permutation(len(COLORS))[:count]]
