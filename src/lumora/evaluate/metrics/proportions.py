"""How many of the facts that prompts state are found in videos: counts, their intervals, and how they go together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import asdict, dataclass
from math import comb
from typing import Any, Protocol, TypeVar, runtime_checkable

from lumora.world.facts import VALUES, Category, Fact

Key = TypeVar("Key", bound=Hashable)
T = TypeVar("T")


@runtime_checkable
class FactReader(Protocol):
    """What an instrument has read from one clip: a `probe.Reading` or a `tracking.Sighting`."""

    def shows(self, fact: Fact, stated: Sequence[Fact]) -> bool | None:
        """Whether the clip shows `fact`, one of those `stated` together; None where the instrument can't tell."""
        ...


@dataclass(frozen=True)
class Proportion:
    """How many of the stated facts were found; a mean of chances, for conjunctions, counts in fractions."""

    found: int | float
    stated: int

    @property
    def value(self) -> float:
        return self.found / self.stated if self.stated else float("nan")

    def interval(self, z: float = 1.96) -> tuple[float, float]:
        """Wilson's score interval (1927); z = 1.96 covers 95 %."""
        if not self.stated:
            return 0.0, 1.0
        n, p = self.stated, self.value
        middle, spread = p + z * z / (2 * n), z * (p * (1 - p) / n + z * z / (4 * n * n)) ** 0.5
        low, high = (middle - spread) / (1 + z * z / n), (middle + spread) / (1 + z * z / n)
        return max(0.0, low), min(1.0, high)  # but for rounding, they are within


@dataclass(frozen=True)
class FactVerdict:
    """What was found of one prompt: whether each fact that the instrument can read is there."""

    shown: tuple[tuple[Fact, bool], ...]

    @classmethod
    def of(cls, reader: FactReader, asked: Iterable[Fact], stated: Sequence[Fact]) -> FactVerdict:
        readings = ((fact, reader.shows(fact, stated)) for fact in asked)
        return cls(tuple((fact, shown) for fact, shown in readings if shown is not None))

    @property
    def share(self) -> Proportion:
        return Proportion(sum(shown for _, shown in self.shown), len(self.shown))

    @property
    def missed(self) -> tuple[Fact, ...]:
        return tuple(fact for fact, shown in self.shown if not shown)


def by_category(verdicts: Iterable[FactVerdict]) -> dict[str, Proportion]:
    """The share found of each category of fact, in the alphabet's order, and in `total`."""
    shares = grouped((fact.category, shown) for verdict in verdicts for fact, shown in verdict.shown)
    return shares | {"total": joined(shares.values())}


def by_value(verdicts: Iterable[FactVerdict], category: Category) -> dict[str, Proportion]:
    """The share found of each value of one category, in the order in which the world lists them."""
    shares = grouped((f.value, shown) for verdict in verdicts for f, shown in verdict.shown if f.category == category)
    return {value: shares[value] for value in VALUES[category] if value in shares}


def by_group(groups: Iterable[str], verdicts: Iterable[FactVerdict]) -> dict[str, Proportion]:
    """The share found in each group of prompts."""
    pairs = zip(groups, verdicts, strict=True)
    return grouped((group, shown) for group, verdict in pairs for _, shown in verdict.shown)


def conjunctions(verdicts: Sequence[FactVerdict], most: int = 5) -> dict[int, Proportion]:
    """How often k facts that a prompt states are all there, for k from 2 to `most`: the mean over all prompts that
    state so many of the share of choices of k facts that are found as one."""
    shares = {}
    for k in range(2, most + 1):
        enough = [verdict.share for verdict in verdicts if verdict.share.stated >= k]
        chances = [comb(int(share.found), k) / comb(share.stated, k) for share in enough]
        shares[k] = Proportion(sum(chances), len(chances))
    return shares


def joined(shares: Iterable[Proportion]) -> Proportion:
    shares = list(shares)
    return Proportion(sum(share.found for share in shares), sum(share.stated for share in shares))


def shuffled(items: Sequence[T]) -> list[T]:
    """Every item at another place, half the list further."""
    shift = max(1, len(items) // 2)
    return [*items[shift:], *items[:shift]]


def in_full(rows: dict[str, Proportion]) -> dict[str, dict[str, Any]]:
    """With their 95 % intervals, for JSON."""
    return {name: asdict(share) | {"interval": share.interval()} for name, share in rows.items()}


def table(columns: dict[str, dict[str, Proportion]]) -> str:
    """A row for each category of the first column, a column for each set of shares, with 95 % intervals."""
    width = max(len(row) for row in next(iter(columns.values())))
    rows = [" " * width + "".join(f"{name:>24}" for name in columns)]
    for row, first in next(iter(columns.values())).items():
        cells = []
        for shares in columns.values():
            share = shares.get(row, Proportion(0, 0))
            low, high = share.interval()
            cells.append((f"{share.value:9.1%} [{low:6.1%},{high:6.1%}]" if share.stated else "–").rjust(24))
        rows.append(f"{row:{width}}" + "".join(cells) + f"  of {first.stated}")
    return "\n".join(rows)


def grouped(answers: Iterable[tuple[str, bool]]) -> dict[str, Proportion]:
    """The share of answers that are yes in each group, in the alphabet's order."""
    counts: dict[str, list[bool]] = defaultdict(list)
    for group, shown in answers:
        counts[group].append(shown)
    return {group: Proportion(sum(hits), len(hits)) for group, hits in sorted(counts.items())}
