"""What one pass over the frames of a file collects: shot cuts, brightness, motion, text, black bars and verdicts."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import cv2
import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image
from scenedetect import FrameTimecode
from scenedetect.detectors import AdaptiveDetector

from lumora.config import Resolution
from lumora.data.footage.text_area import text_area

Review: TypeAlias = Callable[[UInt8[np.ndarray, "t h w 3"]], str | None]
"""Why frames are refused, in a sentence; None if they are allowed. It must be picklable."""

DETECTOR_SIDE = 256
"""Longer side of the frames in which cuts are looked for."""
MIN_SHOT_SECONDS = 0.4
MIN_CUT_CHANGE = 6.0
"""Mean change of hue, saturation and brightness at a cut, at least; it must also be three times that of the frames
around it, which no camera motion of the world is."""
THUMBNAIL_SIDE, TRACKING_SIDE = 32, 64
THUMBNAILS_PER_SECOND = 8.0
SAMPLE_SECONDS, SAMPLE_CHANGE, MIN_SAMPLE_SECONDS = 1.0, 12.0, 0.25
"""A frame is sampled for text, bars and review after so many seconds, and where the picture has changed by so many gray
levels in the mean, but not more often than every MIN_SAMPLE_SECONDS, which is less than the shortest shot."""
MIN_TRACKING_RESPONSE = 0.1
"""Below it, phase correlation has found no motion of the whole picture."""
PREVIEW_SIDE = 200
"""Longer side of the frames in the report."""
REVIEW_PIXELS = 1 << 19
"""Frames are reviewed at no more pixels."""


@dataclass(frozen=True)
class FrameSample:
    """A frame that was looked at closely."""

    frame: int
    text: float
    """Share of the picture that lines of text cover."""
    row_levels: UInt8[np.ndarray, " h"]
    """The brightest level of each row, without the brightest hundredth of it, at full size."""
    column_levels: UInt8[np.ndarray, " w"]
    refusal: str | None
    """Why the review refuses it."""
    preview: bytes
    """A small picture of it, JPEG."""


@dataclass
class FrameSignals:
    """Fed with every distinct frame in order, by `add`; then `finish`."""

    rate: float
    """Frames a second, about."""
    review: Review | None = None
    luma: list[float] = field(default_factory=list)
    """95th percentile of each frame's brightness."""
    translations: list[tuple[float, float]] = field(default_factory=list)
    """Motion of the picture since the frame before, in shares of the side; NaN where it is unknown."""
    thumbnails: list[tuple[int, UInt8[np.ndarray, "s s 3"]]] = field(default_factory=list)
    """(frame, RGB), about THUMBNAILS_PER_SECOND."""
    samples: list[FrameSample] = field(default_factory=list)
    cuts: list[int] = field(default_factory=list)
    """Frames that begin a shot, except the first."""

    def __post_init__(self) -> None:
        min_length = max(1, round(MIN_SHOT_SECONDS * self.rate))
        self._detector = AdaptiveDetector(min_scene_len=min_length, min_content_val=MIN_CUT_CHANGE)
        self._sampled: tuple[float, np.ndarray] | None = None
        self._tracked: np.ndarray | None = None
        self._last_thumbnail = -np.inf
        self._window = cv2.createHanningWindow((TRACKING_SIDE, TRACKING_SIDE), cv2.CV_32F)

    def add(self, small: UInt8[np.ndarray, "h w 3"], full_frame: Callable[[], UInt8[np.ndarray, "h w 3"]]) -> None:
        """A frame with a longer side of DETECTOR_SIDE at most; `full_frame` gives it at full size, if it is looked
        at closely."""
        number, seconds = len(self.luma), len(self.luma) / self.rate
        self._find_cuts(number, small)
        thumbnail = cv2.resize(small, (THUMBNAIL_SIDE, THUMBNAIL_SIDE), interpolation=cv2.INTER_AREA)
        gray = cv2.cvtColor(thumbnail, cv2.COLOR_RGB2GRAY)
        self.luma.append(float(np.partition(gray.ravel(), 972)[972]))  # of 1,024 pixels
        self.translations.append(self._track(small))
        if seconds - self._last_thumbnail >= 0.999 / THUMBNAILS_PER_SECOND:
            self.thumbnails.append((number, thumbnail))
            self._last_thumbnail = seconds
        if self._is_due(seconds, gray):
            self._sampled = seconds, gray
            self.samples.append(self._sample(number, full_frame()))

    def finish(self) -> None:
        """After the last frame."""
        if self.luma:
            self._add_cuts(self._detector.post_process(self._timecode(len(self.luma))))
        self._tracked = None

    def _find_cuts(self, number: int, small: np.ndarray) -> None:
        self._add_cuts(self._detector.process_frame(self._timecode(number), cv2.cvtColor(small, cv2.COLOR_RGB2BGR)))

    def _add_cuts(self, cuts: list[Any]) -> None:
        self.cuts += [cut.frame_num for cut in cuts if cut.frame_num > 0]

    def _timecode(self, number: int) -> FrameTimecode:
        return FrameTimecode(number, fps=25.0)  # only the number counts

    def _track(self, small: np.ndarray) -> tuple[float, float]:
        tracked = cv2.resize(small, (TRACKING_SIDE, TRACKING_SIDE), interpolation=cv2.INTER_AREA)
        tracked = cv2.cvtColor(tracked, cv2.COLOR_RGB2GRAY).astype(np.float32)
        before, self._tracked = self._tracked, tracked
        if before is None:
            return np.nan, np.nan
        (x, y), response = cv2.phaseCorrelate(before, tracked, self._window)
        return (x / TRACKING_SIDE, y / TRACKING_SIDE) if response >= MIN_TRACKING_RESPONSE else (np.nan, np.nan)

    def _is_due(self, seconds: float, gray: np.ndarray) -> bool:
        if self._sampled is None:
            return True
        last_seconds, last_gray = self._sampled
        if seconds - last_seconds < MIN_SAMPLE_SECONDS:
            return False
        change = np.abs(gray.astype(np.float32) - last_gray).mean()
        return bool(seconds - last_seconds >= SAMPLE_SECONDS or change > SAMPLE_CHANGE)

    def _sample(self, number: int, frame: np.ndarray) -> FrameSample:
        gray = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
        rows, columns = _levels(gray), _levels(np.ascontiguousarray(gray.T))
        refusal = None if self.review is None else self.review(_at_most(frame, REVIEW_PIXELS)[None])
        return FrameSample(number, text_area(gray), rows, columns, refusal, _jpeg(_reduced(frame, PREVIEW_SIDE)))


