"""Momentum around a hit: a model goes on with a real clip in which one thing rolls or slides into another.

Things go along the ground to the side, so that a column of the picture is a place on their way, the camera and their
distance from it being known; masses are the simulator's. What is compared is the slope of a line through the places
before they meet, and after, with the same slope of what really happened: friction is in both.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, UInt8

from lumora.config import VideoShape
from lumora.evaluate.instruments.blob import BlobTrack
from lumora.evaluate.instruments.color_tracker import UNSURE
from lumora.evaluate.metrics.estimates import Table, estimate, mean, ratio
from lumora.evaluate.suites.held_out import HELD_OUT_SEED, caption_of
from lumora.world.facts import facts_of
from lumora.world.physics import masses, simulate
from lumora.world.render import render
from lumora.world.sample import PRESETS, sample_scene
from lumora.world.scene import Event, Scene
from lumora.world.trajectory import Trajectory

MEETS = 0.2
"""Share of what is left of the clip, after the given frames, that is planned to go by until two things meet."""
AFTER = 0.25
"""Share of the clip after two things have met in which their momentum is measured: later one may be out of sight."""


@dataclass(frozen=True)
class Hit:
    """A real clip of one thing that strikes another, seen by a camera that stands still."""

    prompt: str
    frames: UInt8[np.ndarray, "t h w 3"]
    scene: Scene
    trajectory: Trajectory
    pair: tuple[int, int]
    """Who strikes, and who is struck."""
    met: int
    """The first frame after they have met."""

    @property
    def colors(self) -> tuple[str, str]:
        return self.scene.subjects[self.pair[0]].color, self.scene.subjects[self.pair[1]].color


def held_out_hits(preset: str, clips: int, shape: VideoShape, given: int = 1, seed: int = HELD_OUT_SEED) -> list[Hit]:
    """So many, of things that meet after the first `given` frames and whose colours the tables are sure of; or none
    where the world of the preset has no hits."""
    if "hit" not in PRESETS[preset].situations:
        return []
    found: list[Hit] = []
    seconds, aspect = (shape.num_frames - 1) / shape.fps, shape.width / shape.height
    for index in itertools.count():
        if len(found) == clips:
            break
        scene = sample_scene(preset, seed, index, seconds, aspect)
        if scene.camera.move != "static" or scene.event is None or scene.event.kind != "hit":
            continue
        scene = put_off(scene, scene.event, (given - 1) / shape.fps)
        trajectory = simulate(scene, shape.fps, shape.num_frames)
        facts = facts_of(scene, trajectory)
        struck = next((f for f in facts if f.category == "event" and f.value == "hit"), None)
        if struck is None or struck.subject is None or struck.other is None:
            continue
        pair = struck.subject, struck.other
        met = int(np.searchsorted(trajectory.times, trajectory.contacts[0].time, side="right"))
        if max(2, given) <= met <= shape.num_frames - 3 and UNSURE.isdisjoint(scene.subjects[i].color for i in pair):
            frames = render([scene], [trajectory], shape.height, shape.width).frames[0].numpy()
            words = caption_of(facts, seed, index, "sentence")
            found.append(Hit(words.text, frames, scene, trajectory, pair, met))
    return found


def put_off(scene: Scene, event: Event, known: float) -> Scene:
    """The scene with one who strikes so slowly that they meet well after the first `known` seconds: of a clip of two
    seconds the half is over. At the world's speeds for a hit they would meet among the frames that a model is given."""
    assert event.actor is not None
    actor = scene.subjects[event.actor]
    way = (event.time - actor.motion.start) * actor.motion.speed
    moment = known + MEETS * (scene.seconds - known)
    slower = replace(actor, motion=replace(actor.motion, speed=way / moment, start=0.0))
    subjects = (*scene.subjects[: event.actor], slower, *scene.subjects[event.actor + 1 :])
    return replace(scene, subjects=subjects, event=replace(event, time=moment))


def momentum_errors(
    hits: Sequence[Hit], model: Sequence[Mapping[str, BlobTrack]], floor: Sequence[Mapping[str, BlobTrack]]
) -> Table:
    """Mean error of the momentum of both things together, to the side, over the true one before they meet: of `model`
    and of `floor`, the instrument on the real clips. A clip counts where both things are found in both, before and
    after."""
    errors = np.array(
        [[_errors(hit, tracks) for tracks in pair] for hit, *pair in zip(hits, model, floor, strict=True)]
    )
    errors = errors.reshape(len(hits), 2, 2)
    errors = errors[np.isfinite(errors).all(axis=(1, 2))]
    columns: Table = {"model": {}, "floor": {}, "ratio": {}}
    for n, row in enumerate(("before", "after")):
        made, real = errors[:, 0, n], errors[:, 1, n]
        columns["model"][row], columns["floor"][row] = estimate(mean, made), estimate(mean, real)
        columns["ratio"][row] = estimate(ratio, made, real)
    return columns


def _errors(hit: Hit, tracks: Mapping[str, BlobTrack]) -> tuple[float, float]:
    true = momentum(hit, [hit.trajectory.positions[:, thing, 0] for thing in hit.pair])
    seen = momentum(hit, [_along(hit, t, tracks[c].places[:, 0]) for t, c in zip(hit.pair, hit.colors, strict=True)])
    return abs(seen[0] - true[0]) / abs(true[0]), abs(seen[1] - true[1]) / abs(true[0])


def momentum(hit: Hit, ways: Sequence[Float[np.ndarray, " t"]]) -> tuple[float, float]:
    """Kilogram metres a second to the right, of both together, before and after they meet; `ways` are their places in
    metres. NaN where one isn't seen twice in the time."""
    last = hit.met + max(2, round(AFTER * (len(hit.trajectory.times) - 1)))
    weights = masses(hit.scene)[[*hit.pair]]
    spans = slice(0, hit.met), slice(hit.met, last)
    before, after = (
        sum(mass * _slope(hit.trajectory.times[span], way[span]) for mass, way in zip(weights, ways, strict=True))
        for span in spans
    )
    return float(before), float(after)


def _slope(times: Float[np.ndarray, " t"], places: Float[np.ndarray, " t"]) -> float:
    seen = np.isfinite(places)
    return float(np.polyfit(times[seen], places[seen], 1)[0]) if seen.sum() >= 2 else math.nan


def _along(hit: Hit, thing: int, columns: Float[np.ndarray, " t"]) -> Float[np.ndarray, " t"]:
    """Where on its way, in metres to the right, a thing is that is seen in these columns (shares of the width)."""
    eye, target = hit.trajectory.camera_positions[0], hit.trajectory.camera_targets[0]
    forward = (target - eye) / np.linalg.norm(target - eye)
    right = np.array([forward[1], -forward[0], 0.0]) / math.hypot(forward[0], forward[1])
    height, width = hit.frames.shape[1:3]
    scale = math.tan(hit.scene.camera.field_of_view / 2) * width / min(height, width)
    place = hit.trajectory.positions[0, thing]
    # Of all rays of a column, the one that is as steep as the way to the thing itself at first.
    aside = (2 * columns[:, None] - 1) * scale * right
    up = np.cross(right, forward)
    first = place - eye
    rays = forward + aside + up * (first @ up) / (first @ forward)
    return eye[0] + rays[:, 0] * (place[1] - eye[1]) / rays[:, 1]
