"""English captions of facts in many wordings, each with the list of the facts that it states.

    caption(facts, "sentence", generator)
    -> Caption("On a beach at dusk, a tiny scarlet ball rolls to the left.", (Fact("size", "small", 0), ...))

A caption is written from facts alone, so the mirror image of a clip is captioned by its mirrored facts. `Writer`
records each fact when it writes it, so the list is exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from lumora.world.facts import Fact
from lumora.world.writer import PLAIN, Writer, enumerate_in_english, sentence_case

Length: TypeAlias = Literal["short", "sentence", "paragraph"]
LENGTHS: tuple[Length, ...] = ("short", "sentence", "paragraph")


@dataclass(frozen=True)
class Caption:
    text: str
    facts: tuple[Fact, ...]
    """The facts that the text states, in the order of the clip's facts."""


def caption(facts: Sequence[Fact], length: Length, generator: np.random.Generator, plain: float = PLAIN) -> Caption:
    """A caption that states some of the `facts` (short), most of them (sentence) or all of them (paragraph).

    `plain` is the probability of the plainest wording of each fact.
    Raises ValueError for facts without a subject, or another length.
    """
    if not any(f.category in ("kind", "color") for f in facts):
        raise ValueError("A caption needs the facts of at least one subject.")
    writer = Writer(facts, generator, plain)
    if length == "short":
        text = _short(writer)
        if writer.has_style() and writer.chance(0.6):
            text += f", {writer.style()}"
    elif length == "sentence":
        text = _sentence(writer)
    elif length == "paragraph":
        text = _paragraph(writer)
    else:
        raise ValueError(f"A caption is short, sentence or paragraph long, not {length!r}.")
    return Caption(text, tuple(f for f in facts if f in writer.stated))


def _short(writer: Writer) -> str:
    """One subject or all of them, and an action or a place."""
    subjects = writer.subjects
    looks = ("color", *(("size",) if writer.chance(0.2) else ()), *(("emotion",) if writer.chance(0.5) else ()))
    bare = writer.chance(0.4)
    if len(subjects) > 1 and writer.chance(0.5):
        text = enumerate_in_english([writer.introduce(i, looks, article=not bare) for i in subjects])
        writer.state_count()
    else:
        moving = [i for i in subjects if writer.value("motion", i) not in (None, "still", "orbit")]
        index = int(writer.pick(moving or subjects))
        text = writer.introduce(index, looks, article=not bare)
        if len(subjects) == 1:
            writer.state_count()
        stated = set(writer.stated)
        doing = writer.predicate(index, "ing" if bare or writer.chance(0.5) else "third")
        if doing and (moving or writer.chance(0.5)):
            text += f" {doing}"
        else:
            writer.stated = stated  # The action is left out of the text.
            if writer.chance(0.3):
                return f"{text} {writer.place()}".strip()
    return text if writer.chance(0.6) else f"{text} {writer.place()}".strip()


def _sentence(writer: Writer) -> str:
    fragment = writer.chance(0.35)
    looks = tuple(
        c for c, p in (("size", 0.55), ("emotion", 0.8), ("material", 0.4), ("color", 1.0)) if writer.chance(p)
    )
    setting = writer.setting(light=writer.chance(0.75))
    move = writer.camera_move()
    camera = move is not None and writer.chance(0.25 if move == "static" else 0.75)
    story = _fragments(writer, looks) if fragment else _clauses(writer, looks)
    writer.state_count()
    at_front = bool(setting) and not fragment and writer.chance(0.45)
    text = f"{setting}, {story}" if at_front else f"{story} {setting}".strip()
    if camera:
        text += f", {writer.camera_tail(fragment)}"
    elif fragment and writer.chance(0.2):
        text = f"{writer.pick(('a video of', 'a short clip of', 'a short film of', 'an animation of'))} {text}"
    if writer.has_style() and writer.chance(0.85):
        text += f", {writer.style()}"
    return sentence_case(text)


def _clauses(writer: Writer, looks: Sequence[str]) -> str:
    """Finite clauses: a red ball rolls to the left while a blue cube stands still."""
    event = writer.pick(writer.events()) if writer.events() and writer.chance(0.85) else None
    if event is not None:
        return _event_clauses(writer, event, looks)
    relation = writer.pick(writer.relations()) if writer.relations() and writer.chance(0.4) else None
    if relation is not None:
        return _relation_clauses(writer, relation, looks)
    return _join(writer, [_clause(writer, i, looks) for i in writer.shuffled(writer.subjects)])


def _clause(writer: Writer, index: int, looks: Sequence[str]) -> str:
    """The action of one subject; introduces the subjects that it involves."""
    name = writer.name(index, looks)
    doing = writer.predicate(index, "third", looks)
    return f"{name} {doing}" if doing else f"there is {name}"


