"""Proportions with Wilson intervals: how many of the facts that prompts state are found in videos."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import comb
from typing import Protocol, TypeAlias, TypeVar, runtime_checkable

from lumora.world.facts import VALUES, Category, Fact

T = TypeVar("T")

ProportionColumns: TypeAlias = "dict[str, dict[str, Proportion]]"
"""Proportions by column and row."""


@runtime_checkable
class FactReader(Protocol):
    """What an instrument has read from one clip: a `ProbeReading` or a `ColorSighting`."""

    def shows(self, fact: Fact, stated: Sequence[Fact]) -> bool | None:
        """Whether the clip shows `fact`, one of those `stated` together; None if the instrument cannot tell."""
        ...


@dataclass(frozen=True)
class Proportion:
    """`found` of `count`. Conjunctions count expected values, so `found` may be a fraction."""

    found: int | float
    count: int

    @property
    def value(self) -> float:
        """NaN if nothing was counted."""
        return self.found / self.count if self.count else float("nan")

    def interval(self, z: float = 1.96) -> tuple[float, float]:
        """Wilson's score interval (1927); z = 1.96 covers 95 %."""
        if not self.count:
            return 0.0, 1.0
        n, p = self.count, self.value
        center, spread = p + z * z / (2 * n), z * (p * (1 - p) / n + z * z / (4 * n * n)) ** 0.5
        low, high = (center - spread) / (1 + z * z / n), (center + spread) / (1 + z * z / n)
        return max(0.0, low), min(1.0, high)  # clamps rounding errors


@dataclass(frozen=True)
class FactVerdict:
    """For each fact of a prompt that the instrument can read: whether the video shows it."""

    shown: tuple[tuple[Fact, bool], ...]

    @classmethod
    def of(cls, reader: FactReader, asked: Iterable[Fact], stated: Sequence[Fact]) -> FactVerdict:
        answers = ((fact, reader.shows(fact, stated)) for fact in asked)
        return cls(tuple((fact, shown) for fact, shown in answers if shown is not None))

    @property
    def proportion(self) -> Proportion:
        return Proportion(sum(shown for _, shown in self.shown), len(self.shown))

    @property
    def missed(self) -> tuple[Fact, ...]:
        return tuple(fact for fact, shown in self.shown if not shown)

    def restricted_to(self, other: FactVerdict) -> FactVerdict:
        """The answers about the facts that `other` has an answer to."""
        known = dict(other.shown)
        return FactVerdict(tuple((fact, shown) for fact, shown in self.shown if fact in known))


def by_category(verdicts: Iterable[FactVerdict]) -> dict[str, Proportion]:
    """The proportion found of each category of fact, in alphabetical order, and in `total`."""
    rows = grouped((fact.category, shown) for verdict in verdicts for fact, shown in verdict.shown)
    return rows | {"total": pooled(rows.values())}


def by_value(verdicts: Iterable[FactVerdict], category: Category) -> dict[str, Proportion]:
    """The proportion found of each value of one category, in the order in which the world lists them."""
    rows = grouped((f.value, shown) for verdict in verdicts for f, shown in verdict.shown if f.category == category)
    return {value: rows[value] for value in VALUES[category] if value in rows}


def by_group(groups: Iterable[str], verdicts: Iterable[FactVerdict]) -> dict[str, Proportion]:
    """The proportion found in each group of prompts."""
    pairs = zip(groups, verdicts, strict=True)
    return grouped((group, shown) for group, verdict in pairs for _, shown in verdict.shown)


def conjunctions(verdicts: Sequence[FactVerdict], most: int = 5) -> dict[int, Proportion]:
    """How often k facts of a prompt are all shown, for k from 2 to `most`.

    For each prompt that states at least k facts this is the proportion of its subsets of k facts that are all shown;
    the result is the mean over these prompts.
    """
    rows = {}
    for k in range(2, most + 1):
        counts = [verdict.proportion for verdict in verdicts if verdict.proportion.count >= k]
        chances = [comb(int(one.found), k) / comb(one.count, k) for one in counts]
        rows[k] = Proportion(sum(chances), len(chances))
    return rows


def pooled(proportions: Iterable[Proportion]) -> Proportion:
    """The proportion of all counts together."""
    proportions = list(proportions)
    return Proportion(sum(one.found for one in proportions), sum(one.count for one in proportions))


def grouped(answers: Iterable[tuple[str, bool]]) -> dict[str, Proportion]:
    """The proportion of answers that are true in each group, in alphabetical order."""
    groups: dict[str, list[bool]] = defaultdict(list)
    for group, shown in answers:
        groups[group].append(shown)
    return {group: Proportion(sum(hits), len(hits)) for group, hits in sorted(groups.items())}


def shuffled(items: Sequence[T]) -> list[T]:
    """The items rotated by half of the list, so that none keeps its place."""
    shift = max(1, len(items) // 2)
    return [*items[shift:], *items[:shift]]
