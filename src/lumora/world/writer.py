"""Wording of single facts; keeps track of the facts that are stated and the subjects that are introduced."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, TypeAlias, TypeVar

import numpy as np

from lumora.world import phrases, verbs
from lumora.world.facts import Category, Fact
from lumora.world.scene import CHARACTERS

T = TypeVar("T")
Form: TypeAlias = Literal["third", "ing"]

PLAIN = 0.35
"""Probability of the plainest wording; the others are equally probable."""

_ADJECTIVES: dict[str, dict[str, tuple[str, ...]]] = {
    "size": phrases.SIZE,
    "emotion": phrases.EMOTION,
    "material": phrases.MATERIAL,
    "color": phrases.COLOR,
}
_ORDERS = (("size", "emotion", "material", "color"), ("emotion", "size", "material", "color"))


class Writer:
    """Writes about one clip. Every method that returns text also records the facts that it states."""

    def __init__(self, facts: Sequence[Fact], generator: np.random.Generator, plain: float = PLAIN):
        """`plain` is the probability of the plainest wording."""
        self.facts, self.plain = tuple(facts), plain
        self.generator = generator
        introducing = (f.subject for f in facts if f.category in ("kind", "color") and f.subject is not None)
        self.subjects = list(dict.fromkeys(introducing))
        self.stated: set[Fact] = set()
        self.introduced: list[int] = []
        self._words: dict[tuple[str, int], str] = {}

    def for_next_shot(self, facts: Sequence[Fact]) -> Writer:
        """A writer for another shot of the same subjects, which this one has introduced."""
        other = Writer(facts, self.generator, self.plain)
        other.introduced, other._words = list(self.introduced), dict(self._words)
        return other

    # Chance

    def chance(self, probability: float) -> bool:
        return bool(self.generator.random() < probability)

    def pick(self, options: Sequence[T]) -> T:
        return options[int(self.generator.integers(len(options)))]

    def word(self, options: Sequence[T]) -> T:
        """A random wording, with probability `plain` the first, plainest one."""
        return options[0] if self.chance(self.plain) else self.pick(options)

    def shuffled(self, items: Iterable[T]) -> list[T]:
        items = list(items)
        return [items[i] for i in self.generator.permutation(len(items))]

    # Facts

    def fact(self, category: Category, subject: int | None = None) -> Fact | None:
        return next((f for f in self.facts if f.category == category and f.subject == subject), None)

    def value(self, category: Category, subject: int | None = None) -> str | None:
        fact = self.fact(category, subject)
        return None if fact is None else fact.value

    def events(self) -> list[Fact]:
        return [f for f in self.facts if f.category == "event"]

    def relations(self) -> list[Fact]:
        return [f for f in self.facts if f.category == "relation"]

    def camera_move(self) -> str | None:
        camera = self._camera()
        return None if camera is None else camera.value

    # Subjects

    def name(self, index: int, looks: Sequence[str] = ("color",)) -> str:
        """Introduces the subject with its looks, or refers to it if it has been introduced."""
        return self.refer(index) if index in self.introduced else self.introduce(index, looks)

    def introduce(self, index: int, looks: Sequence[str], article: bool = True) -> str:
        """An indefinite noun phrase: `a tiny red ball with a glossy finish`; `another` for a subject like a previous
        one."""
        kind = self.fact("kind", index)
        shown = [f for c in self.pick(_ORDERS) if c in looks and (f := self.fact(c, index)) is not None]  # type: ignore[arg-type]
        twin = any(self._alike(index, i, [f.category for f in shown] + ["kind"]) for i in self.introduced)
        before, metal, after = self._adjectives(index, shown)
        noun = self._noun(index)
        self._words["kind", index] = noun
        self.introduced.append(index)
        self.stated |= {f for f in (*shown, kind) if f is not None}
        phrase = " ".join([*before, *metal, noun, *after])
        if not article:
            return phrase
        return f"another {phrase}" if twin else with_article(phrase)

    def refer(self, index: int, other: bool = False) -> str:
        """A definite noun phrase that identifies the subject."""
        noun = self._words["kind", index]
        if len(self.subjects) == 1:
            return "it" if self.chance(0.5) else f"the {noun}"
        if other and len(self.subjects) == 2 and self.chance(0.2):
            return "the other one"
        unique = [c for c in (("kind",), ("color",), ("kind", "color"), ("kind", "size")) if self._identifies(index, c)]
        if not unique:
            ordinal = ("first", "second", "third")[self.introduced.index(index)]
            return f"the {ordinal} one"
        chosen = self.word(unique)
        adjectives = [self._words[c, index] for c in ("size", "color") if c in chosen]
        return " ".join(["the", *adjectives, noun if "kind" in chosen else "one"])

    def state_count(self) -> None:
        """Records the number of subjects as stated if all have been introduced."""
        count = self.fact("count")
        if count is not None and set(self.introduced) == set(self.subjects):
            self.stated.add(count)

    def cast_clause(self, looks: Sequence[str]) -> str:
        """A clause that introduces all subjects."""
        cast = enumerate_in_english([self.introduce(i, looks) for i in self.shuffled(self.subjects)])
        self.state_count()
        if len(self.subjects) == 1:
            return self.pick(_ONE).format(cast)
        characters = [self.value("kind", i) in CHARACTERS for i in self.subjects]
        noun = "figures" if all(characters) else "objects" if not any(characters) else "things"
        return self.pick(_SEVERAL).format(cast, number=phrases.NUMBER[str(len(self.subjects))], noun=noun)

    # Actions and events

    def predicate(self, index: int, form: Form, looks: Sequence[str] = ("color",)) -> str:
        """A verb phrase such as `rolls slowly to the left`; empty if the motion is unknown."""
        motion, direction, speed = (self.fact(c, index) for c in ("motion", "direction", "speed"))
        if motion is None:
            return ""
        table = verbs.MOTION[motion.value]
        if direction is None:
            table += verbs.IN_PLACE.get(motion.value, ())
        verb = self.word(table)[0 if form == "third" else 1]
        self.stated.add(motion)
        if motion.value == "orbit" and motion.other is not None:
            verb = f"{verb} {self.name(motion.other, looks)}"
        where = [self._direction_phrase(direction, " " in verb)] if direction else []
        if speed is None:
            return " ".join([verb, *where])
        pace = self.word(phrases.SPEED[speed.value])
        self.stated.add(speed)
        if pace.endswith("ly") and " " not in verb and self.chance(0.3):
            return " ".join([pace, verb, *where])
        return " ".join([verb, pace, *where] if self.chance(0.5) else [verb, *where, pace])

    def event_phrase(self, event: Fact, form: Form, looks: Sequence[str] = ("color",)) -> str:
        """A verb phrase such as `bumps into a blue cube`, or a clause for a bite."""
        self.stated.add(event)
        if event.value == "bite":
            assert event.subject is not None
            return self.pick(verbs.BITE).format(self.name(event.subject, looks))
        wording = self.word(verbs.EVENT[event.value])[0 if form == "third" else 1]
        return wording if event.other is None else wording.format(self.name(event.other, looks))

    def event_clause(self, event: Fact) -> str:
        if event.value == "bite":
            return self.event_phrase(event, "third")
        assert event.subject is not None
        return f"{self.refer(event.subject)} {self.event_phrase(event, 'third')}"

    # Relations, setting, style and camera

    def relation(self, fact: Fact, looks: Sequence[str] = ("color",)) -> str:
        """A noun phrase such as `a red ball to the left of a blue cube`."""
        first, second, table = self._relation_ends(fact)
        return f"{self.name(first, looks)} {self.word(table)} {self.name(second, looks)}"

    def relation_clause(self, fact: Fact) -> str:
        first, second, table = self._relation_ends(fact)
        return f"{self.name(first)} is {self.word(table)} {self.name(second)}"

    def place(self) -> str:
        place = self.fact("place")
        if place is None:
            return ""
        self.stated.add(place)
        return self.word(phrases.PLACE[place.value])

    def setting(self, light: bool) -> str:
        """The place and, if `light`, the light: `in the desert at dusk`."""
        place, when = self.fact("place"), self.fact("light")
        if not light or when is None:
            return self.place()
        self.stated.add(when)
        table = phrases.LIGHT_ANYWHERE[when.value]
        if place is not None and place.value != "room":
            table += phrases.LIGHT_OUTDOORS[when.value]
        return f"{self.place()} {self.word(table)}".strip()

    def has_style(self) -> bool:
        return self.fact("style") is not None

    def style(self) -> str:
        """The visual style: `as a cartoon`."""
        style = self.fact("style")
        assert style is not None
        self.stated.add(style)
        return self.word(phrases.STYLE[style.value])

    def camera_sentence(self) -> str:
        third, _ = self._camera_verb()
        if self.camera_move() == "static" and self.chance(0.3):
            return self.pick(("it is a static shot", "the shot is static", "the view does not change"))
        return f"the camera {third}"

    def camera_tail(self, fragment: bool) -> str:
        """The camera's move, to be appended after a comma."""
        third, ing = self._camera_verb()
        if self.camera_move() == "static" and self.chance(0.4):
            return self.pick(("static shot", "fixed camera", "static camera")) if fragment else "in a static shot"
        if fragment:
            return self.pick((f"camera {ing}", f"the camera {ing}", f"with the camera {ing}"))
        return self.pick((f"and the camera {third}", f"while the camera {third}", f"with the camera {ing}"))

    # Parts

    def _alike(self, a: int, b: int, categories: Iterable[str]) -> bool:
        return all(self.value(c, a) == self.value(c, b) for c in categories)  # type: ignore[arg-type]

    def _identifies(self, index: int, categories: Sequence[str]) -> bool:
        """Whether these looks of the subject have been stated and no other subject has all of them."""
        known = all((c, index) in self._words for c in categories)
        return known and not any(self._alike(index, i, categories) for i in self.subjects if i != index)

    def _adjectives(self, index: int, shown: Sequence[Fact]) -> tuple[list[str], list[str], list[str]]:
        """Wordings of looks: adjectives, words for metal, which come last, and at most one phrase after the noun."""
        before: list[str] = []
        metal: list[str] = []
        after: list[str] = []
        for fact in shown:
            later = {"material": phrases.MATERIAL_AFTER, "emotion": phrases.EMOTION_AFTER}.get(fact.category)
            if later is not None and not after and self.chance(0.3):
                after.append(self.pick(later[fact.value]))
                continue
            word = self.word(_ADJECTIVES[fact.category][fact.value])
            self._words[fact.category, index] = word
            (metal if fact.value == "metal" else before).append(word)
        return before, metal, after

    def _noun(self, index: int) -> str:
        kind, metal = self.value("kind", index), self.value("material", index) == "metal"
        nouns = phrases.KIND[kind] if kind else ("object",)
        return self.word([n for n in nouns if not (metal and n.startswith(("wooden", "rubber", "baked")))])

    def _direction_phrase(self, direction: Fact, after_several_words: bool) -> str:
        self.stated.add(direction)
        wordings = phrases.DIRECTION[direction.value]
        if after_several_words:  # "rolls along to the right", not "rolls along right"
            wordings = tuple(word for word in wordings if word not in ("right", "left", "away"))
        return self.word(wordings)

    def _relation_ends(self, fact: Fact) -> tuple[int, int, tuple[str, ...]]:
        assert fact.subject is not None and fact.other is not None
        self.stated.add(fact)
        if self.chance(0.3):
            return fact.other, fact.subject, phrases.OPPOSITE[fact.value]
        return fact.subject, fact.other, phrases.RELATION[fact.value]

    def _camera(self) -> Fact | None:
        return next((f for f in self.facts if f.category == "camera"), None)

    def _camera_verb(self) -> tuple[str, str]:
        camera = self._camera()
        assert camera is not None
        self.stated.add(camera)
        third, ing = self.word(verbs.CAMERA[camera.value])
        if camera.subject is None:
            return third.format("it"), ing.format("it")
        whom = self.name(camera.subject)
        return third.format(whom), ing.format(whom)


_ONE = (
    "there is {}", "we see {}", "the video shows {}", "the clip shows {}", "the picture shows {}",
    "we are looking at {}", "there is just one thing to see: {}", "the only thing in view is {}",
    "a single object is in view: {}", "one thing can be seen: {}",
)  # fmt: skip
_SEVERAL = (
    "there are {number} {noun}: {}", "{number} {noun} are in view: {}", "{number} {noun} can be seen: {}",
    "the video shows {number} {noun}: {}", "we see {number} {noun}, {}", "the {number} {noun} in view are {}",
    "there is {}", "we see {}", "the video shows {}", "the clip shows {}",
)  # fmt: skip


def with_article(phrase: str) -> str:
    """`phrase` with `a` or `an`, by the first sound of the wordings that occur here."""
    return f"an {phrase}" if phrase[0] in "aeiou" and not phrase.startswith(("one", "uni", "eu")) else f"a {phrase}"


def enumerate_in_english(parts: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def sentence_case(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."
