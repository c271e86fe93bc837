"""The slow waves of a video's luma, in space and in time: what a mark is put into, and what looks are told by.

They are a DCT of the whole frame, up to `WAVES` half waves a side, by a DCT of two seconds. Codecs, resizing and new
frame rates hardly change them. Of a part of a frame, or with another beginning or speed, they are found by least
squares under each of some places of the part in the whole: `stages` goes through these.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, Float
from PIL import Image

from lumora.media.video import Video

WAVES, STILL_WAVES = 8.0, 28.0
"""Most half waves a side; a picture lacks the waves in time, and gets more in space."""
TIMES, TIMES_SECONDS = 17, 2.0
"""Waves in time, and the duration of a half wave of the slowest one."""
TIME_RIDGE, SPACE_RIDGE = 3.0, 0.1
"""Against waves that few frames, or a part of the frame, can't tell apart; of least squares."""
SIDE = 64
"""Pixels of the longer side of what is read; the waves are far longer."""
LUMA = np.array([0.2126, 0.7152, 0.0722])
WHOLE_WAVES = 12.0
"""Most half waves a side of what is known of a whole video: those of the mark, the slowest, and some that a crop mixes
with them; a picture's go no further than its mark."""


@dataclass(frozen=True)
class CropBox:
    """The part of the original frame that a video shows, in shares of its height and width."""

    top: float = 0.0
    left: float = 0.0
    height: float = 1.0
    width: float = 1.0


Stage: TypeAlias = tuple[list[CropBox], Float[np.ndarray, "_ q n"]]
"""Some places, and the waves at each."""


def reduction_stages(video: Video) -> Iterator[Stage]:
    """The waves of a video as it is; then, some places at a time, as if it were a part of a frame of the same shape, or
    had another beginning or speed."""
    return reduction_stages_of(reduced(video), video.fps)


def reduction_stages_of(luma: Float[np.ndarray, "t h w"], fps: float) -> Iterator[Stage]:
    """As `stages`, of what may be another thing than a video's luma."""
    size, band = used_waves(len(luma))
    for start, speed, boxes in _SEARCH:
        planes = time_part(luma, time_waves(start + speed * np.arange(len(luma)) / fps))
        yield boxes, np.stack([space_part(planes, size, band, box) for box in boxes])


def time_part(luma: Float[np.ndarray, "t h w"], in_time: Float[np.ndarray, "t q"]) -> Float[np.ndarray, "q h w"]:
    """How much of each wave in time there is in every pixel."""
    return np.tensordot(reading_in_time(in_time), luma, axes=1)


def reading_in_time(in_time: Float[np.ndarray, "t q"]) -> Float[np.ndarray, "q t"]:
    """What frames are multiplied by, to see how much there is of each wave: least squares, with a ridge for waves that
    frames can't tell apart."""
    frames, waves = in_time.shape
    gram = in_time.T @ in_time / frames + TIME_RIDGE / frames * np.eye(waves)
    return np.linalg.solve(gram, in_time.T / frames)


def space_part(
    planes: Float[np.ndarray, "q h w"], size: int, band: Bool[np.ndarray, "s s"], box: CropBox
) -> Float[np.ndarray, "q n"]:
    """How much of each wave in space there is in every plane, of which `box` is seen: least squares again."""
    down = space_waves(planes.shape[1], size, box.top, box.height)
    across = space_waves(planes.shape[2], size, box.left, box.width)
    found = ((down.T @ planes @ across)[:, band] / (len(down) * len(across))).T
    if box == CropBox():
        return found.T  # the waves of a whole frame are orthogonal
    return np.linalg.solve(mixing(down, across, band), found).T


def mixing(
    down: Float[np.ndarray, "h s"], across: Float[np.ndarray, "w s"], band: Bool[np.ndarray, "s s"]
) -> Float[np.ndarray, "n n"]:
    """How much of each wave is seen in each other one where a part of a frame is seen, with a ridge."""
    rows, columns = np.nonzero(band)
    gram_down, gram_across = down.T @ down / len(down), across.T @ across / len(across)
    gram = gram_down[np.ix_(rows, rows)] * gram_across[np.ix_(columns, columns)]
    return gram + SPACE_RIDGE * np.eye(len(gram))


def time_waves(moments: Float[np.ndarray, " t"]) -> Float[np.ndarray, "t q"]:
    """Cosines of mean square 1 at these moments in seconds; a picture has the first one alone."""
    numbers = np.arange(TIMES if len(moments) > 1 else 1)
    return np.where(numbers, math.sqrt(2), 1.0) * np.cos(np.pi * numbers * moments[:, None] / TIMES_SECONDS)


def space_waves(pixels: int, size: int, begin: float, length: float) -> Float[np.ndarray, "pixels size"]:
    """Cosines of mean square 1 over a whole side, at the centres of the pixels of a part of it."""
    places = begin + length * (np.arange(pixels) + 0.5) / pixels
    return np.where(np.arange(size), math.sqrt(2), 1.0) * np.cos(np.pi * np.arange(size) * places[:, None])


@lru_cache(8)
def used_waves(frames: int) -> tuple[int, Bool[np.ndarray, "s s"]]:
    """How many waves a side, and which of their pairs are used: all slow ones but the three slowest."""
    most = STILL_WAVES if frames == 1 else WAVES
    size = math.ceil(most)
    speed = np.hypot(*np.mgrid[:size, :size])
    return size, (speed >= 1.5) & (speed < most)


@lru_cache(8)
def whole_waves(frames: int) -> tuple[int, Bool[np.ndarray, "s s"]]:
    """As `used_waves`, of what is known of a whole video: the slowest are among them."""
    most = STILL_WAVES if frames == 1 else WHOLE_WAVES
    size = math.ceil(most)
    return size, np.hypot(*np.mgrid[:size, :size]) < most


def reduced(video: Video) -> Float[np.ndarray, "t h w"]:
    """Its luma, of no more than SIDE pixels a side."""
    luma = (video.frames @ LUMA).astype(np.float32)
    height, width = (min(SIDE, n) for n in luma.shape[1:])
    if (height, width) == luma.shape[1:]:
        return luma
    return np.stack([np.asarray(Image.fromarray(f).resize((width, height), Image.Resampling.BOX)) for f in luma])


def _crops() -> list[CropBox]:
    """Parts of the frame of its own shape, down to 0.6 of a side, in steps that the waves forgive."""
    boxes = []
    for side in np.arange(0.96, 0.6, -0.04):
        places = np.linspace(0, 1 - side, 1 + math.ceil((1 - side) / 0.06))
        boxes += [CropBox(top, left, side, side) for top in places.tolist() for left in places.tolist()]
    return boxes


_SEARCH = (
    (0.0, 1.0, [CropBox()]),
    *((0.0, speed, [CropBox()]) for speed in (0.5, 2.0)),
    *((start / 8, 1.0, [CropBox()]) for start in range(1, 17)),
    (0.0, 1.0, _crops()),
)
"""Start in seconds, speed, and parts of the frame."""
PLACES = sum(len(boxes) for _, _, boxes in _SEARCH)


def place(number: int) -> tuple[float, float, CropBox]:
    """Start in seconds, speed and part of the frame, as `stages` counts them."""
    return [(start, speed, box) for start, speed, boxes in _SEARCH for box in boxes][number]
