"""Reads the facts that a prompt states, if it is in the words and the grammar of captions.

    read_prompt("A red ball rolls to the left on a beach")
    -> PromptReading((Fact("kind", "ball", 0), Fact("color", "red", 0), …), unread=())

It is strict: a word that it cannot place is `unread`, and a prompt with unread words may state anything.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from lumora.world.facts import OPPOSITE_RELATION, Category, Fact
from lumora.world.prompt_lexicon import Wording, Words, camera_lexicon, lexicon, longest_match, words_of

DETERMINERS = frozenset(("a", "an", "another", "one", "the"))
LOOKS = ("size", "emotion", "material", "color")


@dataclass(frozen=True)
class PromptReading:
    facts: tuple[Fact, ...]
    """Subjects are numbered in the order in which they are introduced."""
    unread: tuple[str, ...]
    """Words that are not understood, in order. If there are none, the facts are all that is stated."""

    @property
    def num_subjects(self) -> int:
        return sum(fact.category == "kind" for fact in self.facts)

    def states(self, category: Category, subject: int | None = None) -> bool:
        return any(fact.category == category and fact.subject == subject for fact in self.facts)


def read_prompt(text: str) -> PromptReading:
    """The facts that `text` states. `count` is not among them: a prompt need not name all that is to be seen."""
    reader = _Reader(words_of(text))
    reader.read()
    conflicting = reader.conflicts()
    return PromptReading(tuple(dict.fromkeys(reader.facts)), (*reader.unread, *conflicting))


@dataclass
class _Reader:
    words: Words
    position: int = 0
    facts: list[Fact] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    actor: int | None = None
    """The subject that a verb belongs to."""
    looks: list[dict[str, str]] = field(default_factory=list)
    """Of each subject: its kind and what was said of it."""

    def read(self) -> None:
        while self.position < len(self.words):
            if not (
                self._read_filler() or self._read_camera() or self._read_subject_of_clause() or self._read_wording()
            ):
                self.unread.append(self.words[self.position])
                self.position += 1

    def conflicts(self) -> list[str]:
        """Values of facts that contradict another one, such as a second place."""
        seen: dict[tuple[str, int | None], str] = {}
        wrong = []
        for fact in self.facts:
            if fact.category in ("relation", "event", "kind"):
                continue
            if seen.setdefault((fact.category, fact.subject), fact.value) != fact.value:
                wrong.append(fact.value)
        return wrong

    def _read_filler(self) -> bool:
        """Words that state nothing; before a subject, because some begin with `it`."""
        entries = longest_match(lexicon(), self.words, self.position)
        if not entries or entries[0].role not in ("filler", "camera"):
            return False
        return self._apply(entries[0])

    def _read_camera(self) -> bool:
        """`the camera pans left`, `with the camera following it`."""
        start = self.position
        while self.position < len(self.words) and self.words[self.position] in ("and", "while", "with", "the"):
            self.position += 1
        if self.words[self.position : self.position + 1] == ("camera",):
            self.position += 1
            for entry in longest_match(camera_lexicon(), self.words, self.position):
                self.position += len(entry.words)
                subject = None
                if entry.value == "follow":
                    subject = self._read_noun_phrase()
                    if subject is None:
                        break
                    self._read_closing(entry)
                self.facts.append(Fact("camera", entry.value, subject))
                return True
        self.position = start
        return False

    def _read_subject_of_clause(self) -> bool:
        subject = self._read_noun_phrase()
        if subject is None:
            return False
        self.actor = subject
        return True

    def _read_noun_phrase(self) -> int | None:
        """Introduces a subject or refers to one; None, at the same position, if there is no noun phrase here."""
        start = self.position
        if (referred := self._read_reference()) is not None:
            return referred
        self.position = start
        definite = self._read_determiner()
        looks: dict[str, str] = {}
        while entries := [e for e in longest_match(lexicon(), self.words, self.position) if e.role == "adjective"]:
            nouns = [e for e in longest_match(lexicon(), self.words, self.position) if e.role == "kind"]
            if nouns or entries[0].category in looks:
                break
            looks[entries[0].category] = entries[0].value
            self.position += len(entries[0].words)
        noun = next((e for e in longest_match(lexicon(), self.words, self.position) if e.role == "kind"), None)
        if noun is None:
            self.position = start
            return None
        self.position += len(noun.words)
        looks["kind"] = noun.value
        if definite:
            matching = self._matching(looks)
            if len(matching) == 1:
                return matching[0]
            if matching:
                self.position = start
                return None
        subject = len(self.looks)
        self.looks.append(looks)
        self.facts.append(Fact("kind", noun.value, subject))
        self.facts += [Fact(c, looks[c], subject) for c in LOOKS if c in looks]  # type: ignore[arg-type]
        self._read_after(subject)
        return subject

    def _read_after(self, subject: int) -> None:
        """`with a glossy finish`."""
        while entry := next(
            (e for e in longest_match(lexicon(), self.words, self.position) if e.role == "after"), None
        ):
            self.facts.append(Fact(entry.category, entry.value, subject))  # type: ignore[arg-type]
            self.looks[subject][entry.category] = entry.value
            self.position += len(entry.words)

    def _read_reference(self) -> int | None:
        """`it`, `the other one`, `the second one`, `the red one`."""
        words, count = self.words[self.position : self.position + 3], len(self.looks)
        if words[:1] == ("it",) and count == 1:
            self.position += 1
            return 0
        if words == ("the", "other", "one") and count == 2 and self.actor is not None:
            self.position += 3
            return 1 - self.actor
        if len(words) == 3 and words[0] == "the" and words[2] == "one" and words[1] in ("first", "second", "third"):
            index = ("first", "second", "third").index(words[1])
            if index < count:
                self.position += 3
                return index
        return self._read_one()

    def _read_one(self) -> int | None:
        """`the red one`."""
        if self.words[self.position : self.position + 1] != ("the",):
            return None
        self.position += 1
        looks: dict[str, str] = {}
        while entries := [e for e in longest_match(lexicon(), self.words, self.position) if e.role == "adjective"]:
            looks[entries[0].category] = entries[0].value
            self.position += len(entries[0].words)
        if not looks or self.words[self.position : self.position + 1] != ("one",):
            return None
        self.position += 1
        matching = self._matching(looks)
        return matching[0] if len(matching) == 1 else None

    def _read_determiner(self) -> bool:
        """Whether it is the definite article."""
        word = self.words[self.position]
        self.position += word in DETERMINERS
        return word == "the"

    def _matching(self, looks: dict[str, str]) -> list[int]:
        return [i for i, own in enumerate(self.looks) if all(own.get(c) == value for c, value in looks.items())]

    def _read_wording(self) -> bool:
        entries = longest_match(lexicon(), self.words, self.position)
        return any(self._apply(entry) for entry in entries)

    def _apply(self, entry: Wording) -> bool:
        start, count = self.position, len(self.facts)
        self.position += len(entry.words)
        if self._applied(entry):
            return True
        self.position = start
        del self.facts[count:]
        return False

    def _applied(self, entry: Wording) -> bool:
        category: Category = entry.category  # type: ignore[assignment]
        match entry.role:
            case "filler":
                return True
            case "setting" | "style" | "camera":
                self.facts.append(Fact(category, entry.value))
                return True
            case "motion":
                return self._read_motion(entry)
            case "direction" | "speed":
                if self.actor is None:
                    return False
                self.facts.append(Fact(category, entry.value, self.actor))
                return True
            case "relation" | "opposite":
                return self._read_relation(entry)
            case "event":
                return self._read_event(entry)
            case "bite":
                bitten = self._read_noun_phrase()
                if bitten is None:
                    return False
                self._read_closing(entry)
                self.facts.append(Fact("event", "bite", bitten))
                return True
        return False

    def _read_motion(self, entry: Wording) -> bool:
        if self.actor is None:
            return False
        center = None
        if entry.value == "orbit":
            center = self._read_noun_phrase()
            if center is None:
                return False
        self.facts.append(Fact("motion", entry.value, self.actor, center))
        return True

    def _read_relation(self, entry: Wording) -> bool:
        if self.actor is None:
            return False
        other = self._read_noun_phrase()
        if other is None:
            return False
        first, second = (self.actor, other) if entry.role == "relation" else (other, self.actor)
        self.facts.append(in_order(Fact("relation", entry.value, first, second)))
        return True

    def _read_event(self, entry: Wording) -> bool:
        if self.actor is None:
            return False
        other = None
        if entry.value not in ("bite", "leave"):
            other = self._read_noun_phrase()
            if other is None:
                return False
        self._read_closing(entry)
        self.facts.append(Fact("event", entry.value, self.actor, other))
        return True

    def _read_closing(self, entry: Wording) -> None:
        for closing in entry.closings:
            if self.words[self.position : self.position + len(closing)] == closing:
                self.position += len(closing)
                return


def in_order(relation: Fact) -> Fact:
    """The same relation, told of the subject that was introduced first; `on top of` has no inverse."""
    if relation.value not in OPPOSITE_RELATION or (relation.subject or 0) < (relation.other or 0):
        return relation
    return Fact("relation", OPPOSITE_RELATION[relation.value], relation.other, relation.subject)
