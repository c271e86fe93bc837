"""Captions of videos of the simulated world, from the facts that the probe and the color tracker read.

The captioner states only what it is sure of: each category has a least probability, chosen on renders of seed 41,000.
It knows the kinds, places and motions of the world's `stage` clips and sees them in everything; for other footage use a
vision-language model (`lumora.data.footage.captioning`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

import lumora.evaluate.instruments as instruments
from lumora.config import Resolution
from lumora.evaluate.instruments.blob import BlobTrack
from lumora.evaluate.instruments.color_tables import ColorTables
from lumora.evaluate.instruments.color_tracker import UNRELIABLE_COLORS, track_colors
from lumora.evaluate.instruments.probe import Probe, ProbeLogits, prepare_all
from lumora.evaluate.instruments.probe_targets import options
from lumora.world.caption import caption
from lumora.world.facts import OPPOSITE_RELATION, Category, Fact
from lumora.world.motion_analysis import TRAVELLING
from lumora.world.scene import COLORS
from lumora.world.writer import Writer, sentence_case

WEIGHTS = Path(instruments.__file__).parents[2] / "weights"
LEAST_PROBABILITY: dict[Category, float] = {
    "count": 0.5, "place": 0.5, "light": 0.5, "camera": 0.6, "color": 0.5, "kind": 0.6, "size": 0.5, "material": 0.65,
    "motion": 0.5, "direction": 0.85,
}  # fmt: skip
"""Below it, a fact of the category is not stated. Emotions, events and speed are not stated at all: the instruments do
not read them well enough."""
OF_MOTION: tuple[Category, ...] = ("camera", "motion", "direction")
"""A picture has no such facts."""
MIN_GAP = 0.05
"""Share of the picture's width between two things of which one is called left of the other."""
TRACKED_SIDE = 128
"""Pixels of the longer side of the frames in which things are tracked."""


class WorldCaptioner:
    """Describes clips of the world; see the module. `caption` is deterministic."""

    def __init__(self, probe: Probe, tables: ColorTables) -> None:
        self.probe, self.tables = probe.eval(), tables

    @classmethod
    def load(cls) -> WorldCaptioner:
        """With the weights that come with lumora."""
        return cls(Probe.load(WEIGHTS / "probe.safetensors"), ColorTables.load(WEIGHTS / "tables.npz"))

    def caption(self, frames: UInt8[np.ndarray, "t h w 3"], fps: float, seed: int = 0) -> str:
        """A paragraph about a video or, of one frame, a picture."""
        return describe(self.facts(frames), np.random.default_rng([seed, 8]))

    @torch.inference_mode()
    def facts(self, frames: UInt8[np.ndarray, "t h w 3"]) -> tuple[Fact, ...]:
        """What is surely to be seen. Subjects are numbered in the order of COLORS."""
        every_color = torch.ones(1, len(COLORS), dtype=torch.bool)
        logits = self.probe(prepare_all([torch.from_numpy(np.ascontiguousarray(frames))]), every_color)
        is_video = len(frames) > 1
        present = [i for i, p in enumerate(logits.present[0].sigmoid().tolist()) if p >= LEAST_PROBABILITY["color"]]
        facts = [fact for category in ("count", "place", "light", "camera") for fact in _of_clip(logits, category)]
        for subject, color in enumerate(present):
            facts += [Fact("color", COLORS[color], subject), *_of_subject(logits, color, subject)]
        facts = [f for f in facts if f.category != "count" or f.value == str(len(present))]
        facts += self._relations(frames, [COLORS[color] for color in present])
        return tuple(f for f in facts if is_video or f.category not in OF_MOTION)

    def _relations(self, frames: np.ndarray, colors: Sequence[str]) -> list[Fact]:
        """Which of two things is left of the other at the beginning."""
        if len(colors) < 2:
            return []
        tracks = track_colors(self.tables, _small(frames)).tracks
        relations = []
        for (a, first), (b, second) in combinations(enumerate(colors), 2):
            if UNRELIABLE_COLORS.isdisjoint((first, second)):
                value = _side(tracks[first], tracks[second])
                relations += [Fact("relation", value, a, b)] if value else []
        return relations


