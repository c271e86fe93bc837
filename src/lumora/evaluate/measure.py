"""The measuring stick: prompts to videos, videos to readings, readings to figures.

Prompt following is measured by category, against a ceiling (real renders of the scenes that the captions describe) and
a floor (the same videos held against other captions); by a second instrument; in conjunctions; and beyond what training
saw, in combinations that were held out and in words that the world never uses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8

from lumora.evaluate.permanence import permanence
from lumora.evaluate.physics import Course, measure_physics
from lumora.evaluate.probe import Probe
from lumora.evaluate.shares import Reader, Share, Verdict, by_category, by_group, conjunctions, joined, shuffled
from lumora.evaluate.suites import Case, combinations, held_out_captions, outside_words
from lumora.evaluate.tracking import Tables, sight
from lumora.evaluate.videos import make_videos
from lumora.generate.request import Request
from lumora.generate.weights import DEFAULT_FOLDER, read_config
from lumora.world.caption import Length

PROBE, TABLES = DEFAULT_FOLDER / "probe.safetensors", DEFAULT_FOLDER / "tables.npz"
"""The instruments that come with lumora."""
TRUSTED = 0.95
"""What a probe must find of the real renders' facts of a category, for the category to be scored."""


@dataclass(frozen=True)
class Plan:
    """What is measured, and how the videos are made; the same plan gives the same figures on the same machine."""

    clips: int = 200
    """Held-out captions."""
    preset: str = "simple"
    """The world whose captions they are."""
    length: Length = "sentence"
    steps: int = 30
    guidance: float = 4.0
    beyond: int = 0
    """How many clips of held-out combinations are asked for too; and, if any, all words outside the vocabulary."""
    physics: int = 0
    """How many real clips are begun, for the model to go on with."""


@dataclass(frozen=True)
class Made:
    """One case and what came of it."""

    case: Case
    frames: UInt8[np.ndarray, "t h w 3"]
    verdict: Verdict


@dataclass(frozen=True)
class Figures:
    """What was found."""

    following: dict[str, dict[str, Share]]
    """By category of fact: `generated`, `ceiling` and `floor`, all as the probe reads them."""
    second: dict[str, dict[str, Share]]
    """`generated` as the tables read it, and as the `probe` reads the same facts of the same videos."""
    together: dict[int, Share]
    """How often so many facts are all found."""
    permanence: dict[str, Share]
    """How many videos keep their cast."""
    beyond: dict[str, Share]
    """By group of prompts for what no training has seen: combinations, and words outside the vocabulary."""
    physics: dict[str, Course]
    """How far from the truth things are in continued clips; empty where none were asked for."""
    made: tuple[Made, ...]
    fps: float

    @property
    def scored(self) -> Share:
        """The share of all facts of categories that the probe can be trusted with."""
        ceiling, generated = self.following["ceiling"], self.following["generated"]
        trusted = [c for c, share in ceiling.items() if c != "total" and share.value >= TRUSTED]
        return joined(generated[category] for category in trusted)


def measure(
    plan: Plan, weights: Path | None = None, probe: Path = PROBE, tables: Path = TABLES, workers: int = 0
) -> Figures:
    """Makes all videos in so many processes (0: in this one) by the model in the folder `weights` (None: the one that
    comes with lumora) and reads them."""
    shape = read_config(weights).shape
    judge, counted = Probe.load(probe), Tables.load(tables)
    captions = held_out_captions(plan.preset, plan.clips, plan.length, shape)
    beyond = [*combinations(plan.preset, plan.beyond, shape), *outside_words()] if plan.beyond else []
    cases = [*captions, *beyond]
    seconds = (shape.frames - 1) / shape.fps
    requests = [
        Request(case.prompt, seconds, shape.width, shape.height, shape.fps, seed, plan.steps, plan.guidance)
        for seed, case in enumerate(cases)
    ]
    videos = make_videos(requests, weights, workers)
    physics = {}
    if plan.physics:
        physics = measure_physics(counted, plan.preset, plan.physics, plan.steps, plan.guidance, weights, workers)
    readings = _read(judge, videos)
    verdicts = _verdicts(readings, cases)
    real = [case.real for case in captions if case.real is not None]
    generated, others = verdicts[: len(captions)], verdicts[len(captions) :]
    sightings = [sight(counted, frames) for frames in videos[: len(captions)]]
    seen = _verdicts(sightings, captions)
    both = [
        Verdict(tuple((fact, shown) for fact, shown in one.shown if fact in dict(two.shown)))
        for one, two in zip(generated, seen, strict=True)
    ]
    floor = [Verdict.of(r, c.asked, c.stated) for r, c in zip(readings, shuffled(captions), strict=False)]
    return Figures(
        following={
            "generated": by_category(generated),
            "ceiling": by_category(_verdicts(_read(judge, real), captions)),
            "floor": by_category(floor),
        },
        second={"generated": by_category(seen), "probe": by_category(both)},
        together=conjunctions(generated),
        permanence=permanence([sight(counted, frames) for frames in real], sightings),
        beyond=by_group([case.group for case in beyond], others),
        physics=physics,
        made=tuple(Made(*parts) for parts in zip(cases, videos, verdicts, strict=True)),
        fps=shape.fps,
    )


def _read(judge: Probe, videos: Sequence[np.ndarray]) -> Sequence[Reader]:
    return judge.read_all([torch.from_numpy(frames) for frames in videos])


def _verdicts(readers: Sequence[Reader], cases: Sequence[Case]) -> list[Verdict]:
    return [Verdict.of(r, case.asked, case.stated) for r, case in zip(readers, cases, strict=True)]
