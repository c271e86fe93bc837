"""What a probe is asked of a clip, and how facts become answers to learn from.

Subjects have no order in pixels, but they have colours. So what is said of a subject is asked of its colour: is there
something red, and if so, what is it, and what does it do? A colour that two subjects share is not asked about.
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
SUBJECT: tuple[Category, ...] = ("kind", "size", "material", "motion", "direction")
"""Asked of the subject of a given colour."""
SCORED: frozenset[Category] = frozenset((*CLIP, *SUBJECT, "color"))
ANSWERS: dict[Category, tuple[str, ...]] = {c: VALUES[c] for c in (*CLIP, *SUBJECT, "color")} | {"camera": CAMERA_MOVES}
"""The values that a probe knows of each category: it has seen no camera that glances aside."""
UNKNOWN = -1


@dataclass(frozen=True)
class Answers:
    """Right answers for B clips; UNKNOWN where there is none to learn."""

    clip: Int[Tensor, "b questions"]
    """Index into ANSWERS of each category of CLIP."""
    present: Float[Tensor, "b colors"]
    """Whether something has that colour: 0 or 1."""
    subject: Int[Tensor, "b colors categories"]
    """Index into ANSWERS of each category of SUBJECT."""

    @classmethod
    def stack(cls, answers: Sequence[Answers]) -> Answers:
        return cls(*(torch.cat([getattr(a, n) for a in answers]) for n in ("clip", "present", "subject")))


def answers_of(facts: Sequence[Fact]) -> Answers:
    """The answers for one clip, from all of its facts."""
    clip = [_index(c, next((f.value for f in facts if f.category == c), None)) for c in CLIP]
    colors = {i: value_of(facts, "color", i) for i in subjects_of(facts)}
    shared = Counter(colors.values())
    present = [1.0 if color in shared else 0.0 for color in COLORS]
    subject = [[UNKNOWN] * len(SUBJECT) for _ in COLORS]
    for index, color in colors.items():
        if color is not None and shared[color] == 1:
            subject[_index("color", color)] = [_index(c, value_of(facts, c, index)) for c in SUBJECT]
    return Answers(torch.tensor([clip]), torch.tensor([present]), torch.tensor([subject]))


def _index(category: Category, value: str | None) -> int:
    return ANSWERS[category].index(value) if value in ANSWERS[category] else UNKNOWN
