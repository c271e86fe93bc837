"""The prompt check's corpus: short, non-graphic requests, generated from templates and slots in data/corpus.

It is split before training: by its position in its list, every template, every value of a slot and every framing
belongs to one part only, so a held-out sentence shares neither its template nor a slot's value with a training one.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, TypeAlias, TypeVar

import numpy as np

from lumora.safety.policy import DATA

Part: TypeAlias = Literal["first", "second", "held out"]
TRAINING_PARTS: tuple[Part, ...] = ("first", "second")
PARTS: tuple[Part, ...] = (*TRAINING_PARTS, "held out")
WrittenPart: TypeAlias = Literal["train", "held_out"]
LANGUAGES = {
    "en": "English", "cs": "Czech", "de": "German", "es": "Spanish", "fr": "French", "it": "Italian", "ja": "Japanese",
    "pl": "Polish", "pt": "Portuguese", "zh": "Chinese",
}  # fmt: skip
"""Languages with sentences of their own, by ISO 639-1 code."""
T = TypeVar("T")
GOOD_GROUPS = ("benign", "hard")
"""The groups that must not be refused. All other groups are the policy's categories."""
STEP_SEPARATOR = " | "
"""Separates the steps of an entry of `stories`: prompts that are sent one after the other."""
NAME_SLOTS = {"figure": "figures", "character": "characters", "brand": "brands"}
"""Maps slots to the tables of data/names.toml that fill them."""
_SLOT = re.compile(r"\{(\w+)\}")
_WORD = re.compile(r"[^\W\d_]{4,}")


@dataclass(frozen=True)
class Sentence:
    text: str
    group: str
    core: str
    """The text without its framing."""
    language: str = "en"
    """ISO 639-1 code."""


@dataclass(frozen=True)
class CorpusLists:
    """Lists of strings from the corpus files."""

    groups: Mapping[str, Mapping[str, Sequence[str]]]
    """For each group its patterns, stories and slots."""
    framings: Sequence[str]
    training_framings: Sequence[str]
    shared_slots: Mapping[str, Sequence[str]]


@cache
def corpus_lists() -> CorpusLists:
    shared, names = _read("corpus/shared"), _read("names")
    name_slots = {slot: [*names[table]["names"], *names[table]["alone"]] for slot, table in NAME_SLOTS.items()}
    return CorpusLists(
        {group: _read(f"corpus/{group}") for group in groups()},
        shared["framings"],
        shared["training_framings"],
        shared["slots"] | name_slots,
    )


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads((DATA / f"{name}.toml").read_text("utf-8"))


@cache
def categories() -> tuple[str, ...]:
    """The categories of the policy that comes with lumora."""
    return tuple(_read("policy")["categories"])


def groups() -> tuple[str, ...]:
    """The categories, then `benign` and `hard`."""
    return (*categories(), *GOOD_GROUPS)


def sample_sentences(group: str, parts: Sequence[Part], count: int, generator: np.random.Generator) -> list[Sentence]:
    """`count` different sentences of a group, from entries of these parts only.

    Raises ValueError if the templates do not give so many.
    """
    lists = corpus_lists()
    slots = {**lists.shared_slots, **lists.groups[group]}
    found: dict[str, Sentence] = {}
    cores: set[str] = set()
    for attempt in range(40 * count):
        core = _fill(_choose_of_parts(slots["patterns"], parts, generator), slots, parts, generator)
        if core in cores and attempt < 20 * count:
            continue  # the same request in another framing counts only if the templates give no more requests
        framing = _choose_framing(parts, generator)
        text = _fill(framing.replace("{x}", core), lists.shared_slots, parts, generator)
        found.setdefault(text, Sentence(text, group, core))
        cores.add(core)
        if len(found) == count:
            return list(found.values())
    raise ValueError(f"The templates of {group} give fewer than {count} different sentences; write more of them.")


