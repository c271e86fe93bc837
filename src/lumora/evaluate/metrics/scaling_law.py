"""How the loss falls with size and compute: a power law fitted to runs, and what a further run makes of its prediction.

The law is the one of Hoffmann et al. (arXiv:2203.15556, equation 2), L(N, D) = E + A / N^α + B / D^β, where N is the
number of parameters and D the number of clips seen; a run's compute is D times what a clip costs a network of its size.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float
from scipy.optimize import nnls

from lumora.evaluate.report.chart import Series, chart

POWERS = tuple(0.05 * n for n in range(1, 31))
"""That are tried first."""


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

    def loss(self, parameters: int | float, samples: int | float) -> float:
        return self.floor + self.size / parameters**self.size_power + self.data / samples**self.data_power


def fit(runs: Sequence[Run]) -> Law:
    """The law with the least squares of the relative errors of all runs' losses.

    For any two powers the best other numbers follow (Golub and Pereyra, SIAM J. Numer. Anal. 10(2), 1973), none of them
    negative; so only the powers are searched, on a grid and then on a finer one. Raises ValueError for fewer than 6
    runs, or runs of one size or one number of samples: they don't tell of five numbers.
    """
    if len(runs) < 6 or min(len({run.parameters for run in runs}), len({run.samples for run in runs})) < 2:
        raise ValueError("A law needs at least 6 runs, of different sizes and lengths.")
    losses, sizes, samples = (np.array([getattr(r, n) for r in runs], float) for n in ("loss", "parameters", "samples"))
    # Powers of the ratios to the means keep all numbers near 1.
    typical = float(np.exp(np.log(sizes).mean())), float(np.exp(np.log(samples).mean()))

    def solved(powers: tuple[float, float]) -> tuple[Float[np.ndarray, " 3"], float]:
        parts = [np.ones_like(losses), (sizes / typical[0]) ** -powers[0], (samples / typical[1]) ** -powers[1]]
        return nnls(np.stack(parts, axis=1) / losses[:, None], np.ones_like(losses))

    powers = min(itertools.product(POWERS, POWERS), key=lambda pair: solved(pair)[1])
    for step in (0.01, 0.001):
        one, two = ([max(step, p + step * n) for n in range(-6, 7)] for p in powers)
        powers = min(itertools.product(one, two), key=lambda pair: solved(pair)[1])
    (floor, size, data), _ = solved(powers)
    return Law(
        floor=float(floor),
        size=float(size) * typical[0] ** powers[0],
        size_power=powers[0],
        data=float(data) * typical[1] ** powers[1],
        data_power=powers[1],
    )


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


def missing(runs: Sequence[Run]) -> tuple[float, float]:
    """(a, b) of the power law a / compute^b of the share of stated facts that videos do not show, fitted to the best
    run of each amount of compute.

    Raises ValueError where fewer than two amounts have runs of which it is known.
    """
    budgets: dict[int, list[Run]] = {}
    for run in runs:
        if run.following is not None and run.following < 1:
            budgets.setdefault(round(10 * np.log10(run.flops)), []).append(run)
    best = [max(some, key=lambda run: run.following or 0.0) for some in budgets.values()]
    if len(best) < 2:
        raise ValueError("How prompt following rises with compute takes runs of at least two amounts of it.")
    slope, height = np.polyfit(np.log([r.flops for r in best]), np.log([1 - (r.following or 0.0) for r in best]), 1)
    return float(np.exp(height)), float(-slope)


def drawn_following(runs: Sequence[Run], further: Run | None = None) -> str:
    """A chart of prompt following over compute as SVG: the runs that made videos, a series for each size."""
    named = [*runs, *([replace(further, name=f"{further.name}, further")] if further else [])]
    series = [
        Series(name, [r.flops for r in some], [r.following or 0.0 for r in some], False, colour)
        for colour, name in enumerate(dict.fromkeys(run.name for run in named))
        if (some := [r for r in named if r.name == name and r.following is not None])
    ]
    return chart(series, "compute, floating-point operations", "share of stated facts shown", log=True)


def drawn(law: Law, runs: Sequence[Run], further: Run | None = None) -> str:
    """A chart of loss over compute as SVG: the runs, and a line of the law for each size."""
    every = [*runs, *([further] if further else [])]
    computes = np.geomspace(min(run.flops for run in every), max(run.flops for run in every), 40)
    series = []
    for colour, name in enumerate(dict.fromkeys(run.name for run in runs)):
        some = [run for run in runs if run.name == name]
        parameters, each = some[0].parameters, some[0].flops / some[0].samples
        foretold = [law.loss(parameters, compute / each) for compute in computes.tolist()]
        series.append(Series(name, [run.flops for run in some], [run.loss for run in some], False, colour))
        series.append(Series("", computes.tolist(), foretold, True, colour))
    if further:
        series.append(Series(f"{further.name}, further", [further.flops], [further.loss], False, len(series) // 2))
    return chart(series, "compute, floating-point operations", "loss on unseen clips", log=True)
