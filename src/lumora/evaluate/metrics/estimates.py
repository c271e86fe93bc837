"""Estimates of continuous statistics with 95 % bootstrap intervals over clips."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from jaxtyping import Float

RESAMPLES = 200
"""Bootstrap resamples of an estimate."""

EstimateColumns: TypeAlias = "dict[str, dict[str, Estimate]]"
"""Estimates by column and row."""


@dataclass(frozen=True)
class Estimate:
    """A statistic with its 95 % interval."""

    value: float
    low: float
    high: float
    count: int
    """Number of clips."""

    def interval(self) -> tuple[float, float]:
        return self.low, self.high


def estimate(statistic: Callable[..., float], *samples: Float[np.ndarray, "n ..."]) -> Estimate:
    """A statistic of samples whose rows belong to the same n clips, with its interval by the bootstrap (Efron, Ann.
    Statist. 7(1), 1979).

    The interval is as wide as that between the resamples' percentiles and their median, placed around the value,
    because resampling biases distances between distributions upwards. The resampling is seeded by n: the same samples
    give the same estimate.
    """
    count = len(samples[0])
    if not count:
        return Estimate(float("nan"), float("nan"), float("nan"), 0)
    rng, value = np.random.default_rng(count), float(statistic(*samples))
    resamples = (rng.integers(count, size=count) for _ in range(RESAMPLES))
    values = np.array([statistic(*(sample[indices] for sample in samples)) for indices in resamples])
    if not np.isfinite(values).any():
        return Estimate(value, float("nan"), float("nan"), count)
    low, median, high = np.percentile(values[np.isfinite(values)], (2.5, 50, 97.5)).tolist()
    return Estimate(value, value - (median - low), value + (high - median), count)


def mean(sample: Float[np.ndarray, " n"]) -> float:
    return float(np.mean(sample))


def ratio(numerator: Float[np.ndarray, " n"], denominator: Float[np.ndarray, " n"]) -> float:
    """The ratio of the means; NaN if the mean of the denominator is 0."""
    return float(np.mean(numerator) / np.mean(denominator)) if np.mean(denominator) else float("nan")
