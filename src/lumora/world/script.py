"""Captions of films: the cast described once, then what each shot shows, each with the facts that it states.

    script(facts of each shot, "sentence", generator)
    -> "A small red ball and a blue cube, in black and white. The ball rolls to the left on a beach. Then, …"

What belongs to the film, and not to a shot, is the cast's looks, its number, and the style.
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
    """A caption for each shot, which begins with the cast, as in a storyboard; and one of the whole film."""

    shots: tuple[Caption, ...]
    whole: Caption


def script(shots: Sequence[Sequence[Fact]], length: Length, generator: np.random.Generator) -> Script:
    """`shots` are the facts of each, of the same cast in the same order and style.

    Raises ValueError without a shot, or for facts without a subject, or another length.
    """
    if not shots or not all(any(f.category == "kind" for f in facts) for facts in shots):
        raise ValueError("A script needs at least one shot, and the facts of at least one subject in each.")
    if length not in _LOOKS:
        raise ValueError(f"A caption is short, sentence or paragraph long, not {length!r}.")
    narrator = Writer(shots[0], generator)
    cast, known = _cast(narrator, length), frozenset(narrator.stated)
    told: list[list[str]] = []
    captions: list[Caption] = []
    for facts in shots:
        writer = narrator.continued(facts)
        told.append(_shot(writer, length))
        text = " ".join([cast, *(sentence_case(clause) for clause in told[-1])])
        captions.append(Caption(text, tuple(f for f in facts if f in writer.stated or f in known)))
    whole = [cast]
    for number, clauses in enumerate(told):
        opening = narrator.pick(_THEN if number else _FIRST) if len(told) > 1 else ""
        clauses = [f"{opening}, {clauses[0]}" if opening else clauses[0], *clauses[1:]]
        whole += [sentence_case(clause) for clause in clauses]
    stated = dict.fromkeys(fact for caption in captions for fact in caption.facts)
    return Script(tuple(captions), Caption(" ".join(whole), tuple(stated)))


_LOOKS: dict[Length, tuple[tuple[str, float], ...]] = {
    "short": (("color", 1.0),),
    "sentence": (("size", 0.6), ("emotion", 0.8), ("material", 0.4), ("color", 1.0)),
    "paragraph": (("size", 1.0), ("emotion", 1.0), ("material", 1.0), ("color", 1.0)),
}
"""How often the cast is described with each of its looks."""


def _cast(writer: Writer, length: Length) -> str:
    looks = tuple(look for look, share in _LOOKS[length] if writer.chance(share))
    cast = enumerate_in_english([writer.introduce(i, looks) for i in writer.subjects])
    writer.state_count()
    if writer.has_style() and (length != "short" or writer.chance(0.7)):
        cast += f", {writer.style()}"
    return sentence_case(cast)


def _shot(writer: Writer, length: Length) -> list[str]:
    """What one shot shows, in one clause or several; the cast is known."""
    clauses = [f"{writer.refer(i)} {_deeds(writer, i, length)}" for i in _actors(writer, length)]
    seen = enumerate_in_english([writer.refer(i) for i in writer.subjects])
    story = writer.pick((" while ", " and ", ", and ")).join(clauses) if clauses else f"we see {seen}"
    setting = writer.setting(light=length == "paragraph" or (length == "sentence" and writer.chance(0.7)))
    story = f"{setting}, {story}" if writer.chance(0.4) else f"{story} {setting}"
    move = writer.camera_move()
    if length == "sentence" and move is not None and writer.chance(0.3 if move == "static" else 0.8):
        return [f"{story}, {writer.camera_tail(fragment=False)}"]
    if length != "paragraph":
        return [story]
    told = [writer.relation_clause(fact) for fact in writer.relations()]
    told += [writer.deed_clause(event) for event in writer.deeds()]
    return [story, *told, *([writer.camera_sentence()] if move is not None else [])]


def _deeds(writer: Writer, index: int, length: Length) -> str:
    """What one of them does, and in a sentence also what comes of it: `rolls to the left and passes behind it`."""
    doing = writer.predicate(index, "third")
    events = [event for event in writer.deeds() if event.subject == index and event.value != "bite"]
    if length == "sentence" and events and writer.chance(0.85):
        doing += f" and {writer.deed(writer.pick(events), 'third')}"
    return doing


def _actors(writer: Writer, length: Length) -> list[int]:
    """Whose deeds are told: in a few words only those of one who moves."""
    acting = [i for i in writer.subjects if writer.value("motion", i) is not None]
    moving = [i for i in acting if writer.value("motion", i) != "still"]
    if length == "short":
        return [writer.pick(moving or acting)] if acting else []
    return writer.shuffled(acting)
