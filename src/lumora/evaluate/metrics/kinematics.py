"""Physical errors of an object's path in the frame: position, velocity, time of landing, height of the rebound."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from jaxtyping import Float

from lumora.evaluate.metrics.estimates import EstimateColumns, estimate, mean, ratio
from lumora.world.scene import Verb

Path2D: TypeAlias = Float[np.ndarray, "t 2"]
"""Column and row of an object's center, as shares of width and height; NaN if it is not found."""

DROP = 0.05
"""Share of the frame's height that an object must come down to have fallen, and come up to have bounced."""
FALLING: tuple[Verb, ...] = ("fall", "bounce", "jump")
RISING: tuple[Verb, ...] = ("bounce", "jump")


def kinematic_errors(
    generated: Sequence[Path2D],
    floor: Sequence[Path2D],
    truth: Sequence[Path2D],
    verbs: Sequence[Verb],
    given: int,
    fps: float,
) -> EstimateColumns:
    """Mean errors of `generated` paths and of `floor`, the instrument on the real clips, and their `ratio`.

    `position` is in frame widths, `velocity` in frame widths per second, `landing time` in seconds, `bounce height` in
    frame heights. A clip counts if the error is defined for both paths.
    """
    columns: EstimateColumns = {"generated": {}, "floor": {}, "ratio": {}}
    rows = {
        "position": _position_error,
        "velocity": _velocity_error,
        "landing time": _landing_error,
        "bounce height": _bounce_error,
    }
    for name, error in rows.items():
        pairs = np.array(
            [
                [error(path, true, verb, given, fps) for path in paths]
                for *paths, true, verb in zip(generated, floor, truth, verbs, strict=True)
            ]
        )
        errors, floor_errors = pairs[~np.isnan(pairs).any(axis=1)].T
        columns["generated"][name], columns["floor"][name] = estimate(mean, errors), estimate(mean, floor_errors)
        columns["ratio"][name] = estimate(ratio, errors, floor_errors)
    return columns


def landing(rows: Float[np.ndarray, " t"], given: int) -> int | None:
    """The first frame after the given ones in which an object that was falling stops falling."""
    for frame in range(given, len(rows) - 1):
        fallen = rows[frame] - rows[given - 1 : frame + 1].min()
        if fallen > DROP and rows[frame + 1] < rows[frame] + DROP / 4:
            return frame
    return None


def rebound(rows: Float[np.ndarray, " t"], given: int) -> float | None:
    """The height of the rebound after the landing, in frame heights."""
    frame = landing(rows, given)
    return None if frame is None else float(rows[frame] - rows[frame:].min())


def _position_error(path: Path2D, truth: Path2D, verb: Verb, given: int, fps: float) -> float:
    return _nan_mean(np.linalg.norm(path - truth, axis=1)[given:])


def _velocity_error(path: Path2D, truth: Path2D, verb: Verb, given: int, fps: float) -> float:
    return _nan_mean(np.linalg.norm(np.diff(path - truth, axis=0), axis=1)[given - 1 :] * fps)


def _landing_error(path: Path2D, truth: Path2D, verb: Verb, given: int, fps: float) -> float:
    frame, true = (landing(_filled_rows(one), given) for one in (path, truth))
    if verb not in FALLING or frame is None or true is None:
        return float("nan")
    return abs(frame - true) / fps


def _bounce_error(path: Path2D, truth: Path2D, verb: Verb, given: int, fps: float) -> float:
    height, true = (rebound(_filled_rows(one), given) for one in (path, truth))
    if verb not in RISING or height is None or true is None or true < DROP:
        return float("nan")
    return abs(height - true)


def _filled_rows(path: Path2D) -> Float[np.ndarray, " t"]:
    """Rows of the path, interpolated linearly where the object is not found; NaN throughout if it never is."""
    found = np.flatnonzero(~np.isnan(path[:, 1]))
    return np.interp(np.arange(len(path)), found, path[found, 1]) if len(found) else path[:, 1]


def _nan_mean(values: Float[np.ndarray, " t"]) -> float:
    return float(np.nanmean(values)) if not np.isnan(values).all() else float("nan")
