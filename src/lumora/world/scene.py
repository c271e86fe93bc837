"""Scenes as plain data in SI units, which physics, renderer, captions and facts interpret.

World axes: x points right, y points away from the default camera, z points up; the ground is the plane z = 0. Lengths
are in meters, angles in radians, times in seconds.
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
    "static", "pan left", "pan right", "tilt up", "tilt down", "move in", "move out", "orbit", "follow",
    "glance left", "glance right",
]  # fmt: skip
EventKind: TypeAlias = Literal["hit", "push", "topple", "bite", "hide", "leave"]
Style: TypeAlias = Literal["plain", "toon", "black and white", "pixel art"]

KINDS: tuple[Kind, ...] = get_args(Kind)
SOLIDS: tuple[Kind, ...] = ("ball", "cube", "cylinder", "cone", "capsule", "ring")
CHARACTERS: tuple[Kind, ...] = ("robot", "snowman", "duck", "cat")
COLORS: tuple[Color, ...] = get_args(Color)
MATERIALS: tuple[Material, ...] = get_args(Material)
SIZES: tuple[Size, ...] = get_args(Size)
EMOTIONS: tuple[Emotion, ...] = get_args(Emotion)
PLACES: tuple[Place, ...] = get_args(Place)
LIGHTS: tuple[Light, ...] = get_args(Light)
VERBS: tuple[Verb, ...] = get_args(Verb)
DIRECTIONS: tuple[Direction, ...] = get_args(Direction)
GLANCES: tuple[CameraMove, ...] = ("glance left", "glance right")
"""The camera turns to that side until no subject is in the picture, then back."""
CAMERA_MOVES: tuple[CameraMove, ...] = tuple(move for move in get_args(CameraMove) if move not in GLANCES)
"""Moves that keep all subjects in the picture."""
EVENTS: tuple[EventKind, ...] = get_args(EventKind)
STYLES: tuple[Style, ...] = get_args(Style)

Vector: TypeAlias = tuple[float, float, float]

HALF_EXTENT: dict[Size, float] = {"small": 0.3, "large": 0.5}
"""Half the height (and about half the width) of a subject in meters; at rest its center is at this height."""


@dataclass(frozen=True)
class Motion:
    """The initial motion of a subject; contacts may change it."""

    verb: Verb = "still"
    direction: Direction | None = None
    speed: float = 0.0
    """Meters per second; radians per second for spin and orbit."""
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
    """Center of the body at time 0; z is HALF_EXTENT[size] at rest on the ground."""
    heading: float = 0.0
    """Rotation about z in radians: 0 faces −y, the default camera; positive is counterclockwise seen from above."""
    motion: Motion = Motion()
    emotion: Emotion | None = None
    """None except for characters."""

    @property
    def half_extent(self) -> float:
        return HALF_EXTENT[self.size]


@dataclass(frozen=True)
class Camera:
    position: Vector
    target: Vector
    move: CameraMove = "static"
    speed: float = 0.0
    """Radians per second for pans, tilts, orbits and glances; meters per second for moves in and out."""
    reach: float = 0.0
    """Largest angle of a glance in radians."""
    follows: int | None = None
    """Index of the subject that a following camera moves with."""
    field_of_view: float = 0.8
    """Full angle across the shorter side of the picture in radians."""


@dataclass(frozen=True)
class Event:
    """A planned event: subject `actor` does `kind` to subject `target` at about `time` seconds.

    A `bite` has no actor: it appears at once. In `hide`, `actor` passes behind `target`. A `leave` is never planned: it
    is the fact that a subject leaves the picture and comes back.
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
    """Seed of clouds, stars, ground texture and other decoration, which captions never state."""
    style: Style = "plain"
    """Visual style; `plain` is the unmodified output of the renderer."""
    begins: float = 0.0
    """Simulated seconds before the first frame; `seconds` count from there."""
    unpainted: bool = False
    """Whether solids have a single color instead of patterns."""


@dataclass(frozen=True)
class Film:
    """Shots of the same subjects in the same style, in one place or several, with hard cuts between them.

    Within a place the motion continues across a cut with another camera: the later shot is the same scene with a larger
    `begins`.
    """

    shots: tuple[Scene, ...]

    @property
    def seconds(self) -> float:
        return sum(shot.seconds for shot in self.shots)
