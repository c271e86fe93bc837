"""Situations: independent subjects, one in front of or on top of another, or a cause and its effect.

A situation draws its subjects once and returns a function that draws their arrangement, which `sample_scene` calls
until everything is visible.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from lumora.world.physics.subject_motion import DIRECTION_VECTORS
from lumora.world.sample.camera_setup import USUAL_SECONDS
from lumora.world.sample.cast import ScenePreset, choice, draw_colors, draw_subject, draw_verb
from lumora.world.sample.placement import place_subject
from lumora.world.scene import CHARACTERS, Direction, Event, EventKind, Kind, Motion, Subject, Verb

FOLLOWED: tuple[Verb, ...] = ("roll", "slide", "walk")
SIDEWAYS: tuple[Direction, ...] = ("right", "left")
SPREAD = (0.4, 1.3, 1.5)
"""Range in meters to each side of the middle for one, two or three subjects, before scaling."""
STAGE_SIZES = (0.55, 0.65, 1.0)
"""Scale of positions and distances for one, two or three subjects. With fewer subjects the camera is closer, because
larger subjects are easier to see and to learn."""


@dataclass(frozen=True)
class Arrangement:
    """Subjects with positions, and their event."""

    subjects: tuple[Subject, ...]
    event: Event | None = None
    overlap: float = 0.2
    """Share of the width of a subject that another may cover."""
    touching: bool = False
    """Whether subjects may touch."""
    width: float = 1.0
    """Factor of the distance of the camera."""


@dataclass(frozen=True)
class ClipFormat:
    """Length of the clip in seconds, and how much wider than high its picture is, from 1 to 1.8."""

    seconds: float
    widening: float


ArrangeFunction: TypeAlias = Callable[[np.random.Generator, ClipFormat], Arrangement]
Situation: TypeAlias = Callable[[np.random.Generator, ScenePreset, bool], ArrangeFunction]
"""(generator, preset, followed) -> arrange function. If `followed`, a camera must be able to follow subject 0."""


def at_large(rng: np.random.Generator, preset: ScenePreset, followed: bool) -> ArrangeFunction:
    """One or more subjects with independent motions."""
    count = choice(rng, range(1, len(preset.counts) + 1), preset.counts)
    colors = draw_colors(rng, count)
    verbs: list[Verb] = [draw_verb(rng, preset, 0.12 if i == 0 else 0.5) for i in range(count)]
    if followed:
        verbs[0] = choice(rng, FOLLOWED)
    cast = [draw_subject(rng, preset, verb, color) for verb, color in zip(verbs, colors, strict=True)]
    if not followed:
        cast = [cast[i] for i in rng.permutation(count)]
    return spread_out(cast, preset.stage_size)


def spread_out(cast: Sequence[Subject], scale: float = 1.0) -> ArrangeFunction:
    """Independent positions in an area whose size depends on the number of subjects."""
    count = len(cast)
    spread, size = SPREAD[count - 1] / scale, scale * STAGE_SIZES[count - 1]

    def arrange(rng: np.random.Generator, clip_format: ClipFormat) -> Arrangement:
        subjects = tuple(
            place_subject(rng, subject, clip_format.seconds, spread, size, clip_format.widening) for subject in cast
        )
        return Arrangement(subjects, overlap=0.35 if count > 2 else 0.2, width=size)

    return arrange


def in_front(rng: np.random.Generator, preset: ScenePreset, followed: bool) -> ArrangeFunction:
    """Two subjects, one behind the other."""
    colors = draw_colors(rng, 2)
    far = draw_subject(rng, preset, "still", colors[0])
    near = draw_subject(rng, preset, choice(rng, ("still", "spin")), colors[1], size="small")

    def arrange(rng: np.random.Generator, clip_format: ClipFormat) -> Arrangement:
        side = 1 if rng.random() < 0.5 else -1
        aside = rng.uniform(0.15, 0.3) * side
        depth = rng.uniform(1.25, 1.6) * (near.half_extent + far.half_extent)
        middle = rng.uniform(-0.4, 0.4), rng.uniform(-0.2, 0.3)
        subjects = (
            _standing(rng, far, middle[0] + aside, middle[1] + depth / 2),
            _standing(rng, near, middle[0] - aside, middle[1] - depth / 2),
        )
        return Arrangement(subjects, overlap=0.7)

    return arrange


def on_top(rng: np.random.Generator, preset: ScenePreset, followed: bool) -> ArrangeFunction:
    """A small subject on a large one."""
    colors = draw_colors(rng, 2)
    base = draw_subject(rng, preset, "still", colors[0], ("cube", "crate", "cylinder"), "large")
    kinds: tuple[Kind, ...] = ("ball", "cube", "cone", "capsule", "cylinder", "crate", *CHARACTERS)
    top = draw_subject(rng, preset, "still", colors[1], kinds, "small")

    def arrange(rng: np.random.Generator, clip_format: ClipFormat) -> Arrangement:
        x, y = rng.uniform(-0.7, 0.7), rng.uniform(-0.4, 0.6)
        below = _standing(rng, base, x, y)
        return Arrangement((_upon(top, below), below), overlap=0.4, touching=True)

    return arrange


def orbit(rng: np.random.Generator, preset: ScenePreset, followed: bool) -> ArrangeFunction:
    """A subject that orbits another by at least half a turn."""
    colors = draw_colors(rng, 2)
    centre = draw_subject(rng, preset, "still", colors[0])
    kinds: tuple[Kind, ...] = ("ball", "cube", *CHARACTERS)
    orbiter = draw_subject(rng, preset, "orbit", colors[1], kinds, "small")

    def arrange(rng: np.random.Generator, clip_format: ClipFormat) -> Arrangement:
        middle = _standing(rng, centre, rng.uniform(-0.3, 0.3), rng.uniform(0.0, 0.4))
        radius = rng.uniform(1.05, 1.25) + (centre.half_extent - 0.3) / 2
        sense = 1 if rng.random() < 0.5 else -1
        speed = sense * rng.uniform(1.7, 2.6)
        angle = rng.uniform(-math.pi, 0) + 0.3 * sense  # It starts in front of the center.
        x = middle.position[0] + radius * math.cos(angle)
        y = middle.position[1] + radius * math.sin(angle)
        heading = angle + (math.pi if sense > 0 else 0.0)
        moving = replace(
            orbiter,
            position=(x, y, orbiter.half_extent),
            heading=math.remainder(heading, 2 * math.pi),
            motion=Motion("orbit", None, speed, 0.0, 1),
        )
        return Arrangement((moving, middle), overlap=1.0)

    return arrange


def hit(rng: np.random.Generator, preset: ScenePreset, followed: bool) -> ArrangeFunction:
    """A subject rolls or slides into another and sets it in motion."""
    colors = draw_colors(rng, 2)
    verb = choice(rng, ("roll", "roll", "slide"))
    kinds: tuple[Kind, ...] = ("ball", "cylinder", "capsule", "cube", "crate")
    actor = draw_subject(rng, preset, verb, colors[0], kinds, "large", SIDEWAYS)
    target_kinds: tuple[Kind, ...] = ("ball", "cube", "crate", "cone", "cylinder")
    target = draw_subject(rng, preset, "still", colors[1], target_kinds)

    def arrange(rng: np.random.Generator, clip_format: ClipFormat) -> Arrangement:
        return _collision(
            rng,
            "hit",
            actor,
            target,
            clip_format,
            preset.stage_size * rng.uniform(1.5, 2.1),
            preset.stage_size * rng.uniform(0.6, 0.9),
        )

    return arrange


def push(rng: np.random.Generator, preset: ScenePreset, followed: bool) -> ArrangeFunction:
    """A character walks to an object and pushes it along."""
    colors = draw_colors(rng, 2)
    actor = draw_subject(rng, preset, "walk", colors[0], size="large", directions=SIDEWAYS)
    kinds: tuple[Kind, ...] = ("cube", "crate", "cylinder", "cone")
    target = replace(draw_subject(rng, preset, "still", colors[1], kinds), heading=0.0)

    def arrange(rng: np.random.Generator, clip_format: ClipFormat) -> Arrangement:
        return _collision(
            rng, "push", actor, target, clip_format, rng.uniform(0.9, 1.15), preset.stage_size * rng.uniform(0.3, 0.5)
        )

    return arrange


def topple(rng: np.random.Generator, preset: ScenePreset, followed: bool) -> ArrangeFunction:
    """A ball knocks over a stack of two."""
    colors = draw_colors(rng, 3)
    actor = draw_subject(rng, preset, "roll", colors[0], ("ball",), "large", SIDEWAYS)
    lower, upper = (
        replace(draw_subject(rng, preset, "still", color, ("cube", "crate"), "small"), material="matte")
        for color in colors[1:]
    )

    def arrange(rng: np.random.Generator, clip_format: ClipFormat) -> Arrangement:
        arrangement = _collision(
            rng, "topple", actor, lower, clip_format, speed=rng.uniform(2.9, 3.5), gap=rng.uniform(0.6, 0.9)
        )
        # The upper body is offset towards the ball, so it falls when the lower one is hit.
        lean = rng.uniform(-0.15, -0.1) * DIRECTION_VECTORS[actor.motion.direction or "right"][0]
        return replace(arrangement, subjects=(*arrangement.subjects, _upon(upper, arrangement.subjects[1], lean)))

    return arrange


def bite(rng: np.random.Generator, preset: ScenePreset, followed: bool) -> ArrangeFunction:
    """A bite is taken from a cookie; a character may stand next to it."""
    colors = draw_colors(rng, 2)
    cookie = draw_subject(rng, preset, "still", colors[0], ("cookie",), choice(rng, ("small", "large", "large")))
    characters = [draw_subject(rng, preset, "still", colors[1], CHARACTERS)] if rng.random() < 0.5 else []

    def arrange(rng: np.random.Generator, clip_format: ClipFormat) -> Arrangement:
        moment = rng.uniform(0.25, 0.6) * clip_format.seconds
        spread, size = 1.2 if characters else 0.4, preset.stage_size
        subjects = tuple(
            place_subject(rng, subject, clip_format.seconds, spread, size) for subject in (cookie, *characters)
        )
        return Arrangement(subjects, Event("bite", 0, None, moment))

    return arrange


def hide(rng: np.random.Generator, preset: ScenePreset, followed: bool) -> ArrangeFunction:
    """A small subject passes behind a large one and reappears on the other side."""
    colors = draw_colors(rng, 2)
    verbs: list[Verb] = [verb for verb in ("roll", "roll", "slide", "walk") if verb in preset.verbs]
    actor = draw_subject(rng, preset, choice(rng, verbs), colors[0], size="small", directions=SIDEWAYS)
    kinds: tuple[Kind, ...] = ("ball", "cube", "cylinder", "crate", "snowman", "robot")
    target = draw_subject(rng, preset, "still", colors[1], kinds, "large")

    def arrange(rng: np.random.Generator, clip_format: ClipFormat) -> Arrangement:
        x, y = rng.uniform(-0.2, 0.2), rng.uniform(-0.5, -0.1)
        sign = DIRECTION_VECTORS[actor.motion.direction or "right"][0]
        distance = rng.uniform(2.5, 2.9)
        speed = distance / max(clip_format.seconds, USUAL_SECONDS)
        behind = y + rng.uniform(1.15, 1.4)
        passing = replace(
            actor,
            position=(x - sign * speed * clip_format.seconds / 2, behind, actor.half_extent),
            motion=replace(actor.motion, speed=speed),
        )
        return Arrangement(
            (passing, _standing(rng, target, x, y)), Event("hide", 1, 0, clip_format.seconds / 2), overlap=1.0
        )

    return arrange


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
    rng: np.random.Generator,
    kind: EventKind,
    actor: Subject,
    target: Subject,
    clip_format: ClipFormat,
    speed: float,
    gap: float,
) -> Arrangement:
    """`actor` starts `gap` meters from `target`; in a long clip it waits, so that the contact is close to the end."""
    reach = actor.half_extent + target.half_extent
    sign = DIRECTION_VECTORS[actor.motion.direction or "right"][0]
    spot = rng.uniform(-0.1, 0.3) * sign
    y = rng.uniform(-0.3, 0.5)
    # A body that rolls never stops, so it must not start long before the end of the clip.
    wait = max(clip_format.seconds - USUAL_SECONDS, 0.0)
    acting = replace(
        actor,
        position=(spot - sign * (reach + gap), y, actor.half_extent),
        motion=replace(actor.motion, speed=speed, start=wait),
    )
    event = Event(kind, 1, 0, wait + gap / speed)
    return Arrangement((acting, _standing(rng, target, spot, y)), event, overlap=1.0, touching=True, width=1.15)


def _standing(rng: np.random.Generator, subject: Subject, x: float, y: float) -> Subject:
    speed = rng.uniform(2.0, 4.0) if subject.motion.verb == "spin" else 0.0
    return replace(subject, position=(x, y, subject.half_extent), motion=replace(subject.motion, speed=speed))


def _upon(top: Subject, below: Subject, lean: float = 0.0) -> Subject:
    x, y, z = below.position
    return replace(top, position=(x + lean, y, z + below.half_extent + top.half_extent))
