"""What does a model choose where a prompt leaves it open: is every colour, kind, place and light as likely?"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8

from lumora.backends.lumora.weights import read_config
from lumora.evaluate.instruments.probe import Probe, Reading
from lumora.request.spec import Request
from lumora.service.batch import make_videos
from lumora.world.facts import Category
from lumora.world.sample import PRESETS
from lumora.world.scene import COLORS, LIGHTS, PLACES

OPEN: dict[Category, str] = {
    "color": "a cube stands on a meadow at noon",
    "kind": "something red stands on a meadow at noon",
    "place": "a red cube stands still at noon",
    "light": "a red cube stands on a meadow",
}
"""Prompts that leave a category open, and as little else as possible."""
CHOICES: dict[Category, tuple[str, ...]] = {
    "color": COLORS,
    "kind": PRESETS["simple"].kinds,
    "place": PLACES,
    "light": LIGHTS,
}
"""Among which the default model chooses. The world that it learnt from draws them evenly, kinds nearly so."""


@dataclass(frozen=True)
class Choice:
    """What a model makes where a prompt leaves a category open."""

    counts: dict[str, int]
    """How often each value is seen; a video may show several, or none."""

    @property
    def evenness(self) -> float:
        """Entropy over that of an even choice: 1 where all values are as frequent, 0 where there is only one."""
        return _entropy(np.array([*self.counts.values()])) / math.log(len(self.counts))

    def chance(self, draws: int = 1000) -> float:
        """The evenness, on average, of as many even draws: so few are never quite even."""
        total, values = sum(self.counts.values()), len(self.counts)
        drawn = np.random.default_rng(0).multinomial(total, [1 / values] * values, size=draws)
        return float(np.mean([_entropy(counts) for counts in drawn])) / math.log(values)


def open_videos(clips: int, weights: Path | None = None, workers: int = 0) -> list[UInt8[np.ndarray, "t h w 3"]]:
    """What the model in the folder `weights` (None: lumora's own) makes of so many seeds of each open prompt."""
    shape = read_config(weights).shape
    seconds, size = (shape.num_frames - 1) / shape.fps, shape.resolution
    requests = [Request(OPEN[c], seconds, size=size, fps=shape.fps, seed=seed) for c in OPEN for seed in range(clips)]
    return make_videos(requests, weights, workers)


def choices(videos: Sequence[UInt8[np.ndarray, "t h w 3"]], probe: Path) -> dict[Category, Choice]:
    """What the probe reads in them."""
    readings = Probe.load(probe).read_all([torch.from_numpy(frames) for frames in videos])
    clips = len(videos) // len(OPEN)
    counts: dict[Category, Counter[str]] = {category: Counter() for category in OPEN}
    for number, reading in enumerate(readings):
        category = list(OPEN)[number // clips]
        counts[category].update(_seen(reading, category))
    return {category: Choice({v: counts[category][v] for v in CHOICES[category]}) for category in OPEN}


def _seen(reading: Reading, category: Category) -> Iterator[str]:
    if category == "color":
        yield from reading.present
    elif category == "kind":
        yield from (reading.subject[color]["kind"] for color in reading.present)
    else:
        yield reading.clip[category]


def _entropy(counts: np.ndarray) -> float:
    shares = counts[counts > 0] / max(1, counts.sum())
    return float(-(shares * np.log(shares)).sum())
