"""Real clips that a model is given the beginning of: as in training, and beyond what any training has seen."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, get_args

import numpy as np
from jaxtyping import Float, UInt8

from lumora.config import VideoShape
from lumora.evaluate.instruments.blob import LEAST
from lumora.evaluate.suites.held_out import HELD_OUT_SEED, caption_of
from lumora.world.facts import facts_of
from lumora.world.physics import simulate
from lumora.world.physics.subject_motion import velocity_of
from lumora.world.render import render
from lumora.world.sample import held_out, sample_scene
from lumora.world.scene import Scene, Verb

Domain: TypeAlias = Literal["usual", "faster", "larger", "combinations"]
"""`usual` is as in training; `faster` and `larger` lie beyond its range; `combinations` of kind, colour and motion were
left out of it."""
DOMAINS: tuple[Domain, ...] = get_args(Domain)

MOVING: tuple[Verb, ...] = ("roll", "slide", "bounce", "fall", "jump")
FASTER = 1.7
"""Times as fast: the world's speeds of a verb differ by up to 1.7."""
LARGER = 1.4
"""Times as large in the picture: the camera is so much nearer."""


@dataclass(frozen=True)
class Start:
    """A real clip whose beginning is given, and where its moving thing really is."""

    prompt: str
    color: str
    verb: Verb
    frames: UInt8[np.ndarray, "t h w 3"]
    truth: Float[np.ndarray, "t 2"]
    """Column and row of the thing's middle, as shares of width and height; NaN where it is out of sight."""


def held_out_starts(
    preset: str, clips: int, shape: VideoShape, domain: Domain = "usual", seed: int = HELD_OUT_SEED
) -> list[Start]:
    """Clips of a camera that stands still and, first in the cast, a thing that moves and is in sight."""
    return list(itertools.islice(_starts(preset, shape, domain, seed), clips))


def _starts(preset: str, shape: VideoShape, domain: Domain, seed: int) -> Iterator[Start]:
    seconds, aspect = (shape.num_frames - 1) / shape.fps, shape.width / shape.height
    for index in itertools.count():
        scene = sample_scene(preset, seed, index, seconds, aspect)
        mover = next((i for i, subject in enumerate(scene.subjects) if subject.motion.verb in MOVING), None)
        if scene.camera.move != "static" or mover is None:
            continue
        if domain == "combinations" and not held_out(scene.subjects[mover]):
            continue
        if domain == "faster":
            if not scene.subjects[mover].motion.speed:
                continue
            scene = hurried(scene, mover)
        if domain == "larger":
            scene = approached(scene, mover)
        trajectory = simulate(scene, shape.fps, shape.num_frames)
        drawn = render([scene], [trajectory], shape.height, shape.width)
        truth = middles(drawn.subject[0].numpy() == mover)
        if np.isnan(truth[:2]).any():
            continue
        words, subject = caption_of(facts_of(scene, trajectory), seed, index, "sentence"), scene.subjects[mover]
        yield Start(words.text, subject.color, subject.motion.verb, drawn.frames[0].numpy(), truth)


def hurried(scene: Scene, mover: int) -> Scene:
    """The scene with a faster mover, that is in mid-clip where it was."""
    subject = scene.subjects[mover]
    way, (x, y, z) = velocity_of(subject), subject.position
    back = (FASTER - 1) * scene.seconds / 2
    motion = replace(subject.motion, speed=FASTER * subject.motion.speed)
    faster = replace(subject, position=(x - back * way[0], y - back * way[1], z), motion=motion)
    return replace(scene, subjects=(*scene.subjects[:mover], faster, *scene.subjects[mover + 1 :]))


def approached(scene: Scene, mover: int) -> Scene:
    """The scene from so near that the mover is larger in the picture, and is where it was in the picture at first."""
    camera, subject = scene.camera, scene.subjects[mover]
    eye, place = np.array(camera.position), np.array(subject.position)
    step = (1 - 1 / LARGER) * (place - eye)
    nearer, target = eye + step, np.array(camera.target) + step
    # A low camera must not end in the ground.
    lift = np.array([0.0, 0.0, max(0.0, 0.4 - nearer[2])])
    moved = replace(camera, position=tuple((nearer + lift).tolist()), target=tuple((target + lift).tolist()))
    return replace(scene, camera=moved)


def middles(shown: np.ndarray) -> Float[np.ndarray, "t 2"]:
    """Column and row of the middle of what is shown (t, h, w), as shares; NaN where it is too small to be seen."""
    height, width = shown.shape[1:]
    places = np.full((len(shown), 2), np.nan)
    for number, frame in enumerate(shown):
        rows, columns = np.nonzero(frame)
        if len(rows) >= LEAST * height * width:
            places[number] = (columns.mean() + 0.5) / width, (rows.mean() + 0.5) / height
    return places
