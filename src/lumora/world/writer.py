"""The writer of captions: puts single facts into words, remembers which it has stated and whom it has introduced."""

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
"""How often the plainest wording is taken; the rest share what remains equally."""

_ADJECTIVES: dict[str, dict[str, tuple[str, ...]]] = {
    "size": phrases.SIZE,
    "emotion": phrases.EMOTION,
    "material": phrases.MATERIAL,
    "color": phrases.COLOR,
}
_ORDERS = (("size", "emotion", "material", "color"), ("emotion", "size", "material", "color"))


class Writer:
    """Writes about one clip. Every method that returns words also records the facts that they state."""

    def __init__(self, facts: Sequence[Fact], generator: np.random.Generator):
        self.facts = tuple(facts)
        self.generator = generator
        self.subjects = [f.subject for f in facts if f.category == "kind" and f.subject is not None]
        self.stated: set[Fact] = set()
        self.introduced: list[int] = []
        self._words: dict[tuple[str, int], str] = {}

    def continued(self, facts: Sequence[Fact]) -> Writer:
        """A writer about another shot of the same subjects, whom the reader knows by now from this one's words."""
        other = Writer(facts, self.generator)
        other.introduced, other._words = list(self.introduced), dict(self._words)
        return other

    # Chance

    def chance(self, probability: float) -> bool:
        return bool(self.generator.random() < probability)

    def pick(self, options: Sequence[T]) -> T:
        return options[int(self.generator.integers(len(options)))]

    def word(self, options: Sequence[T]) -> T:
        """One wording, often the plainest, which is the first."""
        return options[0] if self.chance(PLAIN) else self.pick(options)

    def shuffled(self, items: Iterable[T]) -> list[T]:
        items = list(items)
        return [items[i] for i in self.generator.permutation(len(items))]

    # Facts

    def fact(self, category: Category, subject: int | None = None) -> Fact | None:
        return next((f for f in self.facts if f.category == category and f.subject == subject), None)

    def value(self, category: Category, subject: int | None = None) -> str | None:
        fact = self.fact(category, subject)
        return None if fact is None else fact.value

    def deeds(self) -> list[Fact]:
        return [f for f in self.facts if f.category == "event"]

    def relations(self) -> list[Fact]:
        return [f for f in self.facts if f.category == "relation"]

    def camera_move(self) -> str | None:
        camera = self._camera()
        return None if camera is None else camera.value

    # Subjects

    def name(self, index: int, looks: Sequence[str] = ("color",)) -> str:
        """The subject with its looks if it is new, a reference to it if it has been introduced."""
        return self.refer(index) if index in self.introduced else self.introduce(index, looks)

    def introduce(self, index: int, looks: Sequence[str], article: bool = True) -> str:
        """An indefinite noun phrase: `a tiny red ball with a glossy finish`; `another` if there was one like it."""
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
        """A definite reference that can mean no other subject of the clip."""
        noun = self._words["kind", index]
        if len(self.subjects) == 1:
            return "it" if self.chance(0.5) else f"the {noun}"
        if other and len(self.subjects) == 2 and self.chance(0.2):
            return "the other one"
        unique = [c for c in (("kind",), ("color",), ("kind", "color"), ("kind", "size")) if self._identifies(index, c)]
        if not unique:
            place = ("first", "second", "third")[self.introduced.index(index)]
            return f"the {place} one"
        chosen = self.word(unique)
        adjectives = [self._words[c, index] for c in ("size", "color") if c in chosen]
        return " ".join(["the", *adjectives, noun if "kind" in chosen else "one"])

    def state_count(self) -> None:
        """Whoever names all there is says how many there are."""
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

    # What they do

    def predicate(self, index: int, form: Form, looks: Sequence[str] = ("color",)) -> str:
        """What the subject does, such as `rolls slowly to the left`; empty if nothing is known."""
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
        ways = [self._way(direction, " " in verb)] if direction else []
        if speed is None:
            return " ".join([verb, *ways])
        pace = self.word(phrases.SPEED[speed.value])
        self.stated.add(speed)
        if pace.endswith("ly") and " " not in verb and self.chance(0.3):
            return " ".join([pace, verb, *ways])
        return " ".join([verb, pace, *ways] if self.chance(0.5) else [verb, *ways, pace])

    def deed(self, event: Fact, form: Form, looks: Sequence[str] = ("color",)) -> str:
        """A verb phrase such as `bumps into a blue cube`, or a clause for a bite."""
        self.stated.add(event)
        if event.value == "bite":
            assert event.subject is not None
            return self.pick(verbs.BITE).format(self.name(event.subject, looks))
        wording = self.word(verbs.EVENT[event.value])[0 if form == "third" else 1]
        return wording if event.other is None else wording.format(self.name(event.other, looks))

    def deed_clause(self, event: Fact) -> str:
        if event.value == "bite":
            return self.deed(event, "third")
        assert event.subject is not None
        return f"{self.refer(event.subject)} {self.deed(event, 'third')}"

    # Where, when, and seen how

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
        """Place, and light where wanted: `in the desert at dusk`."""
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
        """How it is drawn: `as a cartoon`."""
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
        """What the camera does, to follow a comma."""
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
        """Whether these looks of a subject have been stated, and no other subject shares them all."""
        known = all((c, index) in self._words for c in categories)
        return known and not any(self._alike(index, i, categories) for i in self.subjects if i != index)

    def _adjectives(self, index: int, shown: Sequence[Fact]) -> tuple[list[str], list[str], list[str]]:
        """Words for the looks: adjectives, metals (which come last), and at most one phrase after the noun."""
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
        nouns = phrases.KIND[kind] if kind else ("thing",)
        return self.word([n for n in nouns if not (metal and n.startswith(("wooden", "rubber", "baked")))])

    def _way(self, direction: Fact, after_several_words: bool) -> str:
        self.stated.add(direction)
        ways = phrases.DIRECTION[direction.value]
        if after_several_words:  # "rolls along right" is no English, "rolls along to the right" is
            ways = tuple(way for way in ways if way not in ("right", "left", "away"))
        return self.word(ways)

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
    """`phrase` after `a` or `an`, by the sound that the wordings of this world begin with."""
    return f"an {phrase}" if phrase[0] in "aeiou" and not phrase.startswith(("one", "uni", "eu")) else f"a {phrase}"


def enumerate_in_english(parts: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def sentence_case(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."
