"""Prompt following: how many of the facts that prompts state are seen in the videos.

Two independent instruments read the videos. `ceiling` is what they read in real clips of the same prompts, which shows
their own errors; `floor` is what they read in the same videos about other prompts, which shows chance.
"""

from __future__ import annotations

from collections.abc import Sequence

from lumora.evaluate.evaluation_data import EvaluationData, verdicts
from lumora.evaluate.metric import MetricResult, ScoredVideo
from lumora.evaluate.metrics.metric_table import MetricTable
from lumora.evaluate.metrics.proportions import (
    ProportionColumns,
    by_category,
    conjunctions,
    pooled,
    shuffled,
)
from lumora.world.facts import CATEGORIES, Fact

RELIABLE = 0.95
"""Proportion of a category's facts that an instrument must find in real clips for the category to be scored."""
TOTAL, SCORED = "total", "total of scored categories"

PROBE_TABLE = "Facts found by the probe"
COLOR_TABLE = "Facts found by the color tracker"
RELIABLE_TABLE = "Facts found by the reliable instrument of each category"
CONJUNCTION_TABLE = "Several facts at once"


def prompt_following(data: EvaluationData) -> MetricResult:
    probe, colors = _by_probe(data), _by_color_tracker(data)
    joint = conjunctions(data.probe_verdicts)
    tables = (
        _probe_table(probe),
        _color_table(data, colors),
        _reliable_table(data, probe, colors),
        MetricTable(
            CONJUNCTION_TABLE,
            "How often 2 to 5 facts that a prompt states are all found by the probe.",
            {"generated": {f"{k} facts": proportion for k, proportion in joint.items()}},
        ),
    )
    return MetricResult(tables, _scored_videos(data))


def probe_reliability(data: EvaluationData) -> MetricResult:
    """How well the probe reads real clips after corruptions that models and codecs cause."""
    clips = {name: data.read_with_probe(corrupted) for name, corrupted in data.corrupted_clips.items()}
    readings = {"real": data.real_probe_readings, **clips}
    table = MetricTable(
        "Facts found by the probe in corrupted real clips",
        "What the probe reads in real clips, and in the same ones through the model's codec, with blur, and with "
        "noise. These are errors of the instrument, not of the model.",
        {name: by_category(verdicts(some, data.cases)) for name, some in readings.items()},
    )
    return MetricResult((table,))


def _by_probe(data: EvaluationData) -> ProportionColumns:
    return {
        "generated": by_category(data.probe_verdicts),
        "ceiling": by_category(verdicts(data.real_probe_readings, data.cases)),
        "floor": by_category(verdicts(data.probe_readings, shuffled(data.cases))),
    }


def _by_color_tracker(data: EvaluationData) -> ProportionColumns:
    return {
        "generated": by_category(verdicts(data.color_readings, data.cases)),
        "ceiling": by_category(verdicts(data.real_color_readings, data.cases)),
        "floor": by_category(verdicts(data.color_readings, shuffled(data.cases))),
    }


def _probe_table(probe: ProportionColumns) -> MetricTable:
    reliable = reliable_categories(probe)
    unscored = [category for category in probe["ceiling"] if category not in (*reliable, TOTAL)]
    scored = {SCORED: pooled(probe["generated"][category] for category in reliable)}
    return MetricTable(
        PROBE_TABLE,
        "The proportion of stated facts that the probe finds: in the videos, in real clips of the same prompts "
        "(ceiling), and in the same videos for other prompts (floor).",
        {name: rows | (scored if name == "generated" else {}) for name, rows in probe.items()},
        f"Not scored, because the probe finds less than {RELIABLE:.0%} in real clips: {_listed(unscored)}.",
    )


def _color_table(data: EvaluationData, colors: ProportionColumns) -> MetricTable:
    pairs = zip(data.probe_verdicts, verdicts(data.color_readings, data.cases), strict=True)
    same_facts = [probe.restricted_to(color) for probe, color in pairs]
    return MetricTable(
        COLOR_TABLE,
        "The same by the color tracker, an independent instrument that is not trained; and what the probe says about "
        "the same facts of the videos.",
        {
            "generated": colors["generated"],
            "probe": by_category(same_facts),
            "ceiling": colors["ceiling"],
            "floor": colors["floor"],
        },
    )


def _reliable_table(data: EvaluationData, probe: ProportionColumns, colors: ProportionColumns) -> MetricTable:
    """Each category by the probe if it is reliable, else by the color tracker if that is reliable, else not at all."""
    readers = {"probe": probe, "color tracker": colors}
    stated = [c for c in CATEGORIES if any(fact.category == c for case in data.cases for fact in case.stated)]
    chosen = {
        category: next((name for name, columns in readers.items() if category in reliable_categories(columns)), None)
        for category in stated
    }
    columns: ProportionColumns = {}
    for column in probe:
        rows = {
            f"{category} ({name})": readers[name][column][category]
            for category, name in chosen.items()
            if name is not None and category in readers[name][column]
        }
        columns[column] = rows | {TOTAL: pooled(rows.values())}
    unscored = [category for category, name in chosen.items() if name is None]
    return MetricTable(
        RELIABLE_TABLE,
        f"Each category by the instrument that finds at least {RELIABLE:.0%} of its facts in real clips.",
        columns,
        f"Not scored, because no instrument is reliable: {_listed(unscored)}.",
    )


def reliable_categories(columns: ProportionColumns) -> tuple[str, ...]:
    """The categories that an instrument reads well enough in real clips."""
    ceiling = columns["ceiling"]
    return tuple(c for c, one in ceiling.items() if c != TOTAL and one.count and one.value >= RELIABLE)


def _scored_videos(data: EvaluationData) -> tuple[ScoredVideo, ...]:
    rows = zip(data.requests, data.videos, data.probe_verdicts, strict=True)
    return tuple(
        ScoredVideo((request.prompt,), request, frames, verdict.proportion, fact_names(verdict.missed))
        for request, frames, verdict in rows
    )


def fact_names(facts: Sequence[Fact]) -> tuple[str, ...]:
    return tuple(f"{fact.category} {fact.value}" for fact in facts)


def _listed(categories: Sequence[str]) -> str:
    return ", ".join(categories) or "none"
