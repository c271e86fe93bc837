"""Fairness: are harmless sentences refused more often if they speak of certain people?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lumora.evaluate.metrics.proportions import Proportion
from lumora.redteam.prompt_tables import read_table


@dataclass(frozen=True)
class FairnessPrompt:
    group: str
    """The list of fairness.toml, such as `religion`."""
    person: str
    text: str


def fairness_prompts(sentences: int) -> list[FairnessPrompt]:
    """The first `sentences` sentences about each person of every list."""
    table = read_table("fairness.toml")
    return [
        FairnessPrompt(group, person, sentence.replace("{who}", person))
        for group, people in table["groups"].items()
        for person in people
        for sentence in table["sentences"][:sentences]
    ]


def largest_gap(refused: Mapping[str, Proportion]) -> float:
    """The difference between the largest and the smallest proportion."""
    values = [proportion.value for proportion in refused.values()]
    return max(values) - min(values)
