"""The prompt check's corpus: short, non-graphic requests, made from templates and slots that we wrote ourselves.

It is split before anything is trained: by its place in its list, every template, every slot's value and every frame
around them belongs to one part alone, so a held-out sentence shares neither a value of its slots nor its template with
a trained one.
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
TRAINED: tuple[Part, ...] = ("first", "second")
PARTS: tuple[Part, ...] = (*TRAINED, "held out")
T = TypeVar("T")
GOOD = ("benign", "hard")
"""The groups that must not be refused; all others are named as the category that they belong to."""
STEP = " | "
"""Between the steps of an entry of `told`: prompts that are sent one after the other."""
_SLOT = re.compile(r"\{(\w+)\}")
_WORD = re.compile(r"[^\W\d_]{4,}")


@dataclass(frozen=True)
class Sentence:
    text: str
    group: str
    bare: str
    """The same without the frame around it."""


@cache
def _lists() -> tuple[Mapping[str, Any], Mapping[str, Sequence[str]], Mapping[str, Sequence[str]]]:
    """The groups with their patterns and slots, the frames by whether they are for training alone, and the slots that
    all groups share."""
    found = {group: _read(f"corpus/{group}") for group in groups()}
    shared, names = _read("corpus/shared"), _read("names")
    listed = {slot: [*names[table]["names"], *names[table]["alone"]] for slot, table in _NAMED.items()}
    frames = {name: shared[name] for name in ("frames", "trained_frames")}
    return found, frames, shared["slots"] | listed


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads((DATA / f"{name}.toml").read_text("utf-8"))


_NAMED = {"figure": "figures", "character": "characters", "brand": "brands"}


@cache
def categories() -> tuple[str, ...]:
    """Those of the policy: what is refused."""
    return tuple(_read("policy")["categories"])


def groups() -> tuple[str, ...]:
    """The categories, then `benign` and `hard`."""
    return (*categories(), *GOOD)


def sentences(group: str, parts: Sequence[Part], count: int, generator: np.random.Generator) -> list[Sentence]:
    """`count` different sentences of a group, of entries of these parts alone.

    Raises ValueError where the templates don't give so many.
    """
    lists, frames, shared = _lists()
    slots = shared | lists[group]
    found: dict[str, Sentence] = {}
    said: set[str] = set()
    for attempt in range(40 * count):
        bare = _filled(_pick(slots["patterns"], parts, generator), slots, parts, generator)
        if bare in said and attempt < 20 * count:
            continue  # the same request in another frame counts only where the templates give no more requests
        text = _filled(_frame(frames, parts, generator).replace("{x}", bare), shared, parts, generator)
        found.setdefault(text, Sentence(text, group, bare))
        said.add(bare)
        if len(found) == count:
            return list(found.values())
    raise ValueError(f"The templates of {group} give fewer than {count} different sentences; write more of them.")


def _frame(frames: Mapping[str, Sequence[str]], parts: Sequence[Part], generator: np.random.Generator) -> str:
    """What stands around a request: of trained ones half the time made of two slots, so that there are many."""
    if "held out" not in parts and generator.random() < 0.5:
        return _drawn(frames["trained_frames"], generator)
    return _pick(frames["frames"], parts, generator)


def told(group: str, parts: Sequence[Part], count: int, generator: np.random.Generator) -> list[tuple[str, ...]]:
    """`count` requests of a group in steps, of entries of these parts alone; none is told again before all are."""
    lists, _, shared = _lists()
    slots = shared | lists[group]
    entries = _of_parts(slots["told"], parts)
    rounds = -(-count // len(entries))
    order = [entries[place] for _ in range(rounds) for place in generator.permutation(len(entries))]
    return [tuple(_filled(entry, slots, parts, generator).split(STEP)) for entry in order[:count]]


def _filled(
    pattern: str, slots: Mapping[str, Sequence[str]], parts: Sequence[Part], generator: np.random.Generator
) -> str:
    """The pattern with a value in each slot; the same slot twice gets two values."""
    used: set[str] = set()

    def value(match: re.Match[str]) -> str:
        options = _of_parts(slots[match[1]], parts)
        chosen = _drawn([option for option in options if option not in used] or options, generator)
        used.add(chosen)
        return chosen

    return _SLOT.sub(value, pattern)


def _pick(options: Sequence[str], parts: Sequence[Part], generator: np.random.Generator) -> str:
    return _drawn(_of_parts(options, parts), generator)


def _of_parts(options: Sequence[str], parts: Sequence[Part]) -> list[str]:
    """The entry at a place of any list belongs to the part at this place, modulo three."""
    return [option for part in parts for option in options[PARTS.index(part) :: len(PARTS)]]


def _drawn(options: Sequence[T], generator: np.random.Generator) -> T:
    return options[int(generator.integers(len(options)))]


def terms(group: str) -> list[str]:
    """Short phrases of a group for training alone, without those that have a word which only held-out entries know."""
    said = _read("terms").get(group, [])
    unread = _words(("held out",)) - _words(TRAINED)
    return [term for term in said if not unread.intersection(_WORD.findall(term.lower()))]


@cache
def _words(parts: tuple[Part, ...]) -> frozenset[str]:
    groups, frames, slots = _lists()
    lists = [frames["frames"], *slots.values(), *(entries for group in groups.values() for entries in group.values())]
    return frozenset(
        w for entries in lists for entry in _of_parts(entries, parts) for w in _WORD.findall(entry.lower())
    )
