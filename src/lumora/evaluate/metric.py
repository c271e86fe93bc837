"""What a metric is. All metrics are listed in `registry.METRICS`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lumora.evaluate.evaluation_data import EvaluationData
from lumora.evaluate.frames import Frames
from lumora.evaluate.metrics.metric_table import MetricTable
from lumora.evaluate.metrics.proportions import Proportion
from lumora.request import Request


@dataclass(frozen=True)
class ScoredVideo:
    """A video of the model with the proportion of its checks that pass; the report shows the worst and the best."""

    prompts: tuple[str, ...]
    """The prompt of each shot."""
    request: Request
    frames: Frames
    proportion: Proportion
    missed: tuple[str, ...]
    """What was asked for and is not seen."""


@dataclass(frozen=True)
class MetricResult:
    """The tables of a metric, and the videos that the report may show."""

    tables: tuple[MetricTable, ...]
    videos: tuple[ScoredVideo, ...] = ()

    def table(self, name: str) -> MetricTable:
        """The table of this name; KeyError if there is none."""
        return {table.name: table for table in self.tables}[name]


@dataclass(frozen=True)
class Metric:
    """A metric: a function from the evaluation's data to tables of figures with 95 % intervals.

    The function takes what it needs from the data's properties and samples further videos itself. It returns no tables
    if the model or the world has nothing to measure.
    """

    name: str
    """The key in `report.json`."""
    title: str
    """The heading of the report."""
    compute: Callable[[EvaluationData], MetricResult]
    option: str | None = None
    """The field of `EvaluationPlan` that must not be 0; None: the metric is always computed."""