def _event_clauses(writer: Writer, event: Fact, looks: Sequence[str]) -> str:
    if event.value == "bite":
        clauses = [_clause(writer, i, looks) for i in writer.shuffled(writer.subjects)]
        return f"{_join(writer, clauses)}, and {writer.event_phrase(event, 'third')}"
    assert event.subject is not None
    first = _clause(writer, event.subject, looks)
    joint = writer.pick((" and ", " and ", " and then "))
    text = first + joint + writer.event_phrase(event, "third", looks)
    rest = [i for i in writer.subjects if i not in writer.introduced]
    return _join(writer, [text, *(_clause(writer, i, looks) for i in rest)])


def _relation_clauses(writer: Writer, relation: Fact, looks: Sequence[str]) -> str:
    text = "there is " + writer.relation(relation, looks)
    doings = [_clause(writer, i, looks) for i in writer.subjects if writer.value("motion", i)]
    return f"{text}; {_join(writer, doings)}" if doings else text


def _fragments(writer: Writer, looks: Sequence[str]) -> str:
    """Participles: a red ball rolling to the left and a blue cube standing still."""
    events = [f for f in writer.events() if f.value != "bite"]
    parts: list[str] = []
    if events and writer.chance(0.85):
        event = writer.pick(events)
        assert event.subject is not None
        name, doing = writer.name(event.subject, looks), writer.predicate(event.subject, "ing", looks)
        parts.append(f"{name} {doing} and {writer.event_phrase(event, 'ing', looks)}" if doing else
                     f"{name} {writer.event_phrase(event, 'ing', looks)}")  # fmt: skip
    for index in writer.shuffled([i for i in writer.subjects if i not in writer.introduced]):
        parts.append(f"{writer.name(index, looks)} {writer.predicate(index, 'ing', looks)}".strip())
    return enumerate_in_english(parts)


def _join(writer: Writer, clauses: list[str]) -> str:
    if len(clauses) < 2:
        return clauses[0]
    joint = writer.pick((", while ", ", and ", " while ", " and ", "; "))
    head = ", ".join(clauses[:-1])
    return head + joint + clauses[-1]


def _paragraph(writer: Writer) -> str:
    """Setting, subjects, relations, actions, events and camera, in about a sentence each."""
    looks = ("size", "emotion", "material", "color")
    setting_first = writer.chance(0.6)
    setting = writer.setting(light=True)
    sentences: list[str] = []
    camera_first = writer.chance(0.25) and writer.camera_move() not in (None, "follow")
    if camera_first:
        sentences.append(writer.camera_sentence())
    sentences += _opening(writer, looks, setting, setting_first)
    sentences += [f"{writer.pick(('', 'At the start, ', 'At first, '))}{writer.relation_clause(f)}" for f in
                  writer.relations() if f not in writer.stated]  # fmt: skip
    sentences += _actions(writer)
    for event in writer.events():
        sentences.append(writer.event_clause(event))
    if setting and not setting_first:
        sentences.append(
            f"{writer.pick(('It all happens', 'This takes place', 'The scene is set', 'We are'))} {setting}"
        )
    if not camera_first and writer.camera_move() is not None:
        sentences.append(writer.camera_sentence())
    if writer.has_style():
        style = f"{writer.pick(('It is all shown', 'Everything is shown', 'The clip is shown'))} {writer.style()}"
        sentences.insert(0 if writer.chance(0.5) else len(sentences), style)
    return " ".join(sentence_case(s) for s in sentences)


def _opening(writer: Writer, looks: Sequence[str], setting: str, setting_first: bool) -> list[str]:
    """Introduces all subjects with all their looks and their number, and the setting before or with them."""
    relations = writer.relations()
    if len(writer.subjects) == 2 and relations and writer.chance(0.4):
        cast = writer.relation(relations[0], looks)
        opening = f"{writer.pick(('there is', 'we see', 'the video shows'))} {cast}"
        writer.state_count()
    else:
        opening = writer.cast_clause(looks)
    if not setting or not setting_first:
        return [opening]
    if writer.chance(0.5):
        return [f"{setting}, {opening}"]
    return [f"{writer.pick(('The scene is', 'We are', 'The scene is set', 'The clip is set'))} {setting}", opening]


def _actions(writer: Writer) -> list[str]:
    """The actions of the subjects, at most two in a sentence."""
    indices = writer.shuffled([i for i in writer.subjects if writer.value("motion", i)])
    clauses: list[str] = []
    for position, index in enumerate(indices):
        name = writer.refer(index, other=position > 0)
        clauses.append(f"{name} {writer.predicate(index, 'third')}")
    if len(clauses) > 1 and writer.chance(0.6):
        joint = writer.pick((", while ", " and ", ", and ", "; ", " as "))
        clauses = [clauses[0] + joint + clauses[1], *clauses[2:]]
    return clauses
