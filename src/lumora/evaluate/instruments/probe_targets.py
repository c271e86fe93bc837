"""What a probe is asked of a clip, and how facts become answers to learn from.

Subjects have no order in pixels, but they have colours. So what is said of a subject is asked of its colour: is there
something red, and if so, what is it, and what does it do? A colour that two subjects share is not asked about.
Of an event it is asked who acts (or, of a bite, who is bitten): most things do nothing, and that is an answer too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lumora.world.facts import VALUES, Category, Fact, subjects_of, value_of
from lumora.world.scene import CAMERA_MOVES, COLORS

CLIP: tuple[Category, ...] = ("count", "place", "light", "camera")
"""Asked of the whole clip."""
SUBJECT: tuple[Category, ...] = ("kind", "size", "material", "motion", "direction", "emotion", "event")
"""Asked of the subject of a given colour."""
NOTHING = "nothing"
"""What a thing does to others that has no event: it is asked of all, for no event is a fact that a caption states."""
UNKNOWN = -1


@dataclass(frozen=True)
class Answers:
    """Right answers for B clips; UNKNOWN where there is none to learn."""

    clip: Int[Tensor, "b questions"]
    """Index into the options of each category of CLIP."""
    present: Float[Tensor, "b colors"]
    """Whether something has that colour: 0 or 1."""
    subject: Int[Tensor, "b colors categories"]
    """Index into the options of each category of SUBJECT."""

    @classmethod
    def stack(cls, answers: Sequence[Answers]) -> Answers:
        return cls(*(torch.cat([getattr(a, n) for a in answers]) for n in ("clip", "present", "subject")))


def options(category: Category) -> tuple[str, ...]:
    """What can be answered: the values of a category, and of an event that there is none. A probe has seen no camera
    that glances aside."""
    if category == "camera":
        return CAMERA_MOVES
    return (*VALUES[category], NOTHING) if category == "event" else VALUES[category]


def answers_of(facts: Sequence[Fact]) -> Answers:
    """The answers for one clip, from all of its facts."""
    clip = [_index(c, next((f.value for f in facts if f.category == c), None)) for c in CLIP]
    colors = {i: value_of(facts, "color", i) for i in subjects_of(facts)}
    shared = Counter(colors.values())
    present = [1.0 if color in shared else 0.0 for color in COLORS]
    subject = [[UNKNOWN] * len(SUBJECT) for _ in COLORS]
    for index, color in colors.items():
        if color is not None and shared[color] == 1:
            subject[_index("color", color)] = [_index(c, _known(facts, c, index)) for c in SUBJECT]
    return Answers(torch.tensor([clip]), torch.tensor([present]), torch.tensor([subject]))


def _known(facts: Sequence[Fact], category: Category, subject: int) -> str | None:
    """What is known of a subject; a picture, which no camera moves in, tells of no events."""
    value = value_of(facts, category, subject)
    moving = any(f.category == "camera" for f in facts)
    return NOTHING if value is None and category == "event" and moving else value


def _index(category: Category, value: str | None) -> int:
    return options(category).index(value) if value in options(category) else UNKNOWN
