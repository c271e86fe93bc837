"""Captions in other languages than English: sentences from a table of words and a few rules of grammar per language.

Every subject is introduced once, by an indefinite noun phrase in the nominative or the accusative, and everything else
follows it: what it does and what is done to it are verb phrases, and where it stands is part of its noun phrase. So a
language needs two cases, agreement of adjectives, and no pronouns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias, TypeVar

import numpy as np

from lumora.world.caption import Caption, Length
from lumora.world.facts import Category, Fact

T = TypeVar("T")
GrammaticalCase: TypeAlias = Literal["nominative", "accusative"]
Words: TypeAlias = dict[str, tuple[str, ...]]
"""The wordings of each value of a category, the plainest first."""

PLAIN = 0.5
"""How often the plainest wording is taken."""
LOOKS: dict[Length, dict[Category, float]] = {
    "short": {"size": 0.2, "emotion": 0.5, "color": 1.0},
    "sentence": {"size": 0.55, "emotion": 0.8, "material": 0.4, "color": 1.0},
    "paragraph": {"size": 1.0, "emotion": 1.0, "material": 1.0, "color": 1.0},
}
"""How often a caption of a length states each look."""


class Noun(NamedTuple):
    word: str
    gender: str
    """Chinese: the measure word."""
    object: str = ""
    """The accusative, where it differs."""


@dataclass(frozen=True)
class Language:
    """The words of a language; of `adjectives` the stems that `inflect` turns into forms."""

    nouns: dict[str, tuple[Noun, ...]]
    adjectives: dict[Category, Words]
    inflect: Callable[[str, str, GrammaticalCase], str]
    """(stem, gender, case) -> form."""
    phrase: Callable[[Noun, GrammaticalCase, list[tuple[Category, str]], str], str]
    """(noun, case, adjectives in their forms, where it stands or "") -> the whole noun phrase."""
    motion: Words
    """Verb phrases; `{}` is the accusative of what is orbited."""
    visible: str
    """Verb phrase for a subject of which nothing else is known."""
    event: Words
    """Verb phrases; `{}` is the accusative of whom the subject does it to."""
    direction: Words
    speed: Words
    position: Words
    """Where a subject of two stands: left, right, front, back, top, bottom."""
    place: Words
    light: Words
    camera: Words
    style: Words
    clause: str
    """A template of {subject}, {verb}, {speed} and {way}."""
    then: str
    """Between what a subject does and what it does to another."""
    joints: tuple[str, ...]
    """Between clauses."""
    settings: tuple[str, ...]
    """Templates of {story} and {setting}."""
    tail: str
    """Before the camera and the style."""
    stop: str
    light_first: bool = False
    """Whether the light comes before the place."""


POSITIONS: dict[str, tuple[str, str]] = {
    "left of": ("left", "right"),
    "right of": ("right", "left"),
    "in front of": ("front", "back"),
    "behind": ("back", "front"),
    "on top of": ("top", "bottom"),
}
"""Where the first and the second subject of a relation stand."""


def caption_in(language: Language, facts: Sequence[Fact], length: Length, generator: np.random.Generator) -> Caption:
    """What `lumora.world.caption.caption` writes in English, in another language; it may state fewer facts.

    Raises ValueError for facts without a subject.
    """
    if not any(f.category == "kind" for f in facts):
        raise ValueError("A caption needs the facts of at least one subject.")
    writer = _Writer(language, facts, length, generator)
    text = writer.write()
    return Caption(text, tuple(f for f in facts if f in writer.stated))


class _Writer:
    def __init__(
        self, language: Language, facts: Sequence[Fact], length: Length, generator: np.random.Generator
    ) -> None:
        self.language, self.facts, self.length, self.generator = language, tuple(facts), length, generator
        self.looks: list[Category] = [c for c, p in LOOKS[length].items() if self.chance(p)]
        self.subjects = [f.subject for f in facts if f.category == "kind" and f.subject is not None]
        self.stated: set[Fact] = set()
        self.introduced: list[int] = []
        self.positions = self._choose_positions()

    def chance(self, probability: float) -> bool:
        return bool(self.generator.random() < probability)

    def word(self, options: Sequence[T]) -> T:
        return options[0] if self.chance(PLAIN) else options[int(self.generator.integers(len(options)))]

    def fact(self, category: Category, subject: int | None = None) -> Fact | None:
        return next((f for f in self.facts if f.category == category and f.subject == subject), None)

    def say(self, category: Category, table: Words, subject: int | None = None) -> str:
        """The words of a fact, which then is stated; empty where there is none."""
        fact = self.fact(category, subject)
        if fact is None:
            return ""
        self.stated.add(fact)
        return self.word(table[fact.value])

    def write(self) -> str:
        language, brief = self.language, self.length == "short"
        clauses = self._clauses(one=brief and self.chance(0.5))
        story = clauses[0] + "".join(f"{self.word(language.joints)}{clause}" for clause in clauses[1:])
        setting = self._setting(not brief or self.chance(0.4), light=self.chance(0.3 if brief else 0.75))
        text = self.word(language.settings).format(story=story, setting=setting) if setting else story
        tails = self._tails()
        text = language.tail.join([text, *tails])
        return text if brief else f"{text[0].upper()}{text[1:]}{language.stop}"

    def noun_phrase(self, subject: int, case: GrammaticalCase) -> str:
        kind = self.fact("kind", subject)
        assert kind is not None
        noun = self.word(self.language.nouns[kind.value])
        adjectives: list[tuple[Category, str]] = []
        for category in self.looks:
            stem = self.say(category, self.language.adjectives[category], subject)
            if stem:
                adjectives.append((category, self.language.inflect(stem, noun.gender, case)))
        self.stated.add(kind)
        self.introduced.append(subject)
        place = self.positions.get(subject, "")
        return self.language.phrase(noun, case, adjectives, self.word(self.language.position[place]) if place else "")

    def _choose_positions(self) -> dict[int, str]:
        """Where each of two subjects stands, if that is to be told: both then belong to the caption."""
        relations = [f for f in self.facts if f.category == "relation"]
        told = {"short": 0.2, "sentence": 0.5, "paragraph": 1.0}[self.length]
        if len(self.subjects) != 2 or len(relations) != 1 or not self.chance(told):
            return {}
        (fact,) = relations
        assert fact.subject is not None and fact.other is not None
        self.stated.add(fact)
        return dict(zip((fact.subject, fact.other), POSITIONS[fact.value], strict=True))

    def _clauses(self, one: bool) -> list[str]:
        """What each subject does, those first that do it to another; with `one` of some subject only."""
        order = [self.subjects[i] for i in self.generator.permutation(len(self.subjects))]
        acting = {f.subject for f in self.facts if f.other is not None and f.category in ("event", "motion")}
        order.sort(key=lambda subject: subject not in acting)
        if one and not self.positions:
            order = order[:1]
        return [self._clause(subject) for subject in order if subject not in self.introduced]

    def _clause(self, subject: int) -> str:
        language = self.language
        subject_words = self.noun_phrase(subject, "nominative")
        motion = self.fact("motion", subject)
        verb, speed, way = language.visible, "", ""
        if motion is not None and (motion.other is None or motion.other not in self.introduced):
            verb = self.word(language.motion[motion.value])
            self.stated.add(motion)
            verb = verb if motion.other is None else verb.format(self.noun_phrase(motion.other, "accusative"))
            speed = self.say("speed", language.speed, subject)
            way = self.say("direction", language.direction, subject)
        text = language.clause.format(subject=subject_words, verb=verb, speed=speed, way=way)
        events = [f for f in self.facts if f.category == "event" and f.subject == subject]
        for event in events[:1]:
            if event.other is not None and event.other in self.introduced:
                continue
            self.stated.add(event)
            deed = self.word(language.event[event.value])
            whom = "" if event.other is None else self.noun_phrase(event.other, "accusative")
            text += language.then + deed.format(whom)
        return " ".join(text.split()) if " " in language.clause else text

    def _setting(self, place: bool, light: bool) -> str:
        parts = [self.say("place", self.language.place)] if place else []
        parts += [self.say("light", self.language.light)] if light else []
        parts = parts[::-1] if self.language.light_first else parts
        return (" " if " " in self.language.clause else "").join(part for part in parts if part)

    def _tails(self) -> list[str]:
        """Camera and style."""
        tails: list[str] = []
        camera = next((f for f in self.facts if f.category == "camera"), None)
        told = {"short": 0.0, "sentence": 0.6, "paragraph": 1.0}[self.length]
        # Whom a camera follows is clear only where there is nobody else.
        if camera and (camera.subject is None or len(self.subjects) == 1) and self.chance(told):
            self.stated.add(camera)
            tails.append(self.word(self.language.camera[camera.value]))
        if self.fact("style") and self.chance(0.85):
            tails.append(self.say("style", self.language.style))
        return tails
