"""Names in prompts: public figures, characters and brands of data/names.toml, which no classifier can learn.

Tokens are joined before they are compared, so hyphens, spaces and their absence hide nothing. Names of eight letters
and more are also found with one misspelling: a letter missing, added or replaced, or two transposed. In languages that
inflect names (`inflection.py`) they are found in every case. Chinese and Japanese names are found inside of texts.
Ordinary words side by side are no name by chance: "put in" is not Putin, and "still one" is no misspelled Stallone.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Container, Iterable, Iterator, Mapping
from functools import cache

from lumora.safety.inflection import ENDINGS, stem
from lumora.safety.policy import DATA
from lumora.safety.word_lists import ENGLISH, lexicon

MIN_MISSPELLED_LENGTH = 8
"""Shorter names are too close to ordinary words to be found with a misspelling."""
MIN_JOINED_LENGTH = 7
"""Shorter names are not found in ordinary words that are written apart, unless the name is written so too."""
MIN_MISSPELLED_WORD_LENGTH = 5
"""Ordinary words of this length may be a misspelled word of a name, as in "tailor swift"; shorter ones are too close to
others, as in "top story"."""
MAX_UNLISTED_LENGTH = 2
"""Words of so few letters count as ordinary ones; the caller's words need not have them."""
MIN_INFLECTED_LENGTH = 6
"""Stems of shorter names are too close to those of ordinary words."""
UNSPACED = re.compile("[\u3040-\u30ff\u3400-\u9fff]")
KATAKANA = re.compile("[\u30a0-\u30ff]")
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
        self.ordinary_stems = {
            language: frozenset(stem(word, language) for word in self.ordinary_words.get(language, ()))
            for language in ENDINGS
        }
        self.categories: dict[str, str] = {}
        self.words_of: dict[str, list[str]] = {}
        """The words of each name."""
        self.unspaced: dict[str, str] = {}
        """Categories of names in scripts that are written without spaces."""
        self.inflected: dict[str, dict[str, str]] = {language: {} for language in ENDINGS}
        """For each inflecting language the categories of names by their joined stems."""
        self.names_by_deletion: dict[str, str] = {}
        self.ambiguous: dict[str, list[tuple[str, frozenset[str]]]] = {}
        for table in tables:
            category = str(table["category"])
            for name in [*_strings(table, "names"), *_strings(table, "alone")]:
                self._add(name, category)
            beside = frozenset("".join(tokens_of(word)) for word in _strings(table, "beside"))
            for name in _strings(table, "ambiguous"):
                self.ambiguous.setdefault("".join(tokens_of(name)), []).append((category, beside))
        for name in self.categories:
            if len(name) >= MIN_MISSPELLED_LENGTH:
                self.names_by_deletion |= dict.fromkeys(_deletions(name), name)

    def _add(self, name: str, category: str) -> None:
        if UNSPACED.search(name):
            self.unspaced[_without_separators(name)] = category
            return
        tokens = tokens_of(name)
        self.categories["".join(tokens)] = category
        self.words_of["".join(tokens)] = tokens
        for language, stems in self.inflected.items():
            if len("".join(tokens)) >= MIN_INFLECTED_LENGTH:
                stems["".join(stem(token, language) for token in tokens)] = category

    @classmethod
    def load(cls, extra: Mapping[str, Mapping[str, list[str]]] | None = None) -> EntityMatcher:
        """Names of data/names.toml, read once a process, and those that an operator's policy adds."""
        return cls._read(extra) if extra else _built_in_names()

    @classmethod
    def _read(cls, extra: Mapping[str, Mapping[str, list[str]]]) -> EntityMatcher:
        data = tomllib.loads((DATA / "names.toml").read_text("utf-8"))
        ordinary_words = data.pop("ordinary_words")
        tables = {name: table for name, table in data.items() if isinstance(table, dict)}
        added = ({**table, "category": tables[name]["category"]} for name, table in extra.items())
        return cls([*tables.values(), *added], ordinary_words)

    def find(self, text: str, words: Container[str] = frozenset(), language: str = ENGLISH) -> dict[str, str]:
        """Maps each category named in the text to one of its names, as it is written there.

        Words of `words` (casefolded), and correct words of another language than English, are taken for a name only if
        they are spelled as one.
        """
        tokens, found = tokens_of(text), self._find_unspaced(text)
        stems = [stem(token, language) for token in tokens] if language in self.inflected else []
        known_words = words if language == ENGLISH else lexicon().get(language, frozenset())
        is_known = [len(token) <= MAX_UNLISTED_LENGTH or token in known_words for token in tokens]
        ordinary_words = self.ordinary_words.get(language, frozenset())
        for start, end in _spans(len(tokens)):
            span, name, are_known = tokens[start:end], "".join(tokens[start:end]), all(is_known[start:end])
            if name in ordinary_words:
                continue
            may_be_misspelled = name not in words and (language == ENGLISH or not are_known)
            category = (
                self._exact(span, are_known)
                or (self._inflected("".join(stems[start:end]), name, language) if stems else None)
                or (self._misspelled(span, are_known) if may_be_misspelled else None)
                or self._ambiguous(name, tokens[max(0, start - CONTEXT_WORDS) : end + CONTEXT_WORDS])
            )
            if category:
                found.setdefault(category, " ".join(span))
        return found

    def _exact(self, span: list[str], are_known: bool) -> str | None:
        """The category of the name that these words are, joined. `are_known` says that all of them are ordinary
        words."""
        name = "".join(span)
        category = self.categories.get(name)
        if category and are_known and len(span) > 1 and len(name) < MIN_JOINED_LENGTH and self.words_of[name] != span:
            return None
        return category

    def _find_unspaced(self, text: str) -> dict[str, str]:
        """A name in katakana counts only where no other katakana touches it: メッシ is no part of メッシュ."""
        if not UNSPACED.search(text):
            return {}
        found, joined = {}, _without_separators(text)
        for name, category in self.unspaced.items():
            for match in re.finditer(re.escape(name), joined):
                before, after = joined[: match.start()][-1:], joined[match.end() :][:1]
                touches = (KATAKANA.match(before) and KATAKANA.match(name[0])) or (
                    KATAKANA.match(after) and KATAKANA.match(name[-1])
                )
                if not touches:
                    found.setdefault(category, name)
        return found

    def _inflected(self, stems: str, name: str, language: str) -> str | None:
        """The category of a listed name of which `name` may be another case."""
        ordinary = stems in self.ordinary_stems[language]
        return self.inflected[language].get(stems) if len(name) >= MIN_INFLECTED_LENGTH and not ordinary else None

    def _misspelled(self, span: list[str], are_known: bool) -> str | None:
        """The category of the listed name that these words are, joined and with one misspelling."""
        match = self._name_nearby("".join(span))
        if match is None or (are_known and not _differs_in_one_word(span, self.words_of[match])):
            return None
        return self.categories[match]

    def _name_nearby(self, name: str) -> str | None:
        """A listed name at edit distance one (symmetric deletions), if there is one."""
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
        return match

    def _ambiguous(self, name: str, context: list[str]) -> str | None:
        meanings = self.ambiguous.get(name, [])
        return next((category for category, beside in meanings if beside.intersection(context)), None)


@cache
def _built_in_names() -> EntityMatcher:
    return EntityMatcher._read({})


def tokens_of(text: str) -> list[str]:
    """Casefolded words without accents, apostrophes and the possessive s."""
    plain = "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c)).casefold()
    return re.findall(r"[^\W_]+", re.sub(r"['’](?:s\b)?", "", plain))


def _without_separators(text: str) -> str:
    return re.sub(r"[\s·・•‧･=＝-]+", "", unicodedata.normalize("NFKC", text)).casefold()


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


def _differs_in_one_word(words: list[str], name: list[str]) -> bool:
    """Whether several words are those of a name but for one, which is long enough for a misspelling."""
    different = [word for word, other in zip(words, name, strict=False) if word != other]
    return 1 < len(words) == len(name) and [len(word) >= MIN_MISSPELLED_WORD_LENGTH for word in different] == [True]


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
