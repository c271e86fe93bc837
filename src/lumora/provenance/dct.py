"""Low-frequency DCT coefficients of a video's luma, in space and in time.

The watermark is embedded in these coefficients, and fingerprints are made of them, because codecs, resizing and new
frame rates hardly change them. In space they are a two-dimensional DCT-II of the whole frame (Ahmed, Natarajan and Rao,
"Discrete cosine transform", 1974), in time cosines with a half period of at most two seconds. A frequency is counted in
half cycles per side of the frame.

When a video is a crop of the original, or starts later or plays faster, the coefficients of the original are estimated
by ridge regression (Hoerl and Kennard, 1970) under an assumed alignment. `search_stages` goes through all alignments.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from PIL import Image

from lumora.media.video import Video

MIN_FREQUENCY = 1.5
"""Lower limit of the watermark's band: the constant and the slopes of a frame carry no watermark."""
VIDEO_MAX_FREQUENCY, IMAGE_MAX_FREQUENCY = 8.0, 28.0
"""Upper limits of the watermark's band. An image has no frequencies in time, so it uses more of them in space."""
REFERENCE_MAX_FREQUENCY = 12.0
"""Upper limit for what is stored of an original video. A crop mixes frequencies slightly above the watermark's band
into it. An image stores its watermark's band."""
NUM_TIME_FREQUENCIES, TIME_HALF_PERIOD = 17, 2.0
"""Frequencies in time, and the half period of the lowest one above zero in seconds."""
TIME_RIDGE, SPACE_RIDGE = 3.0, 0.1
"""Regularization of the regressions, for frequencies that few frames or a part of the frame cannot separate."""
MAX_SIDE = 64
"""Sides of the reduced frames in pixels, at most. The wavelengths used are far longer than one such pixel."""
CHUNK_FRAMES = 256
"""Frames that are held in double precision at a time."""
LUMA_WEIGHTS = np.array([0.2126, 0.7152, 0.0722])
"""Weights of R, G and B in luma (ITU-R BT.709)."""


@dataclass(frozen=True)
class CropBox:
    """The part of the original frame that a video shows, as fractions of the original's height and width."""

    top: float = 0.0
    left: float = 0.0
    height: float = 1.0
    width: float = 1.0


@dataclass(frozen=True)
class Alignment:
    """Where a video lies in the original: its start in seconds, its speed, and the part of the frame it shows."""

    start: float = 0.0
    speed: float = 1.0
    box: CropBox = CropBox()


@dataclass(frozen=True)
class ReducedVideo:
    """The luma of a video, on a scale of 0 to 255, with at most MAX_SIDE pixels a side. An image has one frame."""

    luma: Float[np.ndarray, "t h w"]
    fps: float

    @property
    def times(self) -> Float[np.ndarray, " t"]:
        """When each frame begins, in seconds."""
        return np.arange(len(self.luma)) / self.fps


SearchStage: TypeAlias = tuple[list[CropBox], Float[np.ndarray, "_ q n"]]
"""Crop boxes, and for each of them q × n coefficients: frequencies in time by frequencies of the band in space."""


def reduced(video: Video) -> ReducedVideo:
    return ReducedVideo(np.stack([reduced_luma(frame) for frame in video.frames]), video.fps)


def reduced_luma(frame: UInt8[np.ndarray, "h w 3"]) -> Float[np.ndarray, "small_h small_w"]:
    """One frame's luma, averaged to at most MAX_SIDE pixels a side."""
    height, width = (min(MAX_SIDE, pixels) for pixels in frame.shape[:2])
    if (height, width) == frame.shape[:2]:
        return (frame @ LUMA_WEIGHTS).astype(np.float32)
    # Each channel alone, so that a large frame is never held in floating point.
    channels = (channel.convert("F") for channel in Image.fromarray(frame).split())
    small = [np.asarray(channel.resize((width, height), Image.Resampling.BOX)) for channel in channels]
    return (np.stack(small, axis=-1) @ LUMA_WEIGHTS).astype(np.float32)


class LumaBuffer:
    """Reduced frames in one array that grows in place: a list of them and their stack would take twice the memory."""

    def __init__(self) -> None:
        self._frames: Float[np.ndarray, "capacity h w"] = np.empty((0, 1, 1), np.float32)
        self._count = 0

    def append(self, luma: Float[np.ndarray, "h w"]) -> None:
        if self._count == len(self._frames):
            self._frames.resize((self._count + CHUNK_FRAMES, *luma.shape), refcheck=False)
        self._frames[self._count] = luma
        self._count += 1

    def scheduled(self, order: Int[np.ndarray, " n"]) -> Float[np.ndarray, "n h w"]:
        """The frames with these indices; a view if these are all of them in order."""
        frames = self._frames[: self._count]
        return frames if np.array_equal(order, np.arange(self._count)) else frames[order]


def search_stages(clip: ReducedVideo) -> Iterator[SearchStage]:
    """The coefficients of a video as it is, then under the other alignments, several crop boxes at a time."""
    size, band = watermark_band(len(clip.luma))
    for start, speed, boxes in _SEARCH:
        planes = temporal_coefficients(clip.luma, time_basis(start + speed * clip.times))
        yield boxes, np.stack([spatial_coefficients(planes, size, band, box) for box in boxes])


