"""Presets, and random subjects with their initial motions; `placement` draws positions and speeds."""

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
    SOLIDS,
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

KINDS_FOR: dict[Verb, tuple[Kind, ...]] = {
    "still": (*SOLIDS, "cookie", "crate", *CHARACTERS),
    "roll": ("ball", "cylinder", "capsule", "ring"),
    "slide": ("cube", "cylinder", "cone", "capsule", "crate"),
    "bounce": SOLIDS,
    "fall": (*SOLIDS, "cookie", "crate"),
    "jump": (*SOLIDS, *CHARACTERS),
    # Only kinds that do not look the same from all sides.
    "spin": ("cube", "ring", "cookie", "crate", *CHARACTERS),
    "walk": CHARACTERS,
    "orbit": ("ball", "cube", *CHARACTERS),
}
"""Kinds for each verb whose motion is recognizable: a ball that slides would look like one that rolls."""

DIRECTIONS_FOR: dict[Verb, tuple[tuple[Direction | None, ...], tuple[float, ...]]] = {
    "roll": (("right", "left", "toward", "away"), (0.33, 0.33, 0.17, 0.17)),
    "slide": (("right", "left", "toward", "away"), (0.33, 0.33, 0.17, 0.17)),
    "walk": (("right", "left", "toward", "away"), (0.33, 0.33, 0.17, 0.17)),
    "bounce": ((None, "right", "left"), (0.4, 0.3, 0.3)),
    "jump": ((None, "right", "left", "toward", "away"), (0.4, 0.22, 0.22, 0.08, 0.08)),
}

HEADINGS: dict[Direction, float] = {"right": math.pi / 2, "left": -math.pi / 2, "toward": 0.0, "away": math.pi}


def held_out(subject: Subject) -> bool:
    """Whether this combination of kind, color and motion never occurs in training.

    Every 20th pair of kind and color is held out, and of the others every 20th triple.
    """
    pair = KINDS.index(subject.kind) * len(COLORS) + COLORS.index(subject.color)
    return pair % 20 == 7 or (pair + 3 * VERBS.index(subject.motion.verb)) % 20 == 3


@dataclass(frozen=True)
class ScenePreset:
    """Distribution of scenes: what may occur and with what probability."""

    counts: tuple[float, ...]
    """Probabilities of one, two … subjects."""
    kinds: tuple[Kind, ...]
    verbs: tuple[Verb, ...]
    materials: dict[Material, float]
    moves: tuple[CameraMove, ...]
    situations: dict[str, float]
    """Probabilities of situations, by their names in `situations`."""
    styles: tuple[Style, ...] = ("plain",)
    shots: tuple[float, ...] = (1.0,)
    """Probabilities of one, two … shots in a film."""
    unpainted: bool = False
    """Whether solids have a single color instead of patterns."""
    decorations: int = 0
    """Number of decorations for each combination of place and light; 0: unlimited."""
    kind_weights: dict[Kind, float] = field(default_factory=dict)
    """Relative probabilities of kinds; 1 for kinds that are not listed."""
    large_share: float = 0.5
    """Probability of large subjects, where the situation does not determine the size."""
    static_share: float = 0.5
    """Probability of a static camera."""
    camera_speed: float = 1.0
    """Factor of the speed of the camera."""
    stage_size: float = 1.0
    """Factor of the distances between subjects and along their paths."""
    close_up: bool = False
    """Whether the camera is as close as the motion allows, at most so that a large subject has half the height of the
    picture and a small one 0.3 of it."""


_SIMPLE = ScenePreset(
    counts=(0.55, 0.45),
    kinds=SOLIDS,
    verbs=("roll", "slide", "bounce", "fall", "jump", "spin"),
    materials={"matte": 0.7, "shiny": 0.3},
    moves=("pan left", "pan right", "tilt up", "tilt down", "move in", "move out", "orbit"),
    situations={"at large": 1.0},
)

