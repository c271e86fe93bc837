"""Events and relations: are those that prompts state seen, does the cause come first, and does the effect last?"""

from __future__ import annotations

from collections.abc import Sequence

from lumora.evaluate.evaluation_data import EvaluationData
from lumora.evaluate.instruments.color_tracker import ColorReading
from lumora.evaluate.instruments.effects import EventReading
from lumora.evaluate.metric import MetricResult
from lumora.evaluate.metrics.metric_table import MetricTable
from lumora.evaluate.metrics.proportions import FactVerdict, Proportion, ProportionColumns, by_value
from lumora.evaluate.suites.held_out import EvaluationCase
from lumora.evaluate.suites.negative_controls import negative_controls_for
from lumora.world.facts import Category

LASTING = {"bite": "the bite stays", "topple": "the stack stays down", "hide": "it comes back unchanged"}
"""Rows of the events whose effect must last."""
ORDERED = ("hit", "push", "topple")
"""Events with a cause and an effect at different times."""
CAUSE_FIRST = "the cause comes first"


def events_and_relations(data: EvaluationData) -> MetricResult:
    """By the color tracker, if any prompt states an event or a relation."""
    readings = data.cases, data.color_readings, data.real_color_readings
    relations, events = (verified_statements(*readings, category) for category in ("relation", "event"))
    tables = [
        MetricTable(
            title,
            "How many stated facts the color tracker finds: in the videos, in real clips of the same prompts "
            "(ceiling), and how many false statements about real clips it confirms (floor).",
            columns,
        )
        for title, columns in (("Relations of objects", relations), ("Events", events))
        if columns["generated"]
    ]
    if events["generated"]:
        tables.append(
            MetricTable(
                "Cause and effect",
                "Of the events that are seen to occur: whether the cause comes before the effect, and whether the "
                "effect is still there at the end.",
                causes_and_effects(*readings),
            )
        )
    return MetricResult(tuple(tables))


def verified_statements(
    cases: Sequence[EvaluationCase],
    generated: Sequence[ColorReading],
    real: Sequence[ColorReading],
    category: Category,
) -> ProportionColumns:
    """By value of a category: how many stated facts `generated` and real (`ceiling`) clips show; and how many false
    statements about real clips are confirmed (`floor`)."""
    verdicts = {
        name: [FactVerdict.of(reading, case.asked, case.stated) for reading, case in zip(readings, cases, strict=True)]
        for name, readings in (("generated", generated), ("ceiling", real))
    }
    verdicts["floor"] = [
        FactVerdict.of(reading, negative_controls_for(case.true), case.true)
        for reading, case in zip(real, cases, strict=True)
    ]
    return {name: by_value(some, category) for name, some in verdicts.items()}


def causes_and_effects(
    cases: Sequence[EvaluationCase], generated: Sequence[ColorReading], real: Sequence[ColorReading]
) -> ProportionColumns:
    """Of the stated events that occur in `generated` and real (`ceiling`) clips: how often the cause comes first, and
    how often the effect lasts."""
    columns = {}
    for name, readings in (("generated", generated), ("ceiling", real)):
        pairs = zip(readings, cases, strict=True)
        events = [event for reading, case in pairs for event in _occurring_events(reading, case)]
        rows = {CAUSE_FIRST: [event.in_order for kind, event in events if kind in ORDERED]}
        for lasting_kind, row in LASTING.items():
            rows[row] = [event.lasts for kind, event in events if kind == lasting_kind]
        columns[name] = {row: Proportion(sum(answers), len(answers)) for row, answers in rows.items()}
    return columns


def _occurring_events(reading: ColorReading, case: EvaluationCase) -> list[tuple[str, EventReading]]:
    """Kind and reading of the stated events that occur, complete or not."""
    stated = [fact for fact in case.asked if fact.category == "event"]
    events = [(fact.value, reading.event(fact, case.stated)) for fact in stated]
    return [(kind, event) for kind, event in events if event is not None and event.occurs]