def temporal_coefficients(
    luma: Float[np.ndarray, "t h w"], basis: Float[np.ndarray, "t q"]
) -> Float[np.ndarray, "q h w"]:
    """The coefficient of each frequency in time at every pixel."""
    estimator = temporal_estimator(basis)
    parts = (slice(begin, begin + CHUNK_FRAMES) for begin in range(0, len(luma), CHUNK_FRAMES))
    return sum((np.tensordot(estimator[:, part], luma[part], axes=1) for part in parts), np.zeros(1))


def temporal_estimator(basis: Float[np.ndarray, "t q"]) -> Float[np.ndarray, "q t"]:
    """The matrix (BᵀB/t + λ/t·I)⁻¹·Bᵀ/t of the ridge regression: times the frames it gives coefficients in time."""
    frames, frequencies = basis.shape
    gram = basis.T @ basis / frames + TIME_RIDGE / frames * np.eye(frequencies)
    return np.linalg.solve(gram, basis.T / frames)


def spatial_coefficients(
    planes: Float[np.ndarray, "q h w"], size: int, band: Bool[np.ndarray, "s s"], box: CropBox
) -> Float[np.ndarray, "q n"]:
    """The coefficients in the band of `watermark_band` or `reference_band`, if the planes show `box` of the frame."""
    rows = space_basis(planes.shape[1], size, box.top, box.height)
    columns = space_basis(planes.shape[2], size, box.left, box.width)
    products = ((rows.T @ planes @ columns)[:, band] / (len(rows) * len(columns))).T
    if box == CropBox():
        return products.T  # over the whole frame the basis is orthonormal
    return np.linalg.solve(spatial_gram(rows, columns, band), products).T


def spatial_gram(
    rows: Float[np.ndarray, "h s"], columns: Float[np.ndarray, "w s"], band: Bool[np.ndarray, "s s"]
) -> Float[np.ndarray, "n n"]:
    """BᵀB/(h·w) + λ·I for the two-dimensional basis B: how much a crop mixes the frequencies, with the ridge."""
    row_index, column_index = np.nonzero(band)
    row_gram, column_gram = rows.T @ rows / len(rows), columns.T @ columns / len(columns)
    gram = row_gram.take(row_index, 0).take(row_index, 1)
    gram *= column_gram.take(column_index, 0).take(column_index, 1)
    gram.flat[:: len(gram) + 1] += SPACE_RIDGE  # the diagonal
    return gram


def time_basis(seconds: Float[np.ndarray, " t"]) -> Float[np.ndarray, "t q"]:
    """√2·cos(πkt/TIME_HALF_PERIOD), and 1 for k = 0, at these times. An image has k = 0 only."""
    k = np.arange(NUM_TIME_FREQUENCIES if len(seconds) > 1 else 1)
    return np.where(k, math.sqrt(2), 1.0) * np.cos(np.pi * k * seconds[:, None] / TIME_HALF_PERIOD)


def space_basis(pixels: int, size: int, begin: float, length: float) -> Float[np.ndarray, "pixels size"]:
    """The DCT-II basis √2·cos(πkx), and 1 for k = 0, where x are the centers of the pixels from `begin` to
    `begin + length` on a side that goes from 0 to 1."""
    x = begin + length * (np.arange(pixels) + 0.5) / pixels
    k = np.arange(size)
    return np.where(k, math.sqrt(2), 1.0) * np.cos(np.pi * k * x[:, None])


@lru_cache(8)
def watermark_band(frames: int) -> tuple[int, Bool[np.ndarray, "s s"]]:
    """How many frequencies a side has, and which pairs of them carry the watermark of a video of so many frames."""
    limit = IMAGE_MAX_FREQUENCY if frames == 1 else VIDEO_MAX_FREQUENCY
    size = math.ceil(limit)
    frequency = np.hypot(*np.mgrid[:size, :size])
    return size, (frequency >= MIN_FREQUENCY) & (frequency < limit)


@lru_cache(8)
def reference_band(frames: int) -> tuple[int, Bool[np.ndarray, "s s"]]:
    """As `watermark_band`, for what is stored of an original. It includes the lowest frequencies."""
    limit = IMAGE_MAX_FREQUENCY if frames == 1 else REFERENCE_MAX_FREQUENCY
    size = math.ceil(limit)
    return size, np.hypot(*np.mgrid[:size, :size]) < limit


def _crop_boxes() -> list[CropBox]:
    """Crops of the frame's own shape, down to 0.6 of a side. The steps are small against the wavelengths."""
    boxes = []
    for side in np.arange(0.96, 0.6, -0.04):
        offsets = np.linspace(0, 1 - side, 1 + math.ceil((1 - side) / 0.06))
        boxes += [CropBox(top, left, side, side) for top in offsets.tolist() for left in offsets.tolist()]
    return boxes


_SEARCH = (
    (0.0, 1.0, [CropBox()]),
    *((0.0, speed, [CropBox()]) for speed in (0.5, 2.0)),
    *((eighth / 8, 1.0, [CropBox()]) for eighth in range(1, 17)),
    (0.0, 1.0, _crop_boxes()),
)
"""Start in seconds, speed and crop boxes of each stage."""

ALIGNMENTS = tuple(Alignment(start, speed, box) for start, speed, boxes in _SEARCH for box in boxes)
"""All alignments, in the order of `search_stages`."""
