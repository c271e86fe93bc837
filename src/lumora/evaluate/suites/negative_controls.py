"""What is not true of a real clip. An instrument that says yes to it would say so of any video: that is its floor."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from lumora.evaluate.instruments.effects import DEEDS
from lumora.world.facts import Fact, subjects_of

OPPOSITE = {"left of": "right of", "right of": "left of", "in front of": "behind", "behind": "in front of"}
UPON = "on top of"


def negative_controls_for(true: Sequence[Fact]) -> tuple[Fact, ...]:
    """Relations and events that a clip of which these are all facts doesn't show. Where the facts leave open what
    holds, nothing is made up."""
    return (*_relations(true), *_events(true))


def _relations(true: Sequence[Fact]) -> list[Fact]:
    """The opposite of what holds, and that one stands on the other."""
    lies: list[Fact] = []
    for fact in true:
        if fact.category != "relation":
            continue
        if fact.value == UPON:
            lies += [Fact("relation", value, fact.subject, fact.other) for value in ("in front of", "behind")]
            lies.append(Fact("relation", UPON, fact.other, fact.subject))
        else:
            lies += [Fact("relation", v, fact.subject, fact.other) for v in (OPPOSITE[fact.value], UPON)]
    return lies


def _events(true: Sequence[Fact]) -> list[Fact]:
    """Where nothing happens, all that might; where something does, that it is done the other way round or is another
    thing, unless it takes a blow that might be called so too."""
    events = [fact for fact in true if fact.category == "event"]
    if not any(fact.category == "camera" for fact in true):
        return []
    if not events:
        cast = subjects_of(true)
        pairs = [(a, b, kind) for a, b in itertools.permutations(cast, 2) for kind in DEEDS if kind != "bite"]
        return [Fact("event", kind, a, b) for a, b, kind in pairs] + [Fact("event", "bite", a) for a in cast]
    lies: list[Fact] = []
    for event in events:
        if event.other is None or len(events) > 1:
            continue
        same = [kind for kind in DEEDS if kind not in ("bite", event.value)]
        if event.value == "topple":
            same.remove("hit")
            same.remove("push")
        lies += [Fact("event", kind, event.subject, event.other) for kind in same]
        lies.append(Fact("event", event.value, event.other, event.subject))
    return lies