PRESETS: dict[str, ScenePreset] = {
    "simple": _SIMPLE,
    "medium": ScenePreset(
        counts=(0.45, 0.55),
        kinds=KINDS,
        verbs=("roll", "slide", "bounce", "fall", "jump", "spin", "walk", "walk"),
        materials={"matte": 0.5, "shiny": 0.3, "metal": 0.2},
        moves=CAMERA_MOVES[1:],
        situations={"at large": 0.74, "in front": 0.09, "on top": 0.07, "orbit": 0.1},
    ),
    "full": ScenePreset(
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
    "plain": replace(_SIMPLE, unpainted=True, decorations=1),
    "film": ScenePreset(
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
    decorations=1,
)
PRESETS["stage"] = ScenePreset(
    counts=(0.5, 0.5),
    kinds=KINDS,
    verbs=("roll", "slide", "bounce", "fall", "jump", "jump", "spin", "walk", "walk"),
    materials={"matte": 0.6, "shiny": 0.4},
    moves=("pan left", "pan right", "move in", "move out", "orbit"),
    situations={"at large": 0.66, "hit": 0.12, "push": 0.06, "bite": 0.12, "on top": 0.04},
    unpainted=True,
    decorations=4,
    kind_weights={"cone": 1.3, "ring": 1.5, "cookie": 1.4, **dict.fromkeys(CHARACTERS, 1.6)},
    large_share=0.65,
    static_share=0.7,
    camera_speed=0.7,
    stage_size=0.7,
    close_up=True,
)
PRESETS["stage-film"] = replace(
    PRESETS["stage"],
    moves=(*PRESETS["stage"].moves, *GLANCES),
    situations={"at large": 1.0},
    styles=("plain", "plain", "plain", "toon", "black and white", "pixel art"),
    shots=(0.1, 0.6, 0.3),
)


def choice(rng: np.random.Generator, options: Sequence[T], weights: Sequence[float] | None = None) -> T:
    """A random option of any type; `Generator.choice` of NumPy would convert options to an array."""
    if weights is None:
        return options[int(rng.integers(len(options)))]
    share = np.cumsum(weights) / np.sum(weights)
    return options[int(np.searchsorted(share, rng.random(), side="right"))]


def draw_verb(rng: np.random.Generator, preset: ScenePreset, stillness: float) -> Verb:
    return "still" if rng.random() < stillness else choice(rng, preset.verbs)


def draw_subject(
    rng: np.random.Generator,
    preset: ScenePreset,
    verb: Verb,
    color: Color,
    kinds: tuple[Kind, ...] = KINDS,
    size: Size | None = None,
    directions: tuple[Direction, ...] | None = None,
) -> Subject:
    """A subject at the origin with verb, direction and heading, without speed, of one of `kinds` that suits the
    verb."""
    allowed: list[Kind] = [kind for kind in kinds if kind in preset.kinds and kind in KINDS_FOR[verb]]
    weights = [preset.kind_weights.get(kind, 1.0) for kind in allowed] if preset.kind_weights else None
    kind = choice(rng, allowed, weights)
    direction = choice(rng, directions) if directions else draw_direction(rng, verb)
    return _make_subject(rng, preset, kind, color, size or draw_size(rng, preset), Motion(verb, direction))


def draw_size(rng: np.random.Generator, preset: ScenePreset) -> Size:
    return choice(rng, SIZES, None if preset.large_share == 0.5 else (1 - preset.large_share, preset.large_share))


def _make_subject(
    rng: np.random.Generator, preset: ScenePreset, kind: Kind, color: Color, size: Size, motion: Motion
) -> Subject:
    """A subject of this kind with a random material, an emotion if it is a character, and a heading."""
    material = choice(rng, tuple(preset.materials), tuple(preset.materials.values()))
    emotion = choice(rng, EMOTIONS) if kind in CHARACTERS else None
    heading = _draw_heading(rng, kind, motion)
    return Subject(kind, color, material, size, (0.0, 0.0, 0.0), heading, motion, emotion)


def draw_direction(rng: np.random.Generator, verb: Verb) -> Direction | None:
    return choice(rng, *DIRECTIONS_FOR[verb]) if verb in DIRECTIONS_FOR else None


def _draw_heading(rng: np.random.Generator, kind: Kind, motion: Motion) -> float:
    """Characters face their direction of motion, rolling kinds are aligned with it, others face the camera roughly."""
    verb, direction = motion.verb, motion.direction
    if direction is not None and (verb == "walk" or (verb == "jump" and kind in CHARACTERS)):
        return HEADINGS[direction]
    if direction is not None and verb == "roll":
        return 0.0 if direction in ("right", "left") else math.pi / 2
    return rng.uniform(-0.5, 0.5)


def with_new_motion(rng: np.random.Generator, preset: ScenePreset, subject: Subject, stillness: float) -> Subject:
    """The same subject at the origin with another random motion that suits its kind."""
    suitable: list[Verb] = [verb for verb in preset.verbs if subject.kind in KINDS_FOR[verb]]
    verb: Verb = "still" if rng.random() < stillness or not suitable else choice(rng, suitable)
    motion = Motion(verb, draw_direction(rng, verb))
    return replace(subject, position=(0.0, 0.0, 0.0), motion=motion, heading=_draw_heading(rng, subject.kind, motion))


def draw_colors(rng: np.random.Generator, count: int) -> list[Color]:
    """`count` different colors."""
    return [COLORS[i] for i in rng.permutation(len(COLORS))[:count]]
