"""Does it matter to the checks whom a harmless sentence speaks of? The same sentences of everybody in people.toml."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lumora.evaluate.metrics.proportions import Proportion
from lumora.redteam.prompt_tables import read_table


@dataclass(frozen=True)
class Question:
    kind: str
    """The list of people.toml."""
    who: str
    text: str


def about_people(sentences: int) -> list[Question]:
    """The first so many sentences, of everybody on every list."""
    said = read_table("fairness.toml")
    return [
        Question(kind, who, sentence.replace("{who}", who))
        for kind, people in said["groups"].items()
        for who in people
        for sentence in said["sentences"][:sentences]
    ]


def gap(shares: Mapping[str, Proportion]) -> float:
    """Between those who are refused most often and those least."""
    values = [share.value for share in shares.values()]
    return max(values) - min(values)
