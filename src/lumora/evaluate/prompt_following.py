"""Prompt following, measured: the share of the facts stated in captions that a probe finds in the videos made for them.

    python -m lumora.evaluate.prompt_following --clips 200 --probe probe.safetensors

Three figures, by category: the videos that a model generates; the ceiling, real renders of the scenes that the
captions describe; and the floor, the same videos held against the captions of other clips.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from lumora.config import VideoShape
from lumora.evaluate.probe import Probe, Reading
from lumora.evaluate.videos import make_videos
from lumora.generate.request import Request
from lumora.generate.weights import read_config
from lumora.world.caption import Caption, Length, caption
from lumora.world.clip import make_scene
from lumora.world.facts import Fact, facts_of
from lumora.world.render import render

HELD_OUT_SEED = 20_251
"""No training uses the clips of this seed."""


@dataclass(frozen=True)
class Share:
    """How many of the stated facts were found."""

    found: int
    stated: int

    @property
    def value(self) -> float:
        return self.found / self.stated if self.stated else float("nan")

    def interval(self, z: float = 1.96) -> tuple[float, float]:
        """Wilson's score interval (1927); z = 1.96 covers 95 %."""
        if not self.stated:
            return 0.0, 1.0
        n, p = self.stated, self.value
        middle, spread = p + z * z / (2 * n), z * (p * (1 - p) / n + z * z / (4 * n * n)) ** 0.5
        return (middle - spread) / (1 + z * z / n), (middle + spread) / (1 + z * z / n)


@dataclass(frozen=True)
class Task:
    """One held-out caption with the real clip that it describes."""

    caption: Caption
    frames: UInt8[Tensor, "t h w c"]


def score(
    videos: Sequence[UInt8[Tensor, "t h w c"]], stated: Sequence[Sequence[Fact]], probe: Probe, batch: int = 16
) -> dict[str, Share]:
    """Per category of fact, and in `total`, the share of the stated facts that `probe` finds in the videos.

    Facts that no probe reads (see `questions.SCORED`) are left out. Raises ValueError for lists of unequal length.
    """
    if len(videos) != len(stated):
        raise ValueError(f"There are {len(videos)} videos but facts for {len(stated)}.")
    return score_readings(probe.read_all(videos, batch), stated)


def score_readings(readings: Sequence[Reading], stated: Sequence[Sequence[Fact]]) -> dict[str, Share]:
    counts: dict[str, list[bool]] = defaultdict(list)
    for reading, facts in zip(readings, stated, strict=True):
        for fact in facts:
            shown = reading.shows(fact, facts)
            if shown is not None:
                counts[fact.category].append(shown)
    shares = {category: Share(sum(hits), len(hits)) for category, hits in sorted(counts.items())}
    total = Share(sum(s.found for s in shares.values()), sum(s.stated for s in shares.values()))
    return shares | {"total": total}


def make_tasks(preset: str, clips: int, length: Length, shape: VideoShape, seed: int = HELD_OUT_SEED) -> list[Task]:
    """Captions of held-out clips, and what they look like as they really are."""
    tasks = []
    for index in range(clips):
        scene, trajectory = make_scene(preset, seed, index, shape)
        words = caption(facts_of(scene, trajectory), length, np.random.default_rng([seed, index]))
        tasks.append(Task(words, render([scene], [trajectory], shape.height, shape.width).frames[0]))
    return tasks


def shuffled(facts: Sequence[Sequence[Fact]]) -> list[Sequence[Fact]]:
    """Every list at another place, half the list further."""
    shift = max(1, len(facts) // 2)
    return [*facts[shift:], *facts[:shift]]


def report(columns: dict[str, dict[str, Share]]) -> str:
    """A table: a row for each category, a column for each set of shares, with 95 % intervals."""
    rows = [f"{'':10}" + "".join(f"{name:>24}" for name in columns)]
    for category in next(iter(columns.values())):
        cells = []
        for shares in columns.values():
            low, high = shares[category].interval()
            cells.append(f"{shares[category].value:9.1%} [{low:6.1%},{high:6.1%}]".rjust(24))
        rows.append(f"{category:10}" + "".join(cells) + f"  of {next(iter(columns.values()))[category].stated}")
    return "\n".join(rows)


def measure(
    probe: Path,
    clips: int = 200,
    preset: str = "simple",
    length: Literal["short", "sentence", "paragraph"] = "sentence",
    steps: int = 30,
    guidance: float = 4.0,
    weights: Path | None = None,
    reference_only: bool = False,
    out: Path | None = None,
    workers: int = 0,
) -> dict[str, dict[str, Share]]:
    """Score the model's videos for held-out captions; print the table and write `out` as JSON.

    `weights` is the folder of a model, by default the one that comes with lumora. `reference_only` makes no videos and
    gives ceiling and floor of real renders alone. `workers` processes make the videos (0: this one).
    """
    judge = Probe.load(probe)
    shape = VideoShape() if reference_only else read_config(weights).shape
    tasks = make_tasks(preset, clips, length, shape)
    stated = [task.caption.facts for task in tasks]
    columns: dict[str, dict[str, Share]] = {}
    real = judge.read_all([task.frames for task in tasks])
    readings = real
    if not reference_only:
        seconds = (shape.frames - 1) / shape.fps
        requests = [
            Request(task.caption.text, seconds, shape.width, shape.height, shape.fps, number, steps, guidance)
            for number, task in enumerate(tasks)
        ]
        readings = judge.read_all([torch.from_numpy(frames) for frames in make_videos(requests, weights, workers)])
        columns["generated"] = score_readings(readings, stated)
    columns["ceiling"] = score_readings(real, stated)
    columns["floor"] = score_readings(readings, shuffled(stated))
    print(report(columns))
    if out is not None:
        out.write_text(json.dumps({n: {c: asdict(s) for c, s in col.items()} for n, col in columns.items()}, indent=1))
    return columns


if __name__ == "__main__":
    import tyro

    torch.set_grad_enabled(False)
    try:
        tyro.cli(measure, prog="lumora.evaluate.prompt_following")
    except ValueError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
