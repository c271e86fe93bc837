"""What was out of sight comes back: things that leave the picture, or are hidden, and return.

They are followed by the tables of colours (`tracking`). Where and how large they should be the simulator knows, of a
video that begins as the clip does.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float, UInt8

from lumora.config import VideoShape
from lumora.evaluate.instruments.color_tracker import BlobTrack, ColorTables, tracked
from lumora.evaluate.suites.held_out import HELD_OUT_SEED
from lumora.world.clip import Clip, make_clip, make_scene
from lumora.world.sample.framing import project
from lumora.world.visibility import SEEN, absences, comes_back, visibility

RETURNS = ("comes back", "as large", "in its place")
"""What is asked of a thing that should return; of one that doesn't, the first alone."""
SAME_SIZE, SAME_PLACE = 1.6, 0.12
"""What comes back is as large as it should be within this factor, and in its place within so many picture widths."""


def held_out_returns(preset: str, clips: int, shape: VideoShape, seed: int = HELD_OUT_SEED) -> list[Clip]:
    """Clips in which something is seen at first, then out of sight, and seen again at the end; none in black and white,
    where it could not be told by its colour.

    They don't end in a world where nothing is ever out of sight.
    """
    found = (index for index in itertools.count() if _something_returns(preset, seed, index, shape))
    return [make_clip(preset, seed, index, shape) for index in itertools.islice(found, clips)]


def _something_returns(preset: str, seed: int, index: int, shape: VideoShape) -> bool:
    scene, trajectory = make_scene(preset, seed, index, shape)
    shown = visibility(scene, trajectory, shape.width / shape.height)
    return scene.style != "black and white" and any(map(comes_back, shown.T))


def returned(tables: ColorTables, clip: Clip, frames: UInt8[np.ndarray, "t h w 3"]) -> Iterator[tuple[str, bool]]:
    """What became of everything that returns in the clip, in a video that begins as it does; of what was found before
    it left."""
    aspect = frames.shape[2] / frames.shape[1]
    shown = visibility(clip.scene, clip.trajectory, aspect)
    way = clip.trajectory
    centres, scale = project(clip.scene.camera, way.camera_positions, way.camera_targets, way.positions)
    places = (centres / np.array([max(aspect, 1.0), -max(1 / aspect, 1.0)]) + 1) / 2
    tracks = tracked(tables, frames)[2]
    for i, subject in enumerate(clip.scene.subjects):
        absent, seen = absences(shown[:, i]), shown[:, i] > SEEN
        if comes_back(shown[:, i]):
            yield from _return(tracks[subject.color], absent, seen, places[:, i], scale[:, i], aspect)


def _return(
    track: BlobTrack,
    absent: Bool[np.ndarray, " t"],
    seen: Bool[np.ndarray, " t"],
    places: Float[np.ndarray, "t 2"],
    scale: Float[np.ndarray, " t"],
    aspect: float,
) -> Iterator[tuple[str, bool]]:
    """`places` and `scale` are the true ones."""
    first, last = np.flatnonzero(absent)[[0, -1]]
    times, shown = np.arange(len(absent)), track.areas > 0
    before, after = shown & seen & (times < first), shown & seen & (times > last)
    if not before.any():
        return
    back = bool(2 * after.sum() > (seen & (times > last)).sum())
    yield "comes back", back
    if not back:
        return
    grown = np.sqrt(np.median(track.areas[after]) / np.median(track.areas[before]))
    factor = grown / (np.median(scale[after]) / np.median(scale[before]))
    apart = (track.places[after] - places[after]) * (1, 1 / aspect)
    yield "as large", bool(1 / SAME_SIZE < factor < SAME_SIZE)
    yield "in its place", bool(np.median(np.linalg.norm(apart, axis=-1)) < SAME_PLACE)