def _jpeg(frame: UInt8[np.ndarray, "h w 3"]) -> bytes:
    with io.BytesIO() as file:
        Image.fromarray(frame).save(file, format="JPEG", quality=80)
        return file.getvalue()


def _levels(gray: UInt8[np.ndarray, "n m"]) -> UInt8[np.ndarray, " n"]:
    """The 99th percentile of each row."""
    rank = round(0.99 * (gray.shape[1] - 1))
    return np.partition(gray, rank, axis=1)[:, rank]


def _reduced(frame: np.ndarray, side: int) -> np.ndarray:
    height, width = frame.shape[:2]
    size = Resolution(width, height).within(side)
    if size == Resolution(width, height):
        return frame
    return cv2.resize(frame, (size.width, size.height), interpolation=cv2.INTER_AREA)


def _at_most(frame: np.ndarray, pixels: int) -> np.ndarray:
    height, width = frame.shape[:2]
    return _reduced(frame, round(max(height, width) * min(1.0, (pixels / (height * width)) ** 0.5)))


def shake_of(translations: Float[np.ndarray, "t 2"]) -> float:
    """Median of the change of the picture's motion from frame to frame; 0 for fewer than three frames.

    A pan at a steady speed has none, and a jolt has little. Changes where the motion is unknown do not count.
    """
    changes = np.diff(translations, axis=0) if len(translations) > 1 else np.empty((0, 2))
    known = changes[~np.isnan(changes).any(axis=1)]
    return float(np.median(np.hypot(*known.T))) if len(known) else 0.0
