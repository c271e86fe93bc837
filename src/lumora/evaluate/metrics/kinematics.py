"""What a thing's way in the picture tells of physics: its speed, when it comes down, how high it comes up again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from jaxtyping import Float

from lumora.evaluate.metrics.estimates import Table, estimate, mean, ratio
from lumora.world.scene import Verb

Places: TypeAlias = Float[np.ndarray, "t 2"]

DROP = 0.05
"""Share of the picture's height that a thing must have come down, to have fallen; and come up, to have bounced."""
FALLING: tuple[Verb, ...] = ("fall", "bounce", "jump")
RISING: tuple[Verb, ...] = ("bounce", "jump")


def laws(
    model: Sequence[Places],
    floor: Sequence[Places],
    truth: Sequence[Places],
    verbs: Sequence[Verb],
    given: int,
    fps: float,
) -> Table:
    """Mean errors of `model` and of `floor`, the instrument on the real clips, and the `ratio` of the two.

    `place` is in widths of the picture, `velocity` in widths a second, `time to fall` in seconds, `bounce height` in
    heights of the picture. A clip counts where both ways and the truth tell of it.
    """
    columns: Table = {"model": {}, "floor": {}, "ratio": {}}
    rows = {"place": _place, "velocity": _velocity, "time to fall": _time, "bounce height": _height}
    for name, error in rows.items():
        pairs = np.array(
            [
                [error(places, true, verb, given, fps) for places in (made, real)]
                for made, real, true, verb in zip(model, floor, truth, verbs, strict=True)
            ]
        )
        made, real = pairs[~np.isnan(pairs).any(axis=1)].T
        columns["model"][name], columns["floor"][name] = estimate(mean, made), estimate(mean, real)
        columns["ratio"][name] = estimate(ratio, made, real)
    return columns


def landing(rows: Float[np.ndarray, " t"], given: int) -> int | None:
    """The first frame after the given ones in which a thing that came down doesn't come down any more."""
    for frame in range(given, len(rows) - 1):
        fallen = rows[frame] - rows[given - 1 : frame + 1].min()
        if fallen > DROP and rows[frame + 1] < rows[frame] + DROP / 4:
            return frame
    return None


def rebound(rows: Float[np.ndarray, " t"], given: int) -> float | None:
    """How high it comes up again after that, in shares of the picture's height."""
    frame = landing(rows, given)
    return None if frame is None else float(rows[frame] - rows[frame:].min())


def _place(places: Places, truth: Places, verb: Verb, given: int, fps: float) -> float:
    return _mean(np.linalg.norm(places - truth, axis=1)[given:])


def _velocity(places: Places, truth: Places, verb: Verb, given: int, fps: float) -> float:
    return _mean(np.linalg.norm(np.diff(places - truth, axis=0), axis=1)[given - 1 :] * fps)


def _time(places: Places, truth: Places, verb: Verb, given: int, fps: float) -> float:
    moment, true = (landing(_filled(way), given) for way in (places, truth))
    if verb not in FALLING or moment is None or true is None:
        return float("nan")
    return abs(moment - true) / fps


def _height(places: Places, truth: Places, verb: Verb, given: int, fps: float) -> float:
    height, true = (rebound(_filled(way), given) for way in (places, truth))
    if verb not in RISING or height is None or true is None or true < DROP:
        return float("nan")
    return abs(height - true)


def _filled(places: Places) -> Float[np.ndarray, " t"]:
    """Rows of the middle; between two frames in which it is seen it goes straight. NaN throughout if it never is."""
    seen = np.flatnonzero(~np.isnan(places[:, 1]))
    return np.interp(np.arange(len(places)), seen, places[seen, 1]) if len(seen) else places[:, 1]


def _mean(values: Float[np.ndarray, " t"]) -> float:
    return float(np.nanmean(values)) if not np.isnan(values).all() else float("nan")
