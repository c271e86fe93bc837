"""From the signals of a file to its clips, with the reasons for which some are left out."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from lumora.data.footage.duplicates import POSITIONS, encode_thumbnails, perceptual_hash
from lumora.data.footage.frame_signals import FrameSample, FrameSignals, shake_of
from lumora.data.footage.records import ClipMeasures, Crop, FootageClip, Reason

BAR_LEVEL = 24
"""Gray levels that nearly all pixels of a black bar stay under."""
MIN_BAR, MAX_BAR = 0.02, 0.35
"""Share of the picture that a bar covers on each side."""
MAX_BAR_DIFFERENCE = 0.25
"""Bars are nearly symmetric: how much the wider one may exceed the other, as a share."""


@dataclass(frozen=True)
class Screening:
    """The limits of the filters."""

    min_seconds: float = 0.5
    """Shorter shots are left out; pictures are not."""
    max_seconds: float = 20.0
    """Longer shots are cut into equal clips."""
    min_side: int = 32
    """Pixels of the shorter side, without black bars."""
    min_luma: float = 32.0
    """A clip whose brightest 5 % are darker is dark."""
    min_motion: float = 6.0
    """A video in which nothing changes by so many gray levels is still."""
    max_shake: float = 0.035
    """A clip whose picture's motion changes by more from frame to frame, in shares of its sides, is shaky."""
    max_text: float = 0.1
    """A clip of which text covers a larger share is text-heavy."""


@dataclass(frozen=True)
class FrameSchedule:
    """From distinct frames to frames at a constant rate (see `FrameReader.schedule`)."""

    indices: np.ndarray
    fps: float

    def position(self, frame: int) -> int:
        """The first step of the constant rate that shows this distinct frame or a later one."""
        return int(np.searchsorted(self.indices, frame))


def screen(
    signals: FrameSignals,
    schedule: FrameSchedule,
    size: tuple[int, int],
    source: str,
    caption: str,
    limits: Screening,
    is_picture: bool,
) -> list[FootageClip]:
    """The clips of a file of frames of `size` (height, width), in order; those that are left out have a reason."""
    clips = []
    for start, end in pairwise([0, *signals.cuts, len(signals.luma)]):
        begin, stop = schedule.position(start), schedule.position(end)
        pieces = max(1, int(np.ceil((stop - begin) / schedule.fps / limits.max_seconds)))
        edges = np.linspace(begin, stop, pieces + 1).round().astype(int)
        for steps in pairwise(edges.tolist()):
            distinct = int(schedule.indices[steps[0]]), int(schedule.indices[steps[1] - 1]) + 1
            clips.append(_clip(signals, distinct, steps, schedule.fps, size, source, caption, limits, is_picture))
    return clips


def _clip(
    signals: FrameSignals,
    distinct: tuple[int, int],
    steps: tuple[int, int],
    fps: float,
    size: tuple[int, int],
    source: str,
    caption: str,
    limits: Screening,
    is_picture: bool,
) -> FootageClip:
    samples = _samples_of(signals.samples, distinct)
    crop = find_bars(samples, size)
    height, width = size if crop is None else (crop.bottom - crop.top, crop.right - crop.left)
    thumbnails = [picture for number, picture in signals.thumbnails if distinct[0] <= number < distinct[1]]
    thumbnails = thumbnails or [max((t for t in signals.thumbnails if t[0] < distinct[1]), key=lambda t: t[0])[1]]
    shown = [thumbnails[min(int(position * len(thumbnails)), len(thumbnails) - 1)] for position in POSITIONS]
    translations = np.array(signals.translations[distinct[0] + 1 : distinct[1]]).reshape(-1, 2)
    measures = ClipMeasures(
        luma=float(np.median(signals.luma[distinct[0] : distinct[1]])),
        motion=_motion(thumbnails),
        shake=round(shake_of(translations), 5),
        text=round(float(np.median([sample.text for sample in samples])), 4),
    )
    num_frames = 1 if is_picture else steps[1] - steps[0]
    refusal = next((sample.refusal for sample in samples if sample.refusal), None)
    seconds = None if is_picture else num_frames / fps
    reason: Reason | None = _reason(measures, seconds, min(height, width), limits) or ("refused" if refusal else None)
    detail = refusal if refusal and reason == "refused" else ""
    return FootageClip(
        source, steps[0], num_frames, fps, width, height, measures, perceptual_hash(shown), encode_thumbnails(shown),
        preview=base64.b64encode(samples[len(samples) // 2].preview).decode("ascii"), crop=crop, reason=reason,
        detail=detail, caption=caption,
    )  # fmt: skip


def _reason(measures: ClipMeasures, seconds: float | None, side: int, limits: Screening) -> Reason | None:
    """The first reason that applies; `seconds` is None for a picture."""
    if side < limits.min_side:
        return "small"
    if seconds is not None and seconds < limits.min_seconds:
        return "short"
    if measures.luma < limits.min_luma:
        return "dark"
    if measures.text > limits.max_text:
        return "text"
    if seconds is not None and measures.motion < limits.min_motion:
        return "still"
    if seconds is not None and measures.shake > limits.max_shake:
        return "shaky"
    return None


def _samples_of(samples: Sequence[FrameSample], distinct: tuple[int, int]) -> list[FrameSample]:
    """Those within the clip, or else the last one before its end."""
    within = [sample for sample in samples if distinct[0] <= sample.frame < distinct[1]]
    return within or [max((s for s in samples if s.frame < distinct[1]), key=lambda s: s.frame)]


def _motion(thumbnails: Sequence[np.ndarray]) -> float:
    first = thumbnails[0].astype(np.float32)
    changes = [np.percentile(np.abs(picture - first).mean(axis=2), 98) for picture in thumbnails[1:]]
    return round(float(max(changes, default=0.0)), 2)


def find_bars(samples: Sequence[FrameSample], size: tuple[int, int]) -> Crop | None:
    """The part of the picture inside of black bars that all samples have; None if there are none."""
    top, bottom = _bars(np.max([sample.row_levels for sample in samples], axis=0))
    left, right = _bars(np.max([sample.column_levels for sample in samples], axis=0))
    if not (top or left):
        return None
    height, width = size
    return Crop(left, top, width - right, height - bottom)


def _bars(levels: np.ndarray) -> tuple[int, int]:
    """Widths of the bars at both ends, rounded up to even numbers; (0, 0) if there are none."""
    bright = np.flatnonzero(levels >= BAR_LEVEL)
    if not len(bright):
        return 0, 0
    first, last = int(bright[0]), len(levels) - 1 - int(bright[-1])
    small, large = min(first, last), max(first, last)
    if not MIN_BAR * len(levels) <= small or large > MAX_BAR * len(levels):
        return 0, 0
    if large - small > max(4, MAX_BAR_DIFFERENCE * large):
        return 0, 0
    return first + first % 2, last + last % 2
