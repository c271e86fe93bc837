"""Momentum around a collision: the model continues a real clip in which one object is about to hit another.

The objects move sideways on the ground, so the column of an object gives its position, because the camera and its
distance are known; masses are those of the simulator. Momentum is the slope of a line through the positions before the
contact and after it, compared with the same slope of the true positions, so friction is in both.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from lumora.config import VideoShape
from lumora.evaluate.frames import Frames
from lumora.evaluate.instruments.blob import BlobTrack
from lumora.evaluate.instruments.color_tracker import UNRELIABLE_COLORS
from lumora.evaluate.metrics.estimates import EstimateColumns, estimate, mean, ratio
from lumora.evaluate.suites.held_out import HELD_OUT_SEED, caption_of
from lumora.world.facts import facts_of
from lumora.world.physics import masses, simulate
from lumora.world.render import render
from lumora.world.sample import PRESETS, sample_scene
from lumora.world.scene import Event, Scene
from lumora.world.trajectory import Trajectory

CONTACT_TIME = 0.2
"""The planned time of the contact, as a share of the clip after the given frames."""
MEASURED_SHARE = 0.25
"""Share of the clip after the contact in which the momentum is measured; later an object may be out of sight."""


@dataclass(frozen=True)
class CollisionClip:
    """A real clip in which one object hits another, seen by a static camera."""

    prompt: str
    frames: Frames
    scene: Scene
    trajectory: Trajectory
    pair: tuple[int, int]
    """The object that hits, and the object that is hit."""
    contact: int
    """The first frame after the contact."""

    @property
    def colors(self) -> tuple[str, str]:
        return self.scene.subjects[self.pair[0]].color, self.scene.subjects[self.pair[1]].color


def held_out_collisions(
    preset: str, clips: int, shape: VideoShape, given: int = 1, seed: int = HELD_OUT_SEED
) -> list[CollisionClip]:
    """Clips of objects with reliable colors that meet after the first `given` frames; none if the preset has no
    collisions."""
    if "hit" not in PRESETS[preset].situations:
        return []
    candidates = (_collision(preset, seed, index, shape, given) for index in itertools.count())
    return list(itertools.islice((clip for clip in candidates if clip is not None), clips))


def _collision(preset: str, seed: int, index: int, shape: VideoShape, given: int) -> CollisionClip | None:
    """Clip `index` of the seed with a slower collision; None if it has no collision that can be measured."""
    scene = sample_scene(preset, seed, index, (shape.num_frames - 1) / shape.fps, shape.width / shape.height)
    if scene.camera.move != "static" or scene.event is None or scene.event.kind != "hit":
        return None
    scene = with_later_contact(scene, scene.event, (given - 1) / shape.fps)
    trajectory = simulate(scene, shape.fps, shape.num_frames)
    facts = facts_of(scene, trajectory)
    hit = next((fact for fact in facts if fact.category == "event" and fact.value == "hit"), None)
    if hit is None or hit.subject is None or hit.other is None:
        return None
    pair = hit.subject, hit.other
    contact = int(np.searchsorted(trajectory.times, trajectory.contacts[0].time, side="right"))
    in_time = max(2, given) <= contact <= shape.num_frames - 3
    if not in_time or not UNRELIABLE_COLORS.isdisjoint(scene.subjects[i].color for i in pair):
        return None
    frames = render([scene], [trajectory], shape.height, shape.width).frames[0].numpy()
    return CollisionClip(caption_of(facts, seed, index, "sentence").text, frames, scene, trajectory, pair, contact)


def with_later_contact(scene: Scene, event: Event, given_seconds: float) -> Scene:
    """The scene with a slower actor, so that the objects meet well after the given seconds. At the world's speeds they
    would meet in the frames that the model is given."""
    assert event.actor is not None
    actor = scene.subjects[event.actor]
    distance = (event.time - actor.motion.start) * actor.motion.speed
    time = given_seconds + CONTACT_TIME * (scene.seconds - given_seconds)
    slower = replace(actor, motion=replace(actor.motion, speed=distance / time, start=0.0))
    subjects = (*scene.subjects[: event.actor], slower, *scene.subjects[event.actor + 1 :])
    return replace(scene, subjects=subjects, event=replace(event, time=time))


def momentum_errors(
    clips: Sequence[CollisionClip],
    generated: Sequence[Mapping[str, BlobTrack]],
    floor: Sequence[Mapping[str, BlobTrack]],
) -> EstimateColumns:
    """Mean error of the sideways momentum of both objects together, over the true one before the contact: of
    `generated` tracks and of `floor`, the instrument on the real clips. A clip counts if both objects are found in
    both, before and after the contact."""
    pairs = zip(clips, generated, floor, strict=True)
    errors = np.array([[_momentum_error(clip, tracks) for tracks in columns] for clip, *columns in pairs])
    errors = errors.reshape(len(clips), 2, 2)
    errors = errors[np.isfinite(errors).all(axis=(1, 2))]
    columns: EstimateColumns = {"generated": {}, "floor": {}, "ratio": {}}
    for n, row in enumerate(("before", "after")):
        model_errors, floor_errors = errors[:, 0, n], errors[:, 1, n]
        columns["generated"][row] = estimate(mean, model_errors)
        columns["floor"][row] = estimate(mean, floor_errors)
        columns["ratio"][row] = estimate(ratio, model_errors, floor_errors)
    return columns


def _momentum_error(clip: CollisionClip, tracks: Mapping[str, BlobTrack]) -> tuple[float, float]:
    """Relative errors before and after the contact."""
    true = momentum(clip, [clip.trajectory.positions[:, i, 0] for i in clip.pair])
    paths = [_world_x(clip, i, tracks[c].centers[:, 0]) for i, c in zip(clip.pair, clip.colors, strict=True)]
    measured = momentum(clip, paths)
    return abs(measured[0] - true[0]) / abs(true[0]), abs(measured[1] - true[1]) / abs(true[0])


def momentum(clip: CollisionClip, paths: Sequence[Float[np.ndarray, " t"]]) -> tuple[float, float]:
    """Momentum to the right of both objects together, before and after the contact, in kg m/s; `paths` are their
    positions in meters. NaN if an object is not found twice in the time."""
    last = clip.contact + max(2, round(MEASURED_SHARE * (len(clip.trajectory.times) - 1)))
    weights = masses(clip.scene)[[*clip.pair]]
    spans = slice(0, clip.contact), slice(clip.contact, last)
    before, after = (
        sum(mass * _slope(clip.trajectory.times[span], path[span]) for mass, path in zip(weights, paths, strict=True))
        for span in spans
    )
    return float(before), float(after)


def _slope(times: Float[np.ndarray, " t"], positions: Float[np.ndarray, " t"]) -> float:
    found = np.isfinite(positions)
    return float(np.polyfit(times[found], positions[found], 1)[0]) if found.sum() >= 2 else math.nan


def _world_x(clip: CollisionClip, subject: int, columns: Float[np.ndarray, " t"]) -> Float[np.ndarray, " t"]:
    """The x coordinate in meters of a subject that is seen in these columns (shares of the width)."""
    eye, target = clip.trajectory.camera_positions[0], clip.trajectory.camera_targets[0]
    forward = (target - eye) / np.linalg.norm(target - eye)
    right = np.array([forward[1], -forward[0], 0.0]) / math.hypot(forward[0], forward[1])
    height, width = clip.frames.shape[1:3]
    scale = math.tan(clip.scene.camera.field_of_view / 2) * width / min(height, width)
    position = clip.trajectory.positions[0, subject]
    # Of all rays through a column, the one with the elevation of the subject in the first frame.
    sideways = (2 * columns[:, None] - 1) * scale * right
    up = np.cross(right, forward)
    offset = position - eye
    rays = forward + sideways + up * (offset @ up) / (offset @ forward)
    return eye[0] + rays[:, 0] * (position[1] - eye[1]) / rays[:, 1]
