"""Frame rates: from frames at any times to a constant rate, and from one constant rate to another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int

MAX_REPEATED_FRAMES = 3600
"""Frames of a constant rate that a clip of a variable rate may always become: a minute at 60 frames a second."""
MAX_SPEEDUP = 4.0
"""Beyond that, most frames of the constant rate for each frame of the variable rate, on average. Both limits bound the
memory that a small file can ask for."""
MIN_GIF_DELAY, SUBSTITUTE_DELAY = 0.02, 0.1
"""Seconds. As in browsers, a GIF's frame with a delay under 20 ms lasts 100 ms, and so does any frame with delay 0."""


def constant_rate(times: Sequence[float | None], rate: float) -> tuple[Int[np.ndarray, " n"], float]:
    """Which frame to show at each step of a constant rate, and that rate.

    `times` holds the seconds at which each frame begins, then the second at which the last one ends; None if unknown.
    If the frames are evenly spaced, each is shown once, at `rate` or at their mean rate. Otherwise the rate is that of
    the closest frames, and the others are repeated for as long as they last.
    """
    count, at = len(times) - 1, np.array(times, float)  # None becomes NaN
    at, durations = at - at[0], np.diff(at)
    if count == 1 or not durations.min() > 0:
        return np.arange(count), rate
    for even in (rate, count / at[-1]):
        if np.abs(at[:-1] * even - np.arange(count)).max() <= 0.5:
            return np.arange(count), float(even)
    most = max(MAX_SPEEDUP * count, MAX_REPEATED_FRAMES)
    fastest = float(min(np.round(durations / durations.min()).sum(), most) / at[-1])
    steps = np.arange(round(at[-1] * fastest)) + 0.5
    return np.searchsorted(at[:-1] * fastest, steps) - 1, fastest


def resampled_frames(count: int, fps: float, new_fps: float) -> Int[np.ndarray, " n"]:
    """The nearest of `count` frames at `fps` for each frame at `new_fps`; a single frame stays single."""
    new_count = max(1, round(count * new_fps / fps)) if count > 1 else 1
    return np.minimum(np.arange(new_count) * fps / new_fps + 1e-6, count - 1).round().astype(int)


def shown_delay(delay: float, is_gif: bool) -> float:
    """For how many seconds a frame with this delay in its file is shown."""
    return SUBSTITUTE_DELAY if delay <= 0 or (is_gif and delay < MIN_GIF_DELAY) else delay


def frame_durations(count: int, fps: float, units_per_second: int) -> list[int]:
    """How long each frame is shown, in whole units, rounded so that errors do not add up; at least one unit."""
    ends = np.round(np.arange(count + 1) * units_per_second / fps).astype(int)
    return [max(1, int(duration)) for duration in np.diff(ends)]
