"""Real clips that a model continues from their first frames: within the training distribution and beyond it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, get_args

import numpy as np
from jaxtyping import Bool, Float

from lumora.config import VideoShape
from lumora.evaluate.frames import Frames
from lumora.evaluate.instruments.blob import MIN_AREA
from lumora.evaluate.suites.held_out import HELD_OUT_SEED, caption_of
from lumora.world.facts import facts_of
from lumora.world.physics import simulate
from lumora.world.physics.subject_motion import velocity_of
from lumora.world.render import render
from lumora.world.sample import held_out, sample_scene
from lumora.world.scene import Scene, Verb

Domain: TypeAlias = Literal["usual", "faster", "larger", "combinations"]
"""`usual` is the training distribution; `faster` and `larger` lie outside its range; `combinations` of kind, color and
motion are held out."""
DOMAINS: tuple[Domain, ...] = get_args(Domain)

MOVING: tuple[Verb, ...] = ("roll", "slide", "bounce", "fall", "jump")
FASTER = 1.7
"""Speed factor: the world's speeds of a verb differ by up to 1.7."""
LARGER = 1.4
"""Factor of the object's size in the frame; the camera is nearer."""


@dataclass(frozen=True)
class ContinuationClip:
    """A real clip with the true positions of its moving object."""

    prompt: str
    color: str
    verb: Verb
    frames: Frames
    positions: Float[np.ndarray, "t 2"]
    """Column and row of the object's center as shares of width and height; NaN if it is out of sight."""


def held_out_continuations(
    preset: str, clips: int, shape: VideoShape, domain: Domain = "usual", seed: int = HELD_OUT_SEED
) -> list[ContinuationClip]:
    """Clips with a static camera and a moving object that is in sight in the first two frames."""
    return list(itertools.islice(_continuations(preset, shape, domain, seed), clips))


def _continuations(preset: str, shape: VideoShape, domain: Domain, seed: int) -> Iterator[ContinuationClip]:
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
            scene = with_faster_subject(scene, mover)
        if domain == "larger":
            scene = with_nearer_camera(scene, mover)
        trajectory = simulate(scene, shape.fps, shape.num_frames)
        rendering = render([scene], [trajectory], shape.height, shape.width)
        positions = mask_centers(rendering.subject[0].numpy() == mover)
        if np.isnan(positions[:2]).any():
            continue
        prompt = caption_of(facts_of(scene, trajectory), seed, index, "sentence").text
        subject = scene.subjects[mover]
        yield ContinuationClip(prompt, subject.color, subject.motion.verb, rendering.frames[0].numpy(), positions)


def with_faster_subject(scene: Scene, mover: int) -> Scene:
    """The scene with a faster subject `mover`, which passes its old position in mid-clip."""
    subject = scene.subjects[mover]
    velocity, (x, y, z) = velocity_of(subject), subject.position
    shift = (FASTER - 1) * scene.seconds / 2
    motion = replace(subject.motion, speed=FASTER * subject.motion.speed)
    faster = replace(subject, position=(x - shift * velocity[0], y - shift * velocity[1], z), motion=motion)
    return replace(scene, subjects=(*scene.subjects[:mover], faster, *scene.subjects[mover + 1 :]))


def with_nearer_camera(scene: Scene, mover: int) -> Scene:
    """The scene from a nearer camera: the subject `mover` is larger in the frame, at its old position in the first
    frame."""
    camera, subject = scene.camera, scene.subjects[mover]
    eye, position = np.array(camera.position), np.array(subject.position)
    step = (1 - 1 / LARGER) * (position - eye)
    nearer, target = eye + step, np.array(camera.target) + step
    # A low camera must stay above the ground.
    lift = np.array([0.0, 0.0, max(0.0, 0.4 - nearer[2])])
    moved = replace(camera, position=tuple((nearer + lift).tolist()), target=tuple((target + lift).tolist()))
    return replace(scene, camera=moved)


def mask_centers(masks: Bool[np.ndarray, "t h w"]) -> Float[np.ndarray, "t 2"]:
    """Column and row of the center of a mask as shares of width and height; NaN if it is too small to be visible."""
    height, width = masks.shape[1:]
    centers = np.full((len(masks), 2), np.nan)
    for number, frame in enumerate(masks):
        rows, columns = np.nonzero(frame)
        if len(rows) >= MIN_AREA * height * width:
            centers[number] = (columns.mean() + 0.5) / width, (rows.mean() + 0.5) / height
    return centers
