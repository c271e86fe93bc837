"""The wordings of captions as a lexicon, to read facts from a prompt."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Literal, TypeAlias

from lumora.world import phrases, verbs

Words: TypeAlias = tuple[str, ...]
Role: TypeAlias = Literal[
    "kind", "adjective", "after", "setting", "style", "motion", "direction", "speed", "relation", "opposite", "event",
    "bite", "camera", "filler",
]  # fmt: skip
"""What a wording does in a sentence. `after` stands after the noun; `opposite` is a relation with its two subjects
exchanged; a `bite` is followed by its object, and a `filler` states nothing."""

_FILLERS = (
    "and", "while", "as", "then", "and then", "with", "but", "there is", "there are", "there's", "we see", "we are",
    "we are looking at", "the video shows", "the clip shows", "the picture shows", "the scene is", "the scene is set",
    "the clip is set", "it all happens", "this takes place", "at the start", "at first", "a video of",
    "a short clip of", "a short film of", "an animation of", "a clip of", "it is all shown", "everything is shown",
    "the clip is shown", "there is just one thing to see", "the only thing in view is", "a single object is in view",
    "one thing can be seen", *(
        line for number in ("two", "three") for noun in ("figures", "objects", "things") for line in (
            f"there are {number} {noun}", f"{number} {noun} are in view", f"{number} {noun} can be seen",
            f"the video shows {number} {noun}", f"we see {number} {noun}", f"the {number} {noun} in view are",
        )
    ),
)  # fmt: skip
_STATIC = (
    "it is a static shot", "the shot is static", "the view does not change", "static shot", "fixed camera",
    "static camera", "in a static shot", "a static shot", "a fixed camera", "a static camera",
)  # fmt: skip


@dataclass(frozen=True)
class Wording:
    words: Words
    role: Role
    category: str = ""
    value: str = ""
    closings: tuple[Words, ...] = ()
    """Of an event: words that may follow its object, such as `over`."""


def words_of(text: str) -> Words:
    """Lower-case words; hyphens and apostrophes are part of a word."""
    return tuple(re.findall(r"[^\W_]+(?:[-'’][^\W_]+)*", text.lower()))


@cache
def lexicon() -> dict[str, tuple[Wording, ...]]:
    """All wordings by their first word, the longest first. Wordings of the camera are in `camera_lexicon`."""
    entries: list[Wording] = [Wording(words_of(line), "filler") for line in _FILLERS]
    entries += [Wording(words_of(line), "camera", "camera", "static") for line in _STATIC]
    entries += _of_table(phrases.KIND, "kind", "kind")
    for category, table in (
        ("color", phrases.COLOR), ("size", phrases.SIZE), ("material", phrases.MATERIAL), ("emotion", phrases.EMOTION)
    ):  # fmt: skip
        entries += _of_table(table, "adjective", category)
    entries += _of_table(phrases.MATERIAL_AFTER, "after", "material")
    entries += _of_table(phrases.EMOTION_AFTER, "after", "emotion")
    entries += _of_table(phrases.PLACE, "setting", "place")
    entries += _of_table(phrases.LIGHT_ANYWHERE, "setting", "light")
    entries += _of_table(phrases.LIGHT_OUTDOORS, "setting", "light")
    entries += _of_table(phrases.STYLE, "style", "style")
    entries += _of_table(phrases.DIRECTION, "direction", "direction")
    entries += _of_table(phrases.SPEED, "speed", "speed")
    for value, forms in (*verbs.MOTION.items(), *verbs.IN_PLACE.items()):
        entries += [Wording(words_of(form), "motion", "motion", value) for pair in forms for form in pair]
    for value in phrases.RELATION:
        for role, table in (("relation", phrases.RELATION), ("opposite", phrases.OPPOSITE)):
            for line in table[value]:
                words = words_of(line)
                entries += [Wording(w, role, "relation", value) for w in (words, ("is", *words))]  # type: ignore[arg-type]
    entries += _events()
    return _by_first_word(entries)


@cache
def camera_lexicon() -> dict[str, tuple[Wording, ...]]:
    """What may follow `the camera`; `follow` is followed by its object."""
    entries = []
    for value, forms in verbs.CAMERA.items():
        for form in {form for pair in forms for form in pair}:
            opening, _, closing = form.partition("{}")
            closings = (words_of(closing),) if closing.strip() else ()
            entries.append(Wording(words_of(opening), "camera", "camera", value, closings))
    return _by_first_word(entries)


def longest_match(table: dict[str, tuple[Wording, ...]], words: Words, position: int) -> tuple[Wording, ...]:
    """The wordings of the greatest length that begin at a position; several, if they are the same words."""
    found: list[Wording] = []
    for entry in table.get(words[position], ()) if position < len(words) else ():
        if found and len(entry.words) < len(found[0].words):
            break
        if words[position : position + len(entry.words)] == entry.words:
            found.append(entry)
    return tuple(found)


def _of_table(table: dict[str, tuple[str, ...]], role: Role, category: str) -> list[Wording]:
    return [Wording(words_of(line), role, category, value) for value, lines in table.items() for line in lines]


def _events() -> list[Wording]:
    """Events with the words before their object, and bites, whose object may come first."""
    openings: dict[tuple[Words, str], list[Words]] = {}
    for value, forms in verbs.EVENT.items():
        for form in (form for pair in forms for form in pair):
            opening, _, closing = form.partition("{}")
            openings.setdefault((words_of(opening), value), []).append(words_of(closing))
    entries = [
        Wording(opening, "event", "event", value, tuple(sorted(filter(None, closings), key=len, reverse=True)))
        for (opening, value), closings in openings.items()
    ]
    for line in verbs.BITE:
        opening, _, closing = line.partition("{}")
        if opening:
            closings = (words_of(closing),) if closing.strip() else ()
            entries.append(Wording(words_of(opening), "bite", "event", "bite", closings))
        else:
            entries.append(Wording(words_of(closing), "event", "event", "bite"))
    return entries


def _by_first_word(entries: list[Wording]) -> dict[str, tuple[Wording, ...]]:
    table: dict[str, list[Wording]] = {}
    for entry in entries:
        table.setdefault(entry.words[0], []).append(entry)
    return {word: tuple(sorted(some, key=lambda e: -len(e.words))) for word, some in table.items()}
