"""Figures that are no shares, with 95 % intervals over clips."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from jaxtyping import Float

DRAWS = 200
"""Resamples of an estimate: enough for a deviation."""

Table: TypeAlias = "dict[str, dict[str, Estimate]]"
"""Rows of named figures by the name of their column."""


@dataclass(frozen=True)
class Estimate:
    """A figure and how far chance may have moved it."""

    value: float
    deviation: float
    """Its standard error."""
    of: int
    """Clips."""

    def interval(self, z: float = 1.96) -> tuple[float, float]:
        """z = 1.96 covers 95 %."""
        return self.value - z * self.deviation, self.value + z * self.deviation


def estimate(statistic: Callable[..., float], *samples: Float[np.ndarray, "n *_"]) -> Estimate:
    """A statistic of samples whose rows belong to the same n clips, and its standard error by the bootstrap (Efron, Ann.
    Statist. 7(1), 1979). The interval is put around the value itself, because resampling biases a distance of two
    distributions. The same samples give the same figures: the draws have a seed of their own."""
    count = len(samples[0])
    if not count:
        return Estimate(float("nan"), float("nan"), 0)
    rng = np.random.default_rng(count)
    draws = (rng.integers(count, size=count) for _ in range(DRAWS))
    values = [statistic(*(sample[drawn] for sample in samples)) for drawn in draws]
    return Estimate(float(statistic(*samples)), float(np.std([v for v in values if np.isfinite(v)] or [np.nan])), count)


def mean(sample: Float[np.ndarray, " n"]) -> float:
    return float(np.mean(sample))


def ratio(above: Float[np.ndarray, " n"], below: Float[np.ndarray, " n"]) -> float:
    """Of the means: 1 where both are alike."""
    return float(np.mean(above) / np.mean(below)) if np.mean(below) else float("nan")
