"""A scaling law of the loss in model size and data, fitted to training runs, and how well it predicts a further run.

The law is that of Hoffmann et al. (arXiv:2203.15556, equation 2), L(N, D) = E + A / N^α + B / D^β, for N parameters and
D training clips. The compute of a run is D times the cost of a clip for a network of its size.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.optimize import nnls

EXPONENTS = tuple(0.05 * n for n in range(1, 31))
"""The coarse grid of exponents."""
MIN_RUNS = 6


@dataclass(frozen=True)
class ScalingRun:
    """One training run from scratch to the end of its schedule."""

    name: str
    """The name of its size."""
    parameters: int
    samples: int
    """Training clips."""
    flops: float
    """Of all forward and backward passes."""
    loss: float
    """On clips that no run has trained on."""
    prompt_following: float | None = None
    """The proportion of stated facts that its videos show; None if not measured."""


@dataclass(frozen=True)
class ScalingLaw:
    """L(N, D) = floor + size / N^size_exponent + data / D^data_exponent."""

    floor: float
    size: float
    size_exponent: float
    data: float
    data_exponent: float

    def loss(self, parameters: int | float, samples: int | float) -> float:
        return self.floor + self.size / parameters**self.size_exponent + self.data / samples**self.data_exponent


def fit_scaling_law(runs: Sequence[ScalingRun]) -> ScalingLaw:
    """The law with the least squares of the relative errors of the losses.

    For given exponents the other coefficients, which must not be negative, follow by linear least squares (variable
    projection: Golub and Pereyra, SIAM J. Numer. Anal. 10(2), 1973); the exponents are searched on a coarse and then on
    a finer grid. Raises ValueError for fewer than 6 runs, or runs of one size or one number of samples.
    """
    if len(runs) < MIN_RUNS or min(len({run.parameters for run in runs}), len({run.samples for run in runs})) < 2:
        raise ValueError(f"A scaling law needs at least {MIN_RUNS} runs of different sizes and lengths.")
    losses, sizes, samples = (np.array([getattr(r, n) for r in runs], float) for n in ("loss", "parameters", "samples"))
    # Ratios to the geometric means keep all coefficients near 1.
    mean_size, mean_samples = float(np.exp(np.log(sizes).mean())), float(np.exp(np.log(samples).mean()))

    def solve(exponents: tuple[float, float]) -> tuple[Float[np.ndarray, " 3"], float]:
        terms = [
            np.ones_like(losses), (sizes / mean_size) ** -exponents[0], (samples / mean_samples) ** -exponents[1]
        ]  # fmt: skip
        return nnls(np.stack(terms, axis=1) / losses[:, None], np.ones_like(losses))

    exponents = min(itertools.product(EXPONENTS, EXPONENTS), key=lambda pair: solve(pair)[1])
    for step in (0.01, 0.001):
        first, second = ([max(step, exponent + step * n) for n in range(-6, 7)] for exponent in exponents)
        exponents = min(itertools.product(first, second), key=lambda pair: solve(pair)[1])
    (floor, size, data), _ = solve(exponents)
    return ScalingLaw(
        floor=float(floor),
        size=float(size) * mean_size ** exponents[0],
        size_exponent=exponents[0],
        data=float(data) * mean_samples ** exponents[1],
        data_exponent=exponents[1],
    )


def best_size(law: ScalingLaw, runs: Sequence[ScalingRun], flops: float) -> tuple[str, float]:
    """Of the sizes of the runs, the one with the lowest predicted loss for this compute, and that loss."""
    cost = {run.name: (run.parameters, run.flops / run.samples) for run in runs}
    predicted = {name: law.loss(parameters, flops / per_clip) for name, (parameters, per_clip) in cost.items()}
    best = min(predicted, key=lambda name: predicted[name])
    return best, predicted[best]


def achieved_gain(law: ScalingLaw, runs: Sequence[ScalingRun], further: ScalingRun) -> float:
    """The gain of a further run on the best of the runs, over the predicted gain: 1 is as predicted, 0 is no gain.

    Raises ValueError if the law predicts no gain.
    """
    best, predicted = min(run.loss for run in runs), law.loss(further.parameters, further.samples)
    if predicted >= best:
        raise ValueError("The law predicts no gain for the further run; give it more compute.")
    return (best - further.loss) / (best - predicted)


def fit_missed_facts(runs: Sequence[ScalingRun]) -> tuple[float, float]:
    """(a, b) of the power law a / compute^b of the proportion of stated facts that videos do not show, fitted to the
    best run of each amount of compute.

    Raises ValueError if fewer than two amounts of compute have runs with measured prompt following.
    """
    budgets: dict[int, list[ScalingRun]] = {}
    for run in runs:
        if run.prompt_following is not None and run.prompt_following < 1:
            budgets.setdefault(round(10 * np.log10(run.flops)), []).append(run)
    best = [max(some, key=lambda run: run.prompt_following or 0.0) for some in budgets.values()]
    if len(best) < 2:
        raise ValueError("A law of prompt following needs runs of at least two amounts of compute.")
    missed = [1 - (run.prompt_following or 0.0) for run in best]
    slope, offset = np.polyfit(np.log([run.flops for run in best]), np.log(missed), 1)
    return float(np.exp(offset)), float(-slope)
