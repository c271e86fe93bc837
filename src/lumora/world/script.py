"""Captions of films: the subjects described once, then each shot, with the facts that each text states.

    script(facts of each shot, "sentence", generator)
    -> "A small red ball and a blue cube, in black and white. The ball rolls to the left on a beach. Then, …"

The looks and the number of the subjects and the style are stated once for the whole film.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lumora.world.caption import Caption, Length
from lumora.world.facts import Fact
from lumora.world.writer import Writer, enumerate_in_english, sentence_case

_FIRST = ("in the first shot", "first", "at first", "to begin with", "at the beginning")
_THEN = ("then", "after a cut", "next", "in the next shot", "after that", "now")


@dataclass(frozen=True)
class Script:
    """A caption for each shot, which begins with the description of the subjects, and one for the whole film."""

    shots: tuple[Caption, ...]
    whole: Caption


def script(shots: Sequence[Sequence[Fact]], length: Length, generator: np.random.Generator) -> Script:
    """Captions of a film from the facts of each shot, which have the same subjects, in the same order, and style.

    Raises ValueError without shots, for facts without a subject, or for another length.
    """
    if not shots or not all(any(f.category == "kind" for f in facts) for facts in shots):
        raise ValueError("A script needs at least one shot, and the facts of at least one subject in each.")
    if length not in _LOOKS:
        raise ValueError(f"A caption is short, sentence or paragraph long, not {length!r}.")
    narrator = Writer(shots[0], generator)
    cast, known = _cast(narrator, length), frozenset(narrator.stated)
    shot_clauses: list[list[str]] = []
    captions: list[Caption] = []
    for facts in shots:
        writer = narrator.for_next_shot(facts)
        shot_clauses.append(_shot(writer, length))
        text = " ".join([cast, *(sentence_case(clause) for clause in shot_clauses[-1])])
        captions.append(Caption(text, tuple(f for f in facts if f in writer.stated or f in known)))
    whole = [cast]
    for number, clauses in enumerate(shot_clauses):
        opening = narrator.pick(_THEN if number else _FIRST) if len(shot_clauses) > 1 else ""
        clauses = [f"{opening}, {clauses[0]}" if opening else clauses[0], *clauses[1:]]
        whole += [sentence_case(clause) for clause in clauses]
    stated = dict.fromkeys(fact for caption in captions for fact in caption.facts)
    return Script(tuple(captions), Caption(" ".join(whole), tuple(stated)))


_LOOKS: dict[Length, tuple[tuple[str, float], ...]] = {
    "short": (("color", 1.0),),
    "sentence": (("size", 0.6), ("emotion", 0.8), ("material", 0.4), ("color", 1.0)),
    "paragraph": (("size", 1.0), ("emotion", 1.0), ("material", 1.0), ("color", 1.0)),
}
"""Probability that the description of the subjects states each look."""


def _cast(writer: Writer, length: Length) -> str:
    looks = tuple(look for look, share in _LOOKS[length] if writer.chance(share))
    cast = enumerate_in_english([writer.introduce(i, looks) for i in writer.subjects])
    writer.state_count()
    if writer.has_style() and (length != "short" or writer.chance(0.7)):
        cast += f", {writer.style()}"
    return sentence_case(cast)


def _shot(writer: Writer, length: Length) -> list[str]:
    """The clauses about one shot, whose subjects have been introduced."""
    clauses = [f"{writer.refer(i)} {_actions(writer, i, length)}" for i in _actors(writer, length)]
    subjects = enumerate_in_english([writer.refer(i) for i in writer.subjects])
    story = writer.pick((" while ", " and ", ", and ")).join(clauses) if clauses else f"we see {subjects}"
    setting = writer.setting(light=length == "paragraph" or (length == "sentence" and writer.chance(0.7)))
    story = f"{setting}, {story}" if writer.chance(0.4) else f"{story} {setting}"
    move = writer.camera_move()
    if length == "sentence" and move is not None and writer.chance(0.3 if move == "static" else 0.8):
        return [f"{story}, {writer.camera_tail(fragment=False)}"]
    if length != "paragraph":
        return [story]
    sentences = [writer.relation_clause(fact) for fact in writer.relations()]
    sentences += [writer.event_clause(event) for event in writer.events()]
    return [story, *sentences, *([writer.camera_sentence()] if move is not None else [])]


def _actions(writer: Writer, index: int, length: Length) -> str:
    """The action of a subject and, in a sentence, an event: `rolls to the left and passes behind it`."""
    doing = writer.predicate(index, "third")
    events = [event for event in writer.events() if event.subject == index and event.value != "bite"]
    if length == "sentence" and events and writer.chance(0.85):
        doing += f" and {writer.event_phrase(writer.pick(events), 'third')}"
    return doing


def _actors(writer: Writer, length: Length) -> list[int]:
    """The subjects whose actions are stated; in a short caption only one that moves."""
    acting = [i for i in writer.subjects if writer.value("motion", i) is not None]
    moving = [i for i in acting if writer.value("motion", i) != "still"]
    if length == "short":
        return [writer.pick(moving or acting)] if acting else []
    return writer.shuffled(acting)
