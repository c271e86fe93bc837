"""Runs an evaluation: loads the instruments and computes every metric that the plan asks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lumora.evaluate.evaluation_data import PROBE, EvaluationData, timed
from lumora.evaluate.metric import Metric, MetricResult
from lumora.evaluate.plan import EvaluationPlan
from lumora.evaluate.registry import METRICS


@dataclass(frozen=True)
class EvaluationResults:
    """The results of all metrics of an evaluation."""

    plan: EvaluationPlan
    fps: float
    """Frame rate of the videos."""
    results: dict[Metric, MetricResult]

    def result(self, name: str) -> MetricResult:
        """The result of the metric of this name; KeyError if it was not computed."""
        return {metric.name: result for metric, result in self.results.items()}[name]


def run_evaluation(
    plan: EvaluationPlan,
    model: Path | None = None,
    probe: Path = PROBE,
    workers: int = 0,
    metrics: Sequence[Metric] = METRICS,
) -> EvaluationResults:
    """Evaluates the model in the folder `model` (None: the one that comes with lumora).

    Videos are sampled and read in this many processes (0: in this one). Raises ValueError if there is no model or no
    probe.
    """
    data = EvaluationData.load(plan, model, probe, workers)
    results: dict[Metric, MetricResult] = {}
    for metric in metrics:
        if metric.option is not None and not getattr(plan, metric.option):
            continue
        with timed(f"computing {metric.name}", plan.num_clips):
            result = metric.compute(data)
        if result.tables:
            results[metric] = result
    return EvaluationResults(plan, data.shape.fps, results)
