"""False statements about real clips. How many of them an instrument confirms is its floor."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from lumora.evaluate.instruments.effects import EVENT_KINDS
from lumora.world.facts import OPPOSITE_RELATION, Fact, subjects_of

ON_TOP = "on top of"


def negative_controls_for(true: Sequence[Fact]) -> tuple[Fact, ...]:
    """Relations and events that a clip with exactly these facts does not show. Statements that the facts leave open are
    not made."""
    return (*_relations(true), *_events(true))


def _relations(true: Sequence[Fact]) -> list[Fact]:
    """The opposite relation, and one object on top of the other."""
    false: list[Fact] = []
    for fact in true:
        if fact.category != "relation":
            continue
        if fact.value == ON_TOP:
            false += [Fact("relation", value, fact.subject, fact.other) for value in ("in front of", "behind")]
            false.append(Fact("relation", ON_TOP, fact.other, fact.subject))
        else:
            false += [Fact("relation", v, fact.subject, fact.other) for v in (OPPOSITE_RELATION[fact.value], ON_TOP)]
    return false


def _events(true: Sequence[Fact]) -> list[Fact]:
    """All events if none occurs; else the event with exchanged roles and other events of the same objects, unless the
    true event looks like them too."""
    events = [fact for fact in true if fact.category == "event"]
    if not any(fact.category == "camera" for fact in true):
        return []
    if not events:
        cast = subjects_of(true)
        pairs = [(a, b, kind) for a, b in itertools.permutations(cast, 2) for kind in EVENT_KINDS if kind != "bite"]
        return [Fact("event", kind, a, b) for a, b, kind in pairs] + [Fact("event", "bite", a) for a in cast]
    false: list[Fact] = []
    for event in events:
        if event.other is None or len(events) > 1:
            continue
        others = [kind for kind in EVENT_KINDS if kind not in ("bite", event.value)]
        if event.value == "topple":
            others.remove("hit")
            others.remove("push")
        false += [Fact("event", kind, event.subject, event.other) for kind in others]
        false.append(Fact("event", event.value, event.other, event.subject))
    return false
