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
    "static", "pan left", "pan right", "tilt up", "tilt down", "move in", "move out", "orbit", "follow",
    "glance left", "glance right",
]  # fmt: skip
EventKind: TypeAlias = Literal["hit", "push", "topple", "bite", "hide", "leave"]
Style: TypeAlias = Literal["plain", "toon", "black and white", "pixel art"]

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
GLANCES: tuple[CameraMove, ...] = ("glance left", "glance right")
"""The camera turns away to that side, so that all leave the picture, and back again."""
CAMERA_MOVES: tuple[CameraMove, ...] = tuple(move for move in get_args(CameraMove) if move not in GLANCES)
"""Those that keep everybody in the picture."""
EVENTS: tuple[EventKind, ...] = get_args(EventKind)
STYLES: tuple[Style, ...] = get_args(Style)

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
    """Radians a second for pans, tilts, orbits and glances; metres a second for moves in and out."""
    reach: float = 0.0
    """Radians by which a glance turns away."""
    follows: int | None = None
    """Index of the subject that a following camera keeps in view."""
    field_of_view: float = 0.8
    """Full angle across the shorter side of the picture."""


@dataclass(frozen=True)
class Event:
    """A cause with an effect that lasts: subject `actor` does `kind` to subject `target` at about `time`.

    A `bite` has no actor (the bite simply appears, as in an animated film); in `hide`, `actor` passes behind `target`.
    Nobody plans a `leave`: it is what happens to those whom the camera loses from sight and finds again.
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
    style: Style = "plain"
    """How it is drawn; `plain` is the ray tracer's own picture."""
    begins: float = 0.0
    """Seconds for which the subjects have been at it when the camera begins to run; `seconds` count from there."""
    unpainted: bool = False
    """Whether bodies have one tone instead of painted patterns."""


@dataclass(frozen=True)
class Film:
    """Shots with hard cuts between them, of one cast and in one style, in one place or several.

    A shot of n frames lasts n frames, until the first one of the next. In the same place the action goes on across a
    cut, seen from elsewhere: the later shot is the same scene, which `begins` later.
    """

    shots: tuple[Scene, ...]

    @property
    def seconds(self) -> float:
        return sum(shot.seconds for shot in self.shots)
