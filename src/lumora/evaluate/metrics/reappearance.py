"""Objects that leave the frame, or are hidden, and come back.

The color tracker follows them. The simulator knows where and how large they should be in a video that begins as the
clip does.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float

from lumora.config import VideoShape
from lumora.evaluate.frames import Frames
from lumora.evaluate.instruments.blob import BlobTrack
from lumora.evaluate.instruments.color_tables import ColorTables
from lumora.evaluate.instruments.color_tracker import track_colors
from lumora.evaluate.suites.held_out import HELD_OUT_SEED
from lumora.world.clip import Clip, make_clip, make_scene
from lumora.world.sample.framing import project
from lumora.world.visibility import SEEN, absences, comes_back, visibility

COMES_BACK, SIZE, POSITION = REAPPEARANCE_CHECKS = ("comes back", "right size", "right position")
"""The checks of an object that should come back; size and position are checked if it does."""
MAX_SIZE_FACTOR, MAX_DISTANCE = 1.6, 0.12
"""Tolerances: the size within this factor, the position within this many frame widths."""


def held_out_reappearances(preset: str, clips: int, shape: VideoShape, seed: int = HELD_OUT_SEED) -> list[Clip]:
    """Clips in which something is in sight, then out of sight, and in sight again at the end; none in black and white,
    where objects cannot be identified by color.

    Does not terminate for a preset in which nothing is ever out of sight.
    """
    indices = (index for index in itertools.count() if _something_comes_back(preset, seed, index, shape))
    return [make_clip(preset, seed, index, shape) for index in itertools.islice(indices, clips)]


def _something_comes_back(preset: str, seed: int, index: int, shape: VideoShape) -> bool:
    scene, trajectory = make_scene(preset, seed, index, shape)
    visible = visibility(scene, trajectory, shape.width / shape.height)
    return scene.style != "black and white" and any(map(comes_back, visible.T))


def reappearance_checks(tables: ColorTables, clip: Clip, frames: Frames) -> Iterator[tuple[str, bool]]:
    """(check, passed) for each object that comes back in the clip and is found before it leaves, in a video that begins
    as the clip does."""
    aspect = frames.shape[2] / frames.shape[1]
    visible = visibility(clip.scene, clip.trajectory, aspect)
    trajectory = clip.trajectory
    projected, scale = project(
        clip.scene.camera, trajectory.camera_positions, trajectory.camera_targets, trajectory.positions
    )
    centers = (projected / np.array([max(aspect, 1.0), -max(1 / aspect, 1.0)]) + 1) / 2
    tracks = track_colors(tables, frames).tracks
    for i, subject in enumerate(clip.scene.subjects):
        if comes_back(visible[:, i]):
            absent, in_sight = absences(visible[:, i]), visible[:, i] > SEEN
            yield from _checks(tracks[subject.color], absent, in_sight, centers[:, i], scale[:, i], aspect)


def _checks(
    track: BlobTrack,
    absent: Bool[np.ndarray, " t"],
    in_sight: Bool[np.ndarray, " t"],
    centers: Float[np.ndarray, "t 2"],
    scale: Float[np.ndarray, " t"],
    aspect: float,
) -> Iterator[tuple[str, bool]]:
    """`centers` and `scale` are the true ones."""
    first, last = np.flatnonzero(absent)[[0, -1]]
    frames, found = np.arange(len(absent)), track.areas > 0
    before, after = found & in_sight & (frames < first), found & in_sight & (frames > last)
    if not before.any():
        return
    returned = bool(2 * after.sum() > (in_sight & (frames > last)).sum())
    yield COMES_BACK, returned
    if not returned:
        return
    growth = np.sqrt(np.median(track.areas[after]) / np.median(track.areas[before]))
    size_factor = growth / (np.median(scale[after]) / np.median(scale[before]))
    offset = (track.centers[after] - centers[after]) * (1, 1 / aspect)
    yield SIZE, bool(1 / MAX_SIZE_FACTOR < size_factor < MAX_SIZE_FACTOR)
    yield POSITION, bool(np.median(np.linalg.norm(offset, axis=-1)) < MAX_DISTANCE)
