"""Figures that are no shares, with 95 % intervals over clips."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from jaxtyping import Float

DRAWS = 200
"""Resamples of an estimate."""

Table: TypeAlias = "dict[str, dict[str, Estimate]]"
"""Rows of named figures by the name of their column."""


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % interval."""

    value: float
    low: float
    high: float
    of: int
    """Clips."""


def estimate(statistic: Callable[..., float], *samples: Float[np.ndarray, "n ..."]) -> Estimate:
    """A statistic of samples whose rows belong to the same n clips, with its interval by the bootstrap (Efron, Ann.
    Statist. 7(1), 1979).

    It reaches as far from the value as the resamples' percentiles from their median, because resampling makes a
    distance of two distributions larger. The same samples give the same figures: the draws have a seed of their own.
    """
    count = len(samples[0])
    if not count:
        return Estimate(float("nan"), float("nan"), float("nan"), 0)
    rng, value = np.random.default_rng(count), float(statistic(*samples))
    draws = (rng.integers(count, size=count) for _ in range(DRAWS))
    values = np.array([statistic(*(sample[drawn] for sample in samples)) for drawn in draws])
    if not np.isfinite(values).any():
        return Estimate(value, float("nan"), float("nan"), count)
    low, middle, high = np.percentile(values[np.isfinite(values)], (2.5, 50, 97.5)).tolist()
    return Estimate(value, value - (middle - low), value + (high - middle), count)


def mean(sample: Float[np.ndarray, " n"]) -> float:
    return float(np.mean(sample))


def ratio(above: Float[np.ndarray, " n"], below: Float[np.ndarray, " n"]) -> float:
    """Of the means: 1 where both are alike."""
    return float(np.mean(above) / np.mean(below)) if np.mean(below) else float("nan")


def table(columns: Table) -> str:
    """A row for each figure of the first column, a column for each set of them, with 95 % intervals."""
    first = next(iter(columns.values()))
    width = max((len(row) for row in first), default=0)
    lines = [" " * width + "".join(f"{name:>26}" for name in columns)]
    for row, figure in first.items():
        cells = "".join(f"{written(column[row]) if row in column else '':>26}" for column in columns.values())
        lines.append(f"{row:{width}}{cells}  of {figure.of}")
    return "\n".join(lines)


def written(figure: Estimate) -> str:
    known = math.isfinite(figure.value)
    return f"{figure.value:.3f} [{figure.low:.3f}, {figure.high:.3f}]" if known else "–"
