"""How the loss falls with size and compute: a power law fitted to runs, and what a further run makes of its prediction.

The law is the one of Hoffmann et al. (arXiv:2203.15556, equation 2), L(N, D) = E + A / N^α + B / D^β, where N is the
number of parameters and D the number of clips seen; a run's compute is D times what a clip costs a network of its size.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.optimize import least_squares

from lumora.evaluate.chart import Series, chart

HUBER = 1e-3
"""From this difference of logarithms on an error counts in proportion (Hoffmann et al., section 3.3)."""


@dataclass(frozen=True)
class Run:
    """One training from nothing to the end of its schedule."""

    name: str
    """Of its size."""
    parameters: int
    samples: int
    """Clips seen."""
    flops: float
    """All of them, forward and backward."""
    loss: float
    """On clips that no run has seen."""
    following: float | None = None
    """Share of the stated facts that its videos show."""


@dataclass(frozen=True)
class Law:
    """L(N, D) = floor + size / N^size_power + data / D^data_power."""

    floor: float
    size: float
    size_power: float
    data: float
    data_power: float

    def loss(self, parameters: float, samples: float) -> float:
        return self.floor + self.size / parameters**self.size_power + self.data / samples**self.data_power


def fit(runs: Sequence[Run]) -> Law:
    """The law that is nearest to all runs, in logarithms of the loss; the best from several starts.

    Raises ValueError for fewer than 6 runs, or runs of one size or one number of samples: they don't tell of five
    numbers.
    """
    if len(runs) < 6 or min(len({run.parameters for run in runs}), len({run.samples for run in runs})) < 2:
        raise ValueError("A law needs at least 6 runs, of different sizes and lengths.")
    losses, sizes, samples = (np.array([getattr(r, n) for r in runs], float) for n in ("loss", "parameters", "samples"))

    def errors(x: Float[np.ndarray, 5]) -> Float[np.ndarray, " n"]:
        floor, size, size_power, data, data_power = x
        parts = [np.full_like(losses, floor), size - size_power * np.log(sizes), data - data_power * np.log(samples)]
        return np.logaddexp.reduce(parts) - np.log(losses)

    starts = itertools.product((-2.0, 0.0), (0.0, 4.0), (0.2, 0.6), (0.0, 4.0), (0.2, 0.6))
    bounds = ([-20, -20, 0, -20, 0], [np.log(losses.min()), 40, 2, 40, 2])
    tried = (
        least_squares(errors, np.clip(start, bounds[0], bounds[1]), bounds=bounds, loss="huber", f_scale=HUBER)
        for start in starts
    )
    floor, size, size_power, data, data_power = min(tried, key=lambda found: found.cost).x.tolist()
    return Law(float(np.exp(floor)), float(np.exp(size)), size_power, float(np.exp(data)), data_power)


def best_size(law: Law, runs: Sequence[Run], flops: float) -> tuple[str, float]:
    """The name of the size, of those of the runs, that the law would train with so much compute, and the loss that it
    foretells."""
    cost = {run.name: (run.parameters, run.flops / run.samples) for run in runs}
    foretold = {name: law.loss(parameters, flops / each) for name, (parameters, each) in cost.items()}
    best = min(foretold, key=lambda name: foretold[name])
    return best, foretold[best]


def reached(law: Law, runs: Sequence[Run], further: Run) -> float:
    """The share of what the law foretold that a further run has gained on the best of the runs: 1 or more is as good as
    foretold, 0 no gain at all. Raises ValueError where the law foretold no gain."""
    best, foretold = min(run.loss for run in runs), law.loss(further.parameters, further.samples)
    if foretold >= best:
        raise ValueError("The law doesn't foretell that this run gains anything; give it more compute.")
    return (best - further.loss) / (best - foretold)


def drawn(law: Law, runs: Sequence[Run], further: Run | None = None) -> str:
    """A chart of loss over compute as SVG: the runs, and a line of the law for each size."""
    series, low, high = (
        [],
        min(run.flops for run in runs),
        max(run.flops for run in [*runs, *([further] if further else [])]),
    )
    computes = np.geomspace(low, high, 40)
    for name in dict.fromkeys(run.name for run in runs):
        some = [run for run in runs if run.name == name]
        each = some[0].flops / some[0].samples
        series.append(Series(name, [run.flops for run in some], [run.loss for run in some], joined=False))
        series.append(
            Series(f"{name}, law", computes.tolist(), [law.loss(some[0].parameters, c / each) for c in computes])
        )
    if further:
        series.append(Series(f"{further.name}, further", [further.flops], [further.loss], joined=False))
    return chart(series, "compute, floating-point operations", "loss on unseen clips", log=True)
