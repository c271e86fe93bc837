"""Facts: the ground truth of a clip, for captions, for probes that predict them from pixels, and for files.

A fact is a category and a value, about one subject, two subjects, or the whole clip:

    Fact("place", "meadow")   Fact("color", "red", subject=0)   Fact("relation", "left of", subject=0, other=1)
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, TypeAlias, get_args

from lumora.config import from_dict
from lumora.world.motion_analysis import TRAVELLING, direction_of, events_of, relation_of, speed_of, verb_of
from lumora.world.scene import (
    CAMERA_MOVES,
    COLORS,
    DIRECTIONS,
    EMOTIONS,
    EVENTS,
    GLANCES,
    KINDS,
    LIGHTS,
    MATERIALS,
    PLACES,
    SIZES,
    STYLES,
    VERBS,
    Scene,
)
from lumora.world.trajectory import Trajectory
from lumora.world.visibility import comes_back, visibility

Category: TypeAlias = Literal[
    "count", "kind", "color", "material", "size", "emotion", "place", "light", "motion", "direction", "speed",
    "relation", "camera", "event", "style",
]  # fmt: skip
CATEGORIES: tuple[Category, ...] = get_args(Category)

RELATIONS: tuple[str, ...] = ("left of", "right of", "in front of", "behind", "on top of")
COUNTS: tuple[str, ...] = ("1", "2", "3")
SPEEDS: tuple[str, ...] = ("slow", "fast")

VALUES: dict[Category, tuple[str, ...]] = {
    "count": COUNTS, "kind": KINDS, "color": COLORS, "material": MATERIALS, "size": SIZES, "emotion": EMOTIONS,
    "place": PLACES, "light": LIGHTS, "motion": VERBS, "direction": DIRECTIONS, "speed": SPEEDS,
    "relation": RELATIONS, "camera": CAMERA_MOVES + GLANCES, "event": EVENTS, "style": STYLES[1:],
}  # fmt: skip
"""All values of each category. The plain style is not a fact."""

_MIRRORED = {
    "left": "right", "right": "left", "left of": "right of", "right of": "left of",
    "pan left": "pan right", "pan right": "pan left", "glance left": "glance right", "glance right": "glance left",
}  # fmt: skip


@dataclass(frozen=True)
class Fact:
    category: Category
    value: str
    subject: int | None = None
    """Index of the subject it is about; None for the whole clip."""
    other: int | None = None
    """Index of the second subject of a relation, an event or an orbit, otherwise None."""


def facts_of(scene: Scene, trajectory: Trajectory, aspect: float = 1.0) -> tuple[Fact, ...]:
    """All facts that are true and visible in the clip; ambiguous ones are left out.

    `aspect` = width / height decides which subjects leave the picture in clips whose camera glances aside; in all other
    scenes every subject stays in it. A trajectory of one frame has no facts of motion, events or camera.
    """
    moving = len(trajectory.times) > 1
    facts = [Fact("count", str(len(scene.subjects)))]
    for index in range(len(scene.subjects)):
        facts += _looks(scene, index) + (_motion(scene, trajectory, index) if moving else [])
    for a, b in itertools.combinations(range(len(scene.subjects)), 2):
        relation = relation_of(scene, trajectory, a, b)
        if relation is not None:
            facts.append(Fact("relation", *relation))
    facts += [Fact("place", scene.place), Fact("light", scene.light)]
    facts += [Fact("style", scene.style)] if scene.style != "plain" else []
    if moving:
        facts += [Fact("event", kind, subject, other) for kind, subject, other in events_of(scene, trajectory)]
        facts += [Fact("event", "leave", subject) for subject in _leaving(scene, trajectory, aspect)]
        facts.append(Fact("camera", scene.camera.move, scene.camera.follows))
    return tuple(facts)


OPPOSITE_RELATION = {"left of": "right of", "right of": "left of", "in front of": "behind", "behind": "in front of"}
"""The relation of the second subject to the first, where it has a word."""


def mirror_fact(fact: Fact) -> Fact:
    """The same fact of the clip mirrored left to right."""
    return replace(fact, value=_MIRRORED.get(fact.value, fact.value))


def facts_to_dicts(facts: Iterable[Fact]) -> list[dict[str, Any]]:
    """Plain dicts for JSON, without the fields that are None."""
    return [{name: value for name, value in asdict(fact).items() if value is not None} for fact in facts]


def facts_from_dicts(rows: Iterable[dict[str, Any]]) -> tuple[Fact, ...]:
    """The inverse of `facts_to_dicts`. Raises ValueError for invalid facts."""
    facts = tuple(from_dict(Fact, row) for row in rows)
    for fact in facts:
        if fact.value not in VALUES[fact.category]:
            raise ValueError(f"A fact of category {fact.category} cannot be {fact.value!r}.")
    return facts


def value_of(facts: Sequence[Fact], category: Category, subject: int | None = None) -> str | None:
    """The value of the first fact of that category and subject, or None."""
    return next((f.value for f in facts if f.category == category and f.subject == subject), None)


def subjects_of(facts: Iterable[Fact]) -> list[int]:
    """Indices of the subjects of the facts."""
    return sorted({f.subject for f in facts if f.subject is not None})


def _looks(scene: Scene, index: int) -> list[Fact]:
    subject = scene.subjects[index]
    looks = [
        Fact("kind", subject.kind, index),
        Fact("color", subject.color, index),
        Fact("material", subject.material, index),
        Fact("size", subject.size, index),
    ]
    if scene.style == "black and white":  # Colors are not visible.
        del looks[1]
    return looks + ([Fact("emotion", subject.emotion, index)] if subject.emotion else [])


def _leaving(scene: Scene, trajectory: Trajectory, aspect: float) -> list[int]:
    if scene.camera.move not in GLANCES:
        return []
    shown = visibility(scene, trajectory, aspect)
    return [index for index in range(len(scene.subjects)) if comes_back(shown[:, index])]


def _motion(scene: Scene, trajectory: Trajectory, index: int) -> list[Fact]:
    verb = verb_of(scene, trajectory, index)
    if verb is None:
        return []
    motion = [Fact("motion", verb, index, scene.subjects[index].motion.around if verb == "orbit" else None)]
    if verb in TRAVELLING:
        # A glancing camera looks elsewhere in the middle of the clip.
        direction = direction_of(trajectory, index, 0 if scene.camera.move in GLANCES else None)
        motion += [Fact("direction", direction, index)] if direction else []
    if verb in ("roll", "slide", "walk"):
        speed = speed_of(trajectory, index)
        motion += [Fact("speed", speed, index)] if speed else []
    return motion
