"""Ways to arrange a scene: at large, one thing before or upon another, or a cause and its effect.

A situation casts its subjects once and returns a function that stages them; `sample_scene` calls that until all that
happens is seen.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from lumora.world.physics.subject_motion import WAYS
from lumora.world.sample.camera_setup import USUAL_SECONDS
from lumora.world.sample.cast import Preset, choice, draw_colors, draw_subject, draw_verb
from lumora.world.sample.placement import placed
from lumora.world.scene import CHARACTERS, Direction, Event, EventKind, Kind, Motion, Subject, Verb

FOLLOWED: tuple[Verb, ...] = ("roll", "slide", "walk")
SIDEWAYS: tuple[Direction, ...] = ("right", "left")
SPREAD = (0.4, 1.3, 1.5)
"""Metres to each side of the middle on which one, two or three subjects find their places, on a stage of usual size."""
STAGE = (0.55, 0.65, 1.0)
"""Sizes of the stage for so many: fewer can be filmed from nearer, and a thing that fills more of a picture is easier
to see and to learn."""


@dataclass(frozen=True)
class Play:
    """Subjects in their places, with what they may do to each other."""

    subjects: tuple[Subject, ...]
    event: Event | None = None
    overlap: float = 0.2
    """Share of its width that one subject may hide of another."""
    touching: bool = False
    """Whether contacts are meant."""
    width: float = 1.0
    """How much more of the ground than usual it needs."""


@dataclass(frozen=True)
class Hall:
    """The clip that a play has to fit: `seconds` long; `room` ≥ 1 says how much wider the picture is than usual."""

    seconds: float
    room: float


Stage: TypeAlias = Callable[[np.random.Generator, Hall], Play]
Situation: TypeAlias = Callable[[np.random.Generator, Preset, bool], Stage]
"""The flag asks for somebody whom a camera can follow, first in the cast."""


def at_large(rng: np.random.Generator, preset: Preset, followed: bool) -> Stage:
    """One or more subjects that each do something of their own."""
    count = choice(rng, range(1, len(preset.counts) + 1), preset.counts)
    colors = draw_colors(rng, count)
    verbs: list[Verb] = [draw_verb(rng, preset, 0.12 if i == 0 else 0.5) for i in range(count)]
    if followed:
        verbs[0] = choice(rng, FOLLOWED)
    cast = [draw_subject(rng, preset, verb, color) for verb, color in zip(verbs, colors, strict=True)]
    if not followed:
        cast = [cast[i] for i in rng.permutation(count)]
    return spread_out(cast, preset.stage_size)


def spread_out(cast: Sequence[Subject], scale: float = 1.0) -> Stage:
    """Each goes its own way somewhere on a stage that is as large as so many need."""
    count = len(cast)
    spread, size = SPREAD[count - 1] / scale, scale * STAGE[count - 1]

    def stage(rng: np.random.Generator, hall: Hall) -> Play:
        subjects = tuple(placed(rng, subject, hall.seconds, spread, size, hall.room) for subject in cast)
        return Play(subjects, overlap=0.35 if count > 2 else 0.2, width=size)

    return stage


def in_front(rng: np.random.Generator, preset: Preset, followed: bool) -> Stage:
    """Two that stand one behind the other."""
    colors = draw_colors(rng, 2)
    far = draw_subject(rng, preset, "still", colors[0])
    near = draw_subject(rng, preset, choice(rng, ("still", "spin")), colors[1], size="small")

    def stage(rng: np.random.Generator, hall: Hall) -> Play:
        side = 1 if rng.random() < 0.5 else -1
        aside = rng.uniform(0.15, 0.3) * side
        depth = rng.uniform(1.25, 1.6) * (near.half_extent + far.half_extent)
        middle = rng.uniform(-0.4, 0.4), rng.uniform(-0.2, 0.3)
        subjects = (
            _standing(rng, far, middle[0] + aside, middle[1] + depth / 2),
            _standing(rng, near, middle[0] - aside, middle[1] - depth / 2),
        )
        return Play(subjects, overlap=0.7)

    return stage


def on_top(rng: np.random.Generator, preset: Preset, followed: bool) -> Stage:
    """A small one on a large one."""
    colors = draw_colors(rng, 2)
    base = draw_subject(rng, preset, "still", colors[0], ("cube", "crate", "cylinder"), "large")
    kinds: tuple[Kind, ...] = ("ball", "cube", "cone", "capsule", "cylinder", "crate", *CHARACTERS)
    top = draw_subject(rng, preset, "still", colors[1], kinds, "small")

    def stage(rng: np.random.Generator, hall: Hall) -> Play:
        x, y = rng.uniform(-0.7, 0.7), rng.uniform(-0.4, 0.6)
        below = _standing(rng, base, x, y)
        return Play((_upon(top, below), below), overlap=0.4, touching=True)

    return stage


def orbit(rng: np.random.Generator, preset: Preset, followed: bool) -> Stage:
    """One that goes around another, at a speed that shows at least half a turn of it."""
    colors = draw_colors(rng, 2)
    centre = draw_subject(rng, preset, "still", colors[0])
    kinds: tuple[Kind, ...] = ("ball", "cube", *CHARACTERS)
    orbiter = draw_subject(rng, preset, "orbit", colors[1], kinds, "small")

    def stage(rng: np.random.Generator, hall: Hall) -> Play:
        middle = _standing(rng, centre, rng.uniform(-0.3, 0.3), rng.uniform(0.0, 0.4))
        radius = rng.uniform(1.05, 1.25) + (centre.half_extent - 0.3) / 2
        sense = 1 if rng.random() < 0.5 else -1
        speed = sense * rng.uniform(1.7, 2.6)
        angle = rng.uniform(-math.pi, 0) + 0.3 * sense  # it starts on the near side
        x = middle.position[0] + radius * math.cos(angle)
        y = middle.position[1] + radius * math.sin(angle)
        heading = angle + (math.pi if sense > 0 else 0.0)
        going = replace(
            orbiter,
            position=(x, y, orbiter.half_extent),
            heading=math.remainder(heading, 2 * math.pi),
            motion=Motion("orbit", None, speed, 0.0, 1),
        )
        return Play((going, middle), overlap=1.0)

    return stage


def hit(rng: np.random.Generator, preset: Preset, followed: bool) -> Stage:
    """One rolls or slides into another that stands in its way, and sends it off."""
    colors = draw_colors(rng, 2)
    verb = choice(rng, ("roll", "roll", "slide"))
    kinds: tuple[Kind, ...] = ("ball", "cylinder", "capsule", "cube", "crate")
    actor = draw_subject(rng, preset, verb, colors[0], kinds, "large", SIDEWAYS)
    struck: tuple[Kind, ...] = ("ball", "cube", "crate", "cone", "cylinder")
    target = draw_subject(rng, preset, "still", colors[1], struck)

    def stage(rng: np.random.Generator, hall: Hall) -> Play:
        return _collision(
            rng,
            "hit",
            actor,
            target,
            hall,
            preset.stage_size * rng.uniform(1.5, 2.1),
            preset.stage_size * rng.uniform(0.6, 0.9),
        )

    return stage


def push(rng: np.random.Generator, preset: Preset, followed: bool) -> Stage:
    """A character walks up to a thing and shoves it along."""
    colors = draw_colors(rng, 2)
    actor = draw_subject(rng, preset, "walk", colors[0], size="large", ways=SIDEWAYS)
    kinds: tuple[Kind, ...] = ("cube", "crate", "cylinder", "cone")
    target = replace(draw_subject(rng, preset, "still", colors[1], kinds), heading=0.0)

    def stage(rng: np.random.Generator, hall: Hall) -> Play:
        return _collision(
            rng, "push", actor, target, hall, rng.uniform(0.9, 1.15), preset.stage_size * rng.uniform(0.3, 0.5)
        )

    return stage


def topple(rng: np.random.Generator, preset: Preset, followed: bool) -> Stage:
    """A ball knocks over a stack of two."""
    colors = draw_colors(rng, 3)
    actor = draw_subject(rng, preset, "roll", colors[0], ("ball",), "large", SIDEWAYS)
    lower, upper = (
        replace(draw_subject(rng, preset, "still", color, ("cube", "crate"), "small"), material="matte")
        for color in colors[1:]
    )

    def stage(rng: np.random.Generator, hall: Hall) -> Play:
        play = _collision(rng, "topple", actor, lower, hall, speed=rng.uniform(2.9, 3.5), gap=rng.uniform(0.6, 0.9))
        # The upper one leans out to the ball: knocked away underneath, it comes down.
        lean = rng.uniform(-0.15, -0.1) * WAYS[actor.motion.direction or "right"][0]
        return replace(play, subjects=(*play.subjects, _upon(upper, play.subjects[1], lean)))

    return stage


def bite(rng: np.random.Generator, preset: Preset, followed: bool) -> Stage:
    """A bite is taken from a cookie; somebody may be standing by."""
    colors = draw_colors(rng, 2)
    cookie = draw_subject(rng, preset, "still", colors[0], ("cookie",), choice(rng, ("small", "large", "large")))
    guests = [draw_subject(rng, preset, "still", colors[1], CHARACTERS)] if rng.random() < 0.5 else []

    def stage(rng: np.random.Generator, hall: Hall) -> Play:
        moment = rng.uniform(0.25, 0.6) * hall.seconds
        spread, size = 1.2 if guests else 0.4, preset.stage_size
        subjects = tuple(placed(rng, subject, hall.seconds, spread, size) for subject in (cookie, *guests))
        return Play(subjects, Event("bite", 0, None, moment))

    return stage


def hide(rng: np.random.Generator, preset: Preset, followed: bool) -> Stage:
    """A small one passes behind a large one and comes out on the other side."""
    colors = draw_colors(rng, 2)
    verbs: list[Verb] = [verb for verb in ("roll", "roll", "slide", "walk") if verb in preset.verbs]
    actor = draw_subject(rng, preset, choice(rng, verbs), colors[0], size="small", ways=SIDEWAYS)
    kinds: tuple[Kind, ...] = ("ball", "cube", "cylinder", "crate", "snowman", "robot")
    target = draw_subject(rng, preset, "still", colors[1], kinds, "large")

    def stage(rng: np.random.Generator, hall: Hall) -> Play:
        x, y = rng.uniform(-0.2, 0.2), rng.uniform(-0.5, -0.1)
        way = WAYS[actor.motion.direction or "right"][0]
        distance = rng.uniform(2.5, 2.9)
        speed = distance / max(hall.seconds, USUAL_SECONDS)
        behind = y + rng.uniform(1.15, 1.4)
        passing = replace(
            actor,
            position=(x - way * speed * hall.seconds / 2, behind, actor.half_extent),
            motion=replace(actor.motion, speed=speed),
        )
        return Play((passing, _standing(rng, target, x, y)), Event("hide", 1, 0, hall.seconds / 2), overlap=1.0)

    return stage


SITUATIONS: dict[str, Situation] = {
    "at large": at_large,
    "in front": in_front,
    "on top": on_top,
    "orbit": orbit,
    "hit": hit,
    "push": push,
    "topple": topple,
    "bite": bite,
    "hide": hide,
}


def _collision(
    rng: np.random.Generator, kind: EventKind, actor: Subject, target: Subject, hall: Hall, speed: float, gap: float
) -> Play:
    """`actor` starts `gap` metres from touching `target`, or in a long clip waits until only its end is left to go."""
    reach = actor.half_extent + target.half_extent
    way = WAYS[actor.motion.direction or "right"][0]
    spot = rng.uniform(-0.1, 0.3) * way
    y = rng.uniform(-0.3, 0.5)
    # What has been set rolling never stops, so that a long clip leaves it little time.
    wait = max(hall.seconds - USUAL_SECONDS, 0.0)
    acting = replace(
        actor,
        position=(spot - way * (reach + gap), y, actor.half_extent),
        motion=replace(actor.motion, speed=speed, start=wait),
    )
    event = Event(kind, 1, 0, wait + gap / speed)
    return Play((acting, _standing(rng, target, spot, y)), event, overlap=1.0, touching=True, width=1.15)


def _standing(rng: np.random.Generator, subject: Subject, x: float, y: float) -> Subject:
    speed = rng.uniform(2.0, 4.0) if subject.motion.verb == "spin" else 0.0
    return replace(subject, position=(x, y, subject.half_extent), motion=replace(subject.motion, speed=speed))


def _upon(top: Subject, below: Subject, lean: float = 0.0) -> Subject:
    x, y, z = below.position
    return replace(top, position=(x + lean, y, z + below.half_extent + top.half_extent))
