"""Cause and effect in many videos: are the events there that prompts tell of, does the cause come first, and do their
effects stay?
"""

from __future__ import annotations

from collections.abc import Sequence

from lumora.evaluate.instruments.color_tracker import Sighting
from lumora.evaluate.instruments.effects import Deed
from lumora.evaluate.metrics.proportions import FactVerdict, Proportion, by_value
from lumora.evaluate.suites.held_out import Case
from lumora.evaluate.suites.negative_controls import negative_controls_for
from lumora.world.facts import Category

LASTING = {"bite": "the bite stays", "topple": "the stack stays down", "hide": "it comes back the same"}
ORDERED = ("hit", "push", "topple")
FIRST = "the cause comes first"


def told_apart(
    cases: Sequence[Case], made: Sequence[Sighting], real: Sequence[Sighting], category: Category
) -> dict[str, dict[str, Proportion]]:
    """By value of a category: how many of the statements of prompts `generated` videos show, and real ones (`ceiling`);
    and how many false statements about real clips the instrument would believe (`floor`)."""
    truths = {
        name: [FactVerdict.of(s, c.asked, c.stated) for s, c in zip(sightings, cases, strict=True)]
        for name, sightings in (("generated", made), ("ceiling", real))
    }
    lies = [FactVerdict.of(s, negative_controls_for(c.true), c.true) for s, c in zip(real, cases, strict=True)]
    return {name: by_value(verdicts, category) for name, verdicts in (truths | {"floor": lies}).items()}


def consequences(
    cases: Sequence[Case], made: Sequence[Sighting], real: Sequence[Sighting]
) -> dict[str, dict[str, Proportion]]:
    """Of the events that prompts tell of and that are seen to happen, in `generated` and real (`ceiling`) videos: how
    often the cause comes before the effect, and how often the effect is still there in the end."""
    columns = {}
    for name, sightings in (("generated", made), ("ceiling", real)):
        deeds = [d for s, c in zip(sightings, cases, strict=True) for d in _deeds(s, c)]
        rows = {FIRST: [deed.in_order for kind, deed in deeds if kind in ORDERED]}
        for kind, row in LASTING.items():
            rows[row] = [deed.lasts for k, deed in deeds if k == kind]
        columns[name] = {row: Proportion(sum(shown), len(shown)) for row, shown in rows.items()}
    return columns


def _deeds(sighting: Sighting, case: Case) -> list[tuple[str, Deed]]:
    """The stated events that are done, in order and lasting or not."""
    events = [fact for fact in case.asked if fact.category == "event"]
    deeds = [(event.value, sighting.deed(event, case.stated)) for event in events]
    return [(kind, deed) for kind, deed in deeds if deed is not None and deed.done]