@dataclass(frozen=True)
class CaptionerScore:
    """Counts over clips, from which precision and recall follow."""

    stated: int
    right: int
    true: int

    @property
    def precision(self) -> float:
        return self.right / max(self.stated, 1)

    @property
    def recall(self) -> float:
        return self.right / max(self.true, 1)


def describe(facts: Sequence[Fact], generator: np.random.Generator) -> str:
    """A paragraph that states the facts; without subjects, the place, the light and the camera."""
    if any(fact.subject is not None for fact in facts):
        return caption(facts, "paragraph", generator).text
    writer = Writer(facts, generator)
    setting = writer.setting(light=True)
    sentences = [sentence_case(f"the scene is set {setting}")] if setting else []
    sentences += [sentence_case(writer.camera_sentence())] if writer.camera_move() else []
    return " ".join(sentences)


def score(read: Sequence[Fact], true: Sequence[Fact]) -> dict[Category, CaptionerScore]:
    """By category; a subject is the same if its color is."""
    ours, theirs = _by_color(read), _by_color(true)
    categories: dict[Category, None] = dict.fromkeys(key[0] for key in (*ours, *theirs))
    return {
        category: CaptionerScore(
            sum(key[0] == category for key in ours),
            sum(key[0] == category and theirs.get(key) == value for key, value in ours.items()),
            sum(key[0] == category for key in theirs),
        )
        for category in categories
    }


def _by_color(facts: Sequence[Fact]) -> dict[tuple[Category, str, str], str]:
    """Values by category and colors of the subjects; of a relation in the order of COLORS."""
    colors = {fact.subject: fact.value for fact in facts if fact.category == "color"}
    values = {}
    for fact in facts:
        first, second, value = colors.get(fact.subject, ""), colors.get(fact.other, ""), fact.value
        if fact.category == "relation" and value in OPPOSITE_RELATION and COLORS.index(first) > COLORS.index(second):  # type: ignore[arg-type]
            first, second, value = second, first, OPPOSITE_RELATION[value]
        values[fact.category, first, second] = value
    return values


def _of_clip(logits: ProbeLogits, category: Category) -> list[Fact]:
    return _sure(category, logits.clip[category][0], None)


def _of_subject(logits: ProbeLogits, color: int, subject: int) -> list[Fact]:
    facts = [
        fact
        for category, rows in logits.subject.items()
        if category in LEAST_PROBABILITY
        for fact in _sure(category, rows[0, color], subject)
    ]
    travels = any(fact.category == "motion" and fact.value in TRAVELLING for fact in facts)
    return [fact for fact in facts if travels or fact.category != "direction"]


def _sure(category: Category, row: Tensor, subject: int | None) -> list[Fact]:
    probability, index = row.softmax(-1).max(-1)
    if float(probability) < LEAST_PROBABILITY[category]:
        return []
    return [Fact(category, options(category)[int(index)], subject)]


def _side(first: BlobTrack, second: BlobTrack) -> str | None:
    """`left of` or `right of`, by the boxes in the first frames that show both; None if there is no clear gap."""
    both = np.flatnonzero((first.areas > 0) & (second.areas > 0))[:3]
    if not len(both):
        return None
    box, other = (np.median(track.boxes[both], axis=0) for track in (first, second))
    if other[0] - box[2] > MIN_GAP:
        return "left of"
    return "right of" if box[0] - other[2] > MIN_GAP else None


def _small(frames: np.ndarray) -> np.ndarray:
    height, width = frames.shape[1:3]
    size = Resolution(width, height).within(TRACKED_SIDE)
    if size == Resolution(width, height):
        return frames
    sides = size.width, size.height
    return np.stack([np.asarray(Image.fromarray(frame).resize(sides, Image.Resampling.BOX)) for frame in frames])
