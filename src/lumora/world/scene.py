"""A scene: plain data in SI units. Physics, renderer, captioner and facts all interpret this one description.

World axes: x points right, y points away from the default camera, z points up; the ground is the plane z = 0. Lengths
are metres, angles radians, times seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

Kind: TypeAlias = Literal[
    "ball", "cube", "cylinder", "cone", "capsule", "ring", "cookie", "crate", "robot", "snowman", "duck", "cat"
]
Color: TypeAlias = Literal["red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white"]
Material: TypeAlias = Literal["matte", "shiny", "metal"]
Size: TypeAlias = Literal["small", "large"]
Emotion: TypeAlias = Literal["happy", "sad", "angry", "surprised"]
Place: TypeAlias = Literal["meadow", "desert", "snow", "beach", "street", "room"]
Light: TypeAlias = Literal["noon", "sunset", "night", "overcast"]
Verb: TypeAlias = Literal["still", "roll", "slide", "bounce", "fall", "jump", "spin", "walk", "orbit"]
Direction: TypeAlias = Literal["right", "left", "toward", "away"]
CameraMove: TypeAlias = Literal[
    "static", "pan left", "pan right", "tilt up", "tilt down", "move in", "move out", "orbit", "follow"
]
EventKind: TypeAlias = Literal["hit", "push", "topple", "bite", "hide"]

KINDS: tuple[Kind, ...] = get_args(Kind)
CHARACTERS: tuple[Kind, ...] = ("robot", "snowman", "duck", "cat")
COLORS: tuple[Color, ...] = get_args(Color)
MATERIALS: tuple[Material, ...] = get_args(Material)
SIZES: tuple[Size, ...] = get_args(Size)
EMOTIONS: tuple[Emotion, ...] = get_args(Emotion)
PLACES: tuple[Place, ...] = get_args(Place)
LIGHTS: tuple[Light, ...] = get_args(Light)
VERBS: tuple[Verb, ...] = get_args(Verb)
DIRECTIONS: tuple[Direction, ...] = get_args(Direction)
CAMERA_MOVES: tuple[CameraMove, ...] = get_args(CameraMove)
EVENTS: tuple[EventKind, ...] = get_args(EventKind)

Vector: TypeAlias = tuple[float, float, float]

HALF_EXTENT: dict[Size, float] = {"small": 0.3, "large": 0.5}
"""Half the height (and roughly half the width) of a subject in metres; its centre rests at this height."""


@dataclass(frozen=True)
class Motion:
    """What a subject sets out to do; contacts may change what becomes of it."""

    verb: Verb = "still"
    direction: Direction | None = None
    speed: float = 0.0
    """Metres a second; radians a second for spin and orbit."""
    start: float = 0.0
    """Seconds from the start of the clip until the motion begins."""
    around: int | None = None
    """Index of the subject that an orbit goes around."""


@dataclass(frozen=True)
class Subject:
    kind: Kind
    color: Color
    material: Material
    size: Size
    position: Vector
    """Centre of the body at time 0; at rest on the ground z is HALF_EXTENT[size]."""
    heading: float = 0.0
    """Turn about z; 0 faces the default camera (the −y direction), positive turns counter-clockwise seen from above."""
    motion: Motion = Motion()
    emotion: Emotion | None = None
    """Set for characters only."""

    @property
    def half_extent(self) -> float:
        return HALF_EXTENT[self.size]


@dataclass(frozen=True)
class Camera:
    position: Vector
    target: Vector
    move: CameraMove = "static"
    speed: float = 0.0
    """Radians a second for pans, tilts and orbits; metres a second for moves in and out."""
    follows: int | None = None
    """Index of the subject that a following camera keeps in view."""
    field_of_view: float = 0.8
    """Full angle across the shorter side of the picture."""


@dataclass(frozen=True)
class Event:
    """A cause with an effect that lasts: subject `actor` does `kind` to subject `target` at about `time`.

    A `bite` has no actor (the bite simply appears, as in an animated film); in `hide`, `actor` passes behind `target`.
    """

    kind: EventKind
    target: int
    actor: int | None = None
    time: float = 1.0


@dataclass(frozen=True)
class Scene:
    subjects: tuple[Subject, ...]
    place: Place
    light: Light
    camera: Camera
    seconds: float
    event: Event | None = None
    texture_seed: int = 0
    """Chooses clouds, stars, ground texture and other decoration, never anything that a caption states."""
    plain: bool = False
    """Whether bodies have one tone instead of painted patterns."""
