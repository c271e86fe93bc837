"""The classification targets of the probe, and their labels from the facts of a clip.

The pixels do not order the subjects, so each subject is identified by its color: is something red present, and if so,
what is it and what does it do? A color that two subjects share has no label. An event is a label of the subject that
acts (of a bite: that is bitten); `nothing` is the label of all others.
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

CLIP_CATEGORIES: tuple[Category, ...] = ("count", "place", "light", "camera")
"""Categories with one label for the whole clip."""
SUBJECT_CATEGORIES: tuple[Category, ...] = ("kind", "size", "material", "motion", "direction", "emotion", "event")
"""Categories with a label for the subject of each color."""
NOTHING = "nothing"
"""The label of subjects without an event; no caption states it as a fact."""
UNKNOWN = -1


@dataclass(frozen=True)
class ProbeTargets:
    """Labels of B clips; UNKNOWN where there is none."""

    clip: Int[Tensor, "b clip_categories"]
    """Index into the options of each of CLIP_CATEGORIES."""
    present: Float[Tensor, "b colors"]
    """Whether something has that color: 0 or 1."""
    subject: Int[Tensor, "b colors subject_categories"]
    """Index into the options of each of SUBJECT_CATEGORIES."""

    @classmethod
    def stack(cls, targets: Sequence[ProbeTargets]) -> ProbeTargets:
        return cls(*(torch.cat([getattr(one, n) for one in targets]) for n in ("clip", "present", "subject")))


def options(category: Category) -> tuple[str, ...]:
    """The classes of a category: its values, and `nothing` for events. The camera has only the moves of single
    clips."""
    if category == "camera":
        return CAMERA_MOVES
    return (*VALUES[category], NOTHING) if category == "event" else VALUES[category]


def probe_targets(facts: Sequence[Fact]) -> ProbeTargets:
    """The labels of one clip, from all of its facts."""
    clip = [_index(c, next((f.value for f in facts if f.category == c), None)) for c in CLIP_CATEGORIES]
    colors = {i: value_of(facts, "color", i) for i in subjects_of(facts)}
    shared = Counter(colors.values())
    present = [1.0 if color in shared else 0.0 for color in COLORS]
    subject = [[UNKNOWN] * len(SUBJECT_CATEGORIES) for _ in COLORS]
    for index, color in colors.items():
        if color is not None and shared[color] == 1:
            subject[_index("color", color)] = [_index(c, _label(facts, c, index)) for c in SUBJECT_CATEGORIES]
    return ProbeTargets(torch.tensor([clip]), torch.tensor([present]), torch.tensor([subject]))


def _label(facts: Sequence[Fact], category: Category, subject: int) -> str | None:
    """None if unknown; a still image, which has no camera fact, has no event labels."""
    value = value_of(facts, category, subject)
    moving = any(f.category == "camera" for f in facts)
    return NOTHING if value is None and category == "event" and moving else value


def _index(category: Category, value: str | None) -> int:
    return options(category).index(value) if value in options(category) else UNKNOWN
