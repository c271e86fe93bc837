"""Names in prompts: public figures, characters and brands of data/names.toml, which no classifier can learn.

Tokens are joined before they are compared, so hyphens, spaces and their absence hide nothing. Names of eight letters
and more are also found with one misspelling: a letter missing, added or replaced, or two transposed.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Container, Iterable, Iterator, Mapping

from lumora.safety.policy import DATA
from lumora.safety.word_lists import ENGLISH, lexicon

MIN_MISSPELLED_LENGTH = 8
"""Shorter names are too close to ordinary words to be found with a misspelling."""
MAX_NAME_WORDS = 5
CONTEXT_WORDS = 2
"""Words on each side of an ambiguous name among which a word of `beside` must stand."""


class EntityMatcher:
    """Finds listed names in texts."""

    def __init__(self, tables: Iterable[Mapping[str, object]], ordinary_words: Mapping[str, object] | None = None):
        """Tables as in data/names.toml: category, names, alone, ambiguous, beside. `ordinary_words` maps a language to
        the names that are words of it."""
        self.ordinary_words = {
            language: frozenset("".join(tokens_of(name)) for name in _strings(ordinary_words or {}, language))
            for language in ordinary_words or {}
        }
        self.categories: dict[str, str] = {}
        self.names_by_deletion: dict[str, str] = {}
        self.ambiguous: dict[str, tuple[str, frozenset[str]]] = {}
        for table in tables:
            category = str(table["category"])
            for name in [*_strings(table, "names"), *_strings(table, "alone")]:
                self.categories["".join(tokens_of(name))] = category
            beside = frozenset(_strings(table, "beside"))
            for name in _strings(table, "ambiguous"):
                self.ambiguous["".join(tokens_of(name))] = category, beside
        for name in self.categories:
            if len(name) >= MIN_MISSPELLED_LENGTH:
                self.names_by_deletion |= dict.fromkeys(_deletions(name), name)

    @classmethod
    def load(cls, extra: Mapping[str, Mapping[str, list[str]]] | None = None) -> EntityMatcher:
        """Loads data/names.toml and the names that an operator's policy adds."""
        data = tomllib.loads((DATA / "names.toml").read_text("utf-8"))
        ordinary_words = data.pop("ordinary_words")
        tables = {name: table for name, table in data.items() if isinstance(table, dict)}
        added = ({**table, "category": tables[name]["category"]} for name, table in (extra or {}).items())
        return cls([*tables.values(), *added], ordinary_words)

    def find(self, text: str, words: Container[str] = frozenset(), language: str = ENGLISH) -> dict[str, str]:
        """Maps each category named in the text to one of its names, as it is written there.

        Words of `words` (casefolded), and spans that consist of correct words of another language than English, are not
        taken for misspelled names.
        """
        tokens, found = tokens_of(text), {}
        foreign_words = frozenset() if language == ENGLISH else lexicon()[language]
        ordinary_words = self.ordinary_words.get(language, frozenset())
        for start, end in _spans(len(tokens)):
            name = "".join(tokens[start:end])
            if name in ordinary_words:
                continue
            correct = name in words or all(token in foreign_words for token in tokens[start:end])
            category = (
                self.categories.get(name)
                or (None if correct else self._misspelled(name))
                or self._ambiguous(name, tokens[max(0, start - CONTEXT_WORDS) : end + CONTEXT_WORDS])
            )
            if category:
                found.setdefault(category, " ".join(tokens[start:end]))
        return found

    def _misspelled(self, name: str) -> str | None:
        """The category of a listed name at edit distance one (symmetric deletions), if there is one."""
        if len(name) < MIN_MISSPELLED_LENGTH - 1:
            return None
        match = self.names_by_deletion.get(name)
        if match is None and len(name) >= MIN_MISSPELLED_LENGTH:
            shorter = (s for s in _deletions(name) if s in self.categories or s in self.names_by_deletion)
            candidates = (s if s in self.categories else self.names_by_deletion[s] for s in shorter)
            match = next(
                (c for c in candidates if len(c) >= MIN_MISSPELLED_LENGTH and _one_edit_apart(name, c)),
                None,
            )
        return None if match is None else self.categories[match]

    def _ambiguous(self, name: str, context: list[str]) -> str | None:
        category, beside = self.ambiguous.get(name, ("", frozenset()))
        return category if beside.intersection(context) else None


def tokens_of(text: str) -> list[str]:
    """Casefolded words without accents, apostrophes and the possessive s."""
    plain = "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c)).casefold()
    return re.findall(r"[^\W_]+", re.sub(r"['’](?:s\b)?", "", plain))


def _strings(table: Mapping[str, object], key: str) -> list[str]:
    names = table.get(key, [])
    if not isinstance(names, list) or not all(isinstance(name, str) and tokens_of(name) for name in names):
        raise ValueError(f'{key} in a table of names must be a list of names, {key} = ["…", …], not {names!r}.')
    return names


def _spans(count: int) -> Iterator[tuple[int, int]]:
    for start in range(count):
        yield from ((start, end) for end in range(start + 1, min(count, start + MAX_NAME_WORDS) + 1))


def _deletions(name: str) -> set[str]:
    """The name with one letter deleted, in every way."""
    return {name[:i] + name[i + 1 :] for i in range(len(name))}


def _one_edit_apart(a: str, b: str) -> bool:
    """Whether inserting or replacing one letter, or transposing two neighbors, turns one name into the other."""
    if abs(len(a) - len(b)) == 1:
        return min(a, b, key=len) in _deletions(max(a, b, key=len))
    different = [i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y]
    if len(a) != len(b) or len(different) > 2:
        return False
    if len(different) < 2:
        return True
    i, j = different
    return j == i + 1 and a[i] == b[j] and a[j] == b[i]
