"""Bias of a model: what it chooses where a prompt leaves the color, kind, place or light open."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from lumora.evaluate.frames import Frames
from lumora.evaluate.instruments.probe import Probe, ProbeReading
from lumora.evaluate.sampling import model_config
from lumora.request import Request
from lumora.service.batch import make_videos
from lumora.world.facts import Category
from lumora.world.sample import PRESETS
from lumora.world.scene import COLORS, LIGHTS, PLACES

OPEN_PROMPTS: dict[Category, str] = {
    "color": "a cube stands on a meadow at noon",
    "kind": "something red stands on a meadow at noon",
    "place": "a red cube stands still at noon",
    "light": "a red cube stands on a meadow",
}
"""Prompts that leave one category open."""
OPTIONS: dict[Category, tuple[str, ...]] = {
    "color": COLORS,
    "kind": PRESETS["stage"].kinds,
    "place": PLACES,
    "light": LIGHTS,
}
"""The values that the default model chooses from. In its training set they are uniform, but some kinds are up to 1.6
times as frequent as others."""


@dataclass(frozen=True)
class Choice:
    """What a model chooses for one category."""

    counts: dict[str, int]
    """How often each value is seen; a video may show several or none."""

    @property
    def evenness(self) -> float:
        """Normalized entropy: 1 if all values are equally frequent, 0 if there is only one."""
        return _entropy(np.array([*self.counts.values()])) / math.log(len(self.counts))

    def chance(self, draws: int = 1000) -> float:
        """The mean evenness of as many uniform draws, which is below 1 for small numbers."""
        total, values = sum(self.counts.values()), len(self.counts)
        samples = np.random.default_rng(0).multinomial(total, [1 / values] * values, size=draws)
        return float(np.mean([_entropy(counts) for counts in samples])) / math.log(values)


def sample_open_prompts(num_clips: int, model: Path | None = None, workers: int = 0) -> list[Frames]:
    """Videos of each open prompt with this many seeds, by the model in the folder `model` (None: the one that comes
    with lumora)."""
    shape = model_config(model).shape
    requests = [
        Request(
            prompt,
            seconds=(shape.num_frames - 1) / shape.fps,
            size=shape.resolution,
            fps=shape.fps,
            seed=seed,
        )
        for prompt in OPEN_PROMPTS.values()
        for seed in range(num_clips)
    ]
    return make_videos(requests, model, workers)


def count_choices(videos: Sequence[Frames], probe: Path) -> dict[Category, Choice]:
    """What the probe reads in the videos of `sample_open_prompts`."""
    readings = Probe.load(probe).read_clips([torch.from_numpy(frames) for frames in videos])
    num_clips = len(videos) // len(OPEN_PROMPTS)
    counts: dict[Category, Counter[str]] = {category: Counter() for category in OPEN_PROMPTS}
    for number, reading in enumerate(readings):
        category = list(OPEN_PROMPTS)[number // num_clips]
        counts[category].update(_values(reading, category))
    return {category: Choice({v: counts[category][v] for v in OPTIONS[category]}) for category in OPEN_PROMPTS}


def _values(reading: ProbeReading, category: Category) -> Iterator[str]:
    if category == "color":
        yield from reading.present
    elif category == "kind":
        yield from (reading.subject[color]["kind"] for color in reading.present)
    else:
        yield reading.clip[category]


def _entropy(counts: np.ndarray) -> float:
    shares = counts[counts > 0] / max(1, counts.sum())
    return float(-(shares * np.log(shares)).sum())
