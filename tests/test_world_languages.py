"""Captions in other languages state exactly the facts that they list, found by parsing them word by word."""

from __future__ import annotations

import re
from collections import Counter
from functools import cache

import numpy as np
import pytest
from test_world_caption import some_facts

from lumora.world.caption import LENGTHS, Caption
from lumora.world.facts import VALUES, Fact, mirror_fact
from lumora.world.languages import LANGUAGES, Language, caption_in
from lumora.world.languages.grammar import POSITIONS, Noun

LOOKS = ("color", "size", "material", "emotion")
BEFORE = {"de": LOOKS, "cs": LOOKS, "zh": (*LOOKS, "position"), "fr": ("size",), "es": ()}
"""Categories of words before the noun."""
CLIP = ("place", "light", "camera", "style")
Token = tuple[str, str]


def wordings(language: Language) -> dict[str, Token]:
    """Every form of every word and its meaning."""
    found: dict[str, Token] = {}

    def add(text: str, token: Token) -> None:
        if text:
            assert found.setdefault(text, token) == token, f"{text} means {found[text]} and {token}"

    nouns = [(value, noun) for value, options in language.nouns.items() for noun in options]
    for value, noun in nouns:
        add(noun.word, ("kind", value))
        add(noun.object, ("kind", value))
    for category, table in language.adjectives.items():
        for value, stem in ((value, stem) for value, stems in table.items() for stem in stems):
            for gender in {noun.gender for _, noun in nouns}:
                for case in ("nominative", "accusative"):
                    add(language.inflect(stem, gender, case), (category, value))
    for category in ("motion", "event"):
        for value, options in getattr(language, category).items():
            for option in options:
                add(option.split("{}")[0].strip(), (category, value))
    for category in ("direction", "speed", "position", *CLIP):
        for value, options in getattr(language, category).items():
            for option in options:
                add(option, (category, value))
    add(language.visible, ("visible", ""))
    return found


@cache
def vocabulary(code: str) -> tuple[dict[str, Token], re.Pattern[str]]:
    """The meaning of each word, and a pattern that finds words, the longest first."""
    known = {word.lower(): token for word, token in wordings(LANGUAGES[code]).items()}
    words = sorted(known, key=len, reverse=True)
    if code == "zh":
        pattern = "|".join(map(re.escape, words))
    else:  # whole words, except before an apostrophe
        pattern = "|".join(rf"(?<!\w){re.escape(w)}" + ("" if w.endswith("'") else r"(?!\w)") for w in words)
    return known, re.compile(pattern)


def tokens(code: str, text: str) -> list[Token]:
    known, pattern = vocabulary(code)
    return [known[m.group()] for m in pattern.finditer(text.lower())]


def read_back(code: str, text: str) -> tuple[Counter[frozenset[Token]], set[Token]]:
    """The facts of each subject, in no order, and of the whole clip."""
    subjects: list[list[Token]] = []
    current, complete, clip = -1, True, set()
    for category, value in tokens(code, text):
        if category in CLIP:
            clip.add((category, value))
            complete = True
        elif category in ("kind", "position", *LOOKS):
            named = not complete and any(c == "kind" for c, _ in subjects[current])
            if complete or (named and (category == "kind" or category in BEFORE[code])):
                subjects.append([])
                current, complete = len(subjects) - 1, False
            subjects[current].append((category, value))
        else:
            acting = (category, value) in (("motion", "orbit"),) or category == "event"
            if category == "event" and value not in ("bite", "leave"):
                category = "event by"
            subjects[current].append((category, value))
            complete = complete or category in ("motion", "event", "event by", "visible") or acting
    said = Counter(frozenset(t for t in subject if t[0] != "visible") for subject in subjects)
    return said, clip


def expected(made: Caption) -> tuple[Counter[frozenset[Token]], set[Token]]:
    clip = {(f.category, f.value) for f in made.facts if f.category in CLIP}
    subjects: dict[int, set[Token]] = {f.subject: set() for f in made.facts if f.category == "kind"}  # type: ignore[misc]
    for fact in made.facts:
        if fact.category == "relation":
            for index, place in zip((fact.subject, fact.other), POSITIONS[fact.value], strict=True):
                subjects[index].add(("position", place))  # type: ignore[index]
        elif fact.category == "event" and fact.other is not None:
            subjects[fact.subject].add(("event by", fact.value))  # type: ignore[index]
        elif fact.category not in CLIP:
            subjects[fact.subject].add((fact.category, fact.value))  # type: ignore[index]
    return Counter(frozenset(said) for said in subjects.values()), clip


@pytest.mark.parametrize("code", LANGUAGES)
def test_captions_list_exactly_the_facts_that_they_state(code: str) -> None:
    for seed in range(150):
        facts = some_facts(seed)
        for length in LENGTHS:
            made = caption_in(LANGUAGES[code], facts, length, np.random.default_rng(seed))
            assert set(made.facts) <= set(facts)
            assert read_back(code, made.text) == expected(made), made.text


@pytest.mark.parametrize("code", LANGUAGES)
def test_wordings_are_unambiguous(code: str) -> None:
    language = LANGUAGES[code]
    known = set(wordings(language).values())
    for category in ("kind", *LOOKS, "motion", "direction", "speed", *CLIP, "event"):
        assert {(category, value) for value in VALUES[category]} <= known  # type: ignore[index]


@pytest.mark.parametrize("code", LANGUAGES)
def test_mirrored_facts_give_mirrored_captions(code: str) -> None:
    facts = (Fact("kind", "ball", 0), Fact("color", "red", 0), Fact("motion", "roll", 0), Fact("direction", "left", 0))
    made = [
        caption_in(LANGUAGES[code], view, "sentence", np.random.default_rng(0))
        for view in (facts, tuple(mirror_fact(f) for f in facts))
    ]
    assert [dict(tokens(code, m.text))["direction"] for m in made] == ["left", "right"]


def test_adjectives_agree() -> None:
    german, czech, french = (LANGUAGES[code] for code in ("de", "cs", "fr"))
    ball, cat = Noun("Ball", "m"), Noun("kočka", "f", "kočku")
    red = german.inflect("rot", "m", "accusative")
    assert german.phrase(ball, "accusative", [("color", red)], "") == "einen roten Ball"
    black = czech.inflect("čern", "f", "accusative")
    assert czech.phrase(cat, "accusative", [("color", black)], "vlevo") == "černou kočku vlevo"
    assert french.inflect("blanc|blanche", "f", "nominative") == "blanche"


def test_facts_without_a_subject_are_rejected() -> None:
    with pytest.raises(ValueError, match="subject"):
        caption_in(LANGUAGES["de"], (Fact("place", "room"),), "short", np.random.default_rng(0))