def covering_sentences(group: str, part: Part, generator: np.random.Generator) -> list[Sentence]:
    """One sentence of a training part for every value of every slot of the group, with that value.

    `sample_sentences` of a few hundred leaves out half of the values of some groups. A value that no template of the
    part takes stands in one of another training part.
    """
    lists = corpus_lists()
    slots = {**lists.shared_slots, **lists.groups[group]}
    parts: tuple[Part, ...] = (part,)
    of_part, of_all = _of_parts(slots["patterns"], parts), _of_parts(slots["patterns"], TRAINING_PARTS)
    sentences = []
    for slot, values in lists.groups[group].items():
        marked = f"{{{slot}}}"
        patterns = [pattern for pattern in of_part if marked in pattern] or [p for p in of_all if marked in p]
        if not patterns:  # `patterns` and `stories` are no slots
            continue
        for value in _of_parts(values, parts):
            core = _fill(_choose(patterns, generator).replace(marked, value, 1), slots, parts, generator)
            text = _fill(_choose_framing(parts, generator).replace("{x}", core), slots, parts, generator)
            sentences.append(Sentence(text, group, core))
    return sentences


def sample_stories(
    group: str, parts: Sequence[Part], count: int, generator: np.random.Generator
) -> list[tuple[str, ...]]:
    """`count` requests of a group in steps, from entries of these parts only; none repeats before all are used."""
    lists = corpus_lists()
    slots = {**lists.shared_slots, **lists.groups[group]}
    entries = _of_parts(slots["stories"], parts)
    rounds = -(-count // len(entries))
    order = [entries[index] for _ in range(rounds) for index in generator.permutation(len(entries))]
    return [tuple(_fill(entry, slots, parts, generator).split(STEP_SEPARATOR)) for entry in order[:count]]


@cache
def written_sentences(part: WrittenPart) -> tuple[Sentence, ...]:
    """The sentences of data/corpus/languages, which are written by hand, language by language and group by group."""
    return tuple(
        Sentence(text, group, text, code)
        for code in LANGUAGES
        for group, texts in _read(f"corpus/languages/{code}")[part].items()
        for text in texts
    )


def training_terms(group: str) -> list[str]:
    """Short phrases of a group, without those that have a word which occurs only in held-out entries."""
    held_out_only = _words_of_parts(("held out",)) - _words_of_parts(TRAINING_PARTS)
    terms = _read("terms").get(group, [])
    return [term for term in terms if not held_out_only.intersection(_WORD.findall(term.lower()))]


def _choose_framing(parts: Sequence[Part], generator: np.random.Generator) -> str:
    """Half of the framings for training have two slots, so that there are many of them."""
    if "held out" not in parts and generator.random() < 0.5:
        return _choose(corpus_lists().training_framings, generator)
    return _choose_of_parts(corpus_lists().framings, parts, generator)


def _fill(
    pattern: str, slots: Mapping[str, Sequence[str]], parts: Sequence[Part], generator: np.random.Generator
) -> str:
    """The pattern with a value in each slot; a repeated slot gets different values."""
    used: set[str] = set()

    def value(match: re.Match[str]) -> str:
        options = _of_parts(slots[match[1]], parts)
        chosen = _choose([option for option in options if option not in used] or options, generator)
        used.add(chosen)
        return chosen

    return _SLOT.sub(value, pattern)


def _choose_of_parts(options: Sequence[str], parts: Sequence[Part], generator: np.random.Generator) -> str:
    return _choose(_of_parts(options, parts), generator)


def _of_parts(options: Sequence[str], parts: Sequence[Part]) -> list[str]:
    """The entry at index i of any list belongs to part i modulo three."""
    return [option for part in parts for option in options[PARTS.index(part) :: len(PARTS)]]


def _choose(options: Sequence[T], generator: np.random.Generator) -> T:
    return options[int(generator.integers(len(options)))]


@cache
def _words_of_parts(parts: tuple[Part, ...]) -> frozenset[str]:
    lists = corpus_lists()
    all_lists = [
        lists.framings,
        *lists.shared_slots.values(),
        *(entries for group in lists.groups.values() for entries in group.values()),
    ]
    return frozenset(
        word for entries in all_lists for entry in _of_parts(entries, parts) for word in _WORD.findall(entry.lower())
    )
