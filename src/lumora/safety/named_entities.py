"""Names in prompts: public figures, characters and brands from data/names.toml, which no classifier can learn.

Tokens are joined before they are compared, so hyphens, spaces and their absence hide nothing. In names of eight letters
and more one slip is forgiven: a letter too few, too many, another, or two that changed places.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Container, Iterable, Iterator, Mapping

from lumora.safety.policy import DATA

LONG_ENOUGH = 8
"""Letters from which on one slip is forgiven; shorter names are too near to words."""
MOST_WORDS = 5
REACH = 2
"""How many words away a word of `beside` may stand from an ambiguous name."""


class EntityMatcher:
    """Finds listed names in texts."""

    def __init__(self, tables: Iterable[Mapping[str, object]]):
        """Tables as in data/names.toml: category, names, alone, ambiguous, beside."""
        self.categories: dict[str, str] = {}
        self.slips: dict[str, str] = {}
        self.ambiguous: dict[str, tuple[str, frozenset[str]]] = {}
        for table in tables:
            category = str(table["category"])
            for name in [*_strings(table, "names"), *_strings(table, "alone")]:
                self.categories["".join(tokens_of(name))] = category
            beside = frozenset(_strings(table, "beside"))
            for name in _strings(table, "ambiguous"):
                self.ambiguous["".join(tokens_of(name))] = category, beside
        for name in self.categories:
            if len(name) >= LONG_ENOUGH:
                self.slips |= dict.fromkeys(_without_one(name), name)

    @classmethod
    def load(cls, more: Mapping[str, Mapping[str, list[str]]] | None = None) -> EntityMatcher:
        """The lists that come with lumora, and what an operator's policy adds to them."""
        said = tomllib.loads((DATA / "names.toml").read_text("utf-8"))
        tables = {name: table for name, table in said.items() if isinstance(table, dict)}
        added = ({**table, "category": tables[name]["category"]} for name, table in (more or {}).items())
        return cls([*tables.values(), *added])

    def found(self, text: str, words: Container[str] = frozenset()) -> dict[str, str]:
        """The categories that the names in a text belong to, each with one of these names, as it is written there; one
        of `words`, in small letters, is itself and no slip of a name."""
        tokens = tokens_of(text)
        found: dict[str, str] = {}
        for start, end in _spans(len(tokens)):
            name = "".join(tokens[start:end])
            category = self.categories.get(name) or (None if name in words else self._slip(name))
            category = category or self._ambiguous(name, tokens[max(0, start - REACH) : end + REACH])
            if category:
                found.setdefault(category, " ".join(tokens[start:end]))
        return found

    def _slip(self, name: str) -> str | None:
        if len(name) < LONG_ENOUGH - 1:
            return None
        meant = self.slips.get(name)
        if meant is None and len(name) >= LONG_ENOUGH:
            shorter = [short for short in _without_one(name) if short in self.categories or short in self.slips]
            options = (short if short in self.categories else self.slips[short] for short in shorter)
            meant = next((n for n in options if len(n) >= LONG_ENOUGH and _one_slip(name, n)), None)
        return None if meant is None else self.categories[meant]

    def _ambiguous(self, name: str, around: list[str]) -> str | None:
        category, beside = self.ambiguous.get(name, ("", frozenset()))
        return category if beside.intersection(around) else None


def tokens_of(text: str) -> list[str]:
    """Words in small letters without accents, with no apostrophe and no possessive s."""
    plain = "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c)).casefold()
    return re.findall(r"[^\W_]+", re.sub(r"['’](?:s\b)?", "", plain))


def _strings(table: Mapping[str, object], key: str) -> list[str]:
    listed = table.get(key, [])
    if not isinstance(listed, list) or not all(isinstance(name, str) and tokens_of(name) for name in listed):
        raise ValueError(f'A table of names has {key} = ["…", …], a list of names; {listed!r} is none.')
    return listed


def _spans(count: int) -> Iterator[tuple[int, int]]:
    for start in range(count):
        yield from ((start, end) for end in range(start + 1, min(count, start + MOST_WORDS) + 1))


def _without_one(name: str) -> set[str]:
    return {name[:i] + name[i + 1 :] for i in range(len(name))}


def _one_slip(a: str, b: str) -> bool:
    """Whether one letter more or another, or two neighbours that changed places, make one of the other."""
    if abs(len(a) - len(b)) == 1:
        return min(a, b, key=len) in _without_one(max(a, b, key=len))
    wrong = [i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y]
    if len(a) != len(b) or len(wrong) > 2:
        return False
    swapped = len(wrong) == 2 and wrong[1] == wrong[0] + 1 and a[wrong[0]] == b[wrong[1]] and a[wrong[1]] == b[wrong[0]]
    return len(wrong) < 2 or swapped
