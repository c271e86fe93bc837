"""The measuring stick: prompts to videos, videos to readings, readings to figures.

Prompt following is measured by category, against a ceiling (real renders of the scenes that the captions describe) and
a floor (the same videos held against other captions); by a second instrument; in conjunctions; and beyond what training
saw, in combinations that were held out and in words that the world never uses. The same videos tell of pictures, of the
camera and of permanence; further ones tell of physics, of diversity, of films, and whether clips of the training are
copied.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8

from lumora.backends.lumora.weights import DEFAULT_FOLDER, read_config
from lumora.config import VideoShape
from lumora.evaluate.instruments.color_tracker import ColorTables, sight_all
from lumora.evaluate.instruments.emotions import Faces
from lumora.evaluate.instruments.features import Features, features_of, version
from lumora.evaluate.instruments.probe import Probe
from lumora.evaluate.metrics.camera_control import CameraControl, camera_control
from lumora.evaluate.metrics.consequences import consequences, told_apart
from lumora.evaluate.metrics.continuation_error import Course, Physics, measure_physics
from lumora.evaluate.metrics.estimates import Estimate, Table
from lumora.evaluate.metrics.image_quality import ImageStatistics, compare, diversity
from lumora.evaluate.metrics.memorization import Memorization, alike_clips, memorization
from lumora.evaluate.metrics.multi_shot_consistency import Films, measure_films
from lumora.evaluate.metrics.permanence import permanence
from lumora.evaluate.metrics.proportions import (
    FactReader,
    FactVerdict,
    Proportion,
    by_category,
    by_group,
    conjunctions,
    joined,
    shuffled,
)
from lumora.evaluate.sampling import through_codec
from lumora.evaluate.suites.continuations import Domain
from lumora.evaluate.suites.corruptions import degraded
from lumora.evaluate.suites.held_out import HELD_OUT_SEED, Case, combinations, held_out_captions, outside_words, retold
from lumora.request.spec import Request
from lumora.service.batch import make_videos
from lumora.world.caption import Length
from lumora.world.facts import CATEGORIES, Category
from lumora.world.sample import PRESETS
from lumora.world.scene import CHARACTERS

PROBE, TABLES = DEFAULT_FOLDER / "probe.safetensors", DEFAULT_FOLDER / "tables.npz"
FACES = DEFAULT_FOLDER / "faces.npz"
"""The instruments that come with lumora."""
TRUSTED = 0.95
"""What a probe must find of the real renders' facts of a category, for the category to be scored."""
ALIKE = 4
"""Videos of one prompt, and real clips of which it is true, whose diversity is measured."""
OTHER_SEEDS = 100_000
"""Further videos of a prompt have its seed and once, twice, thrice this."""

Frames = UInt8[np.ndarray, "t h w 3"]


@dataclass(frozen=True)
class EvaluationPlan:
    """What is measured, and how the videos are made; the same plan gives the same figures on the same machine."""

    clips: int = 200
    """Held-out captions."""
    preset: str = "plain"
    """The world whose captions they are."""
    length: Length = "sentence"
    steps: int = 24
    guidance: float | None = None
    """None: what is usual for a request, see `Request.leaning`."""
    beyond: int = 0
    """How many clips of held-out combinations are asked for too; and, if any, all words outside the vocabulary."""
    physics: int = 0
    """How many real clips are begun, for the model to go on with; and, if any, a quarter of that in each of the domains
    that lie beyond the training."""
    diversity: int = 0
    """How many of the prompts are made into several videos."""
    copying: int = 0
    """How many of the videos are held against clips of the training."""
    films: int = 0
    """How many films of several shots are asked for; and, if any, half as many clips with things that leave and come
    back are begun."""


@dataclass(frozen=True)
class Made:
    """One case and what came of it."""

    case: Case
    request: Request
    frames: Frames
    verdict: FactVerdict

    @property
    def share(self) -> Proportion:
        return self.verdict.share


@dataclass(frozen=True)
class EvaluationFigures:
    """What was found."""

    following: dict[str, dict[str, Proportion]]
    """By category of fact: `generated`, `ceiling` and `floor`, all as the probe reads them."""
    second: dict[str, dict[str, Proportion]]
    """`generated`, `ceiling` and `floor` as the tables read them, and the `probe` on the same facts of the videos."""
    told: tuple[Category, ...]
    """The categories of which the prompts tell."""
    relations: dict[str, dict[str, Proportion]]
    """Each relation, by the tables: `generated`, `ceiling`, and `floor`: false statements about real clips."""
    events: dict[str, dict[str, Proportion]]
    """The same of each kind of event."""
    consequences: dict[str, dict[str, Proportion]]
    """Of events that happen, in `generated` and real videos (`ceiling`): does the cause come first, does it last?"""
    honesty: dict[str, dict[str, Proportion]]
    """What the probe finds in real `renders`, and in the same ones through the `codec`, with `blur`, with `noise`."""
    together: dict[int, Proportion]
    """How often so many facts are all found."""
    permanence: dict[str, dict[str, Proportion]]
    """How many videos keep their cast, and `real clips`."""
    picture: Table
    """Of `generated` videos, real ones through the `codec`, and real ones of `other seeds`; see `picture.compare`."""
    encoder: str
    """Version of the features in which pictures are compared."""
    diversity: Estimate | None
    copying: Memorization | None
    steering: CameraControl
    beyond: dict[str, Proportion]
    """By group of prompts for what no training has seen: combinations, and words outside the vocabulary."""
    physics: dict[str, Course]
    """How far from the truth things are in continued clips; empty where none were asked for."""
    laws: dict[Domain, Table]
    """Errors of what physics says of these clips, in the range of the training and beyond it."""
    momentum: Table
    """Errors of the momentum before and after a hit; empty where the world has none, or no clips were begun."""
    films: Films | None
    """Cuts, style, cast and order of films; None where none were asked for."""
    made: tuple[Made, ...]
    fps: float

    @property
    def scored(self) -> Proportion:
        """The share of all facts of categories that the probe can be trusted with."""
        return joined(self.following["generated"][category] for category in self.trusted)

    @property
    def judges(self) -> dict[str, str]:
        """Which instrument is sure of each category: the `probe`, or else the `tables`, or `nobody`."""
        tables = self.second["ceiling"]
        sure = [c for c, share in tables.items() if share.stated and share.value >= TRUSTED]
        return {c: "probe" if c in self.trusted else "tables" if c in sure else "nobody" for c in self.told}

    @property
    def judged(self) -> dict[str, dict[str, Proportion]]:
        """`generated`, `ceiling` and `floor` of each category by the instrument that is sure of it, and in `total`."""
        read = {"probe": self.following, "tables": self.second}
        columns: dict[str, dict[str, Proportion]] = {}
        for name in ("generated", "ceiling", "floor"):
            rows = {
                c: read[judge][name][c] for c, judge in self.judges.items() if c in read.get(judge, {}).get(name, {})
            }
            columns[name] = {**rows, "total": joined(rows.values())}
        return columns

    @property
    def trusted(self) -> tuple[str, ...]:
        """Categories that the probe reads well enough in real renders."""
        ceiling = self.following["ceiling"]
        return tuple(c for c, share in ceiling.items() if c != "total" and share.value >= TRUSTED)


def run_evaluation(
    plan: EvaluationPlan, weights: Path | None = None, probe: Path = PROBE, tables: Path = TABLES, workers: int = 0
) -> EvaluationFigures:
    """Makes all videos in so many processes (0: in this one) by the model in the folder `weights` (None: the one that
    comes with lumora) and reads them."""
    shape = read_config(weights).shape
    judge, counted = Probe.load(probe), ColorTables.load(tables)
    somebody = not set(CHARACTERS).isdisjoint(PRESETS[plan.preset].kinds)
    faces = Faces.load(FACES) if somebody else None
    with _timed("drawing a real clip", plan.clips):
        captions = held_out_captions(plan.preset, plan.clips, plan.length, shape, workers=workers)
    beyond = [*combinations(plan.preset, plan.beyond, shape), *outside_words()] if plan.beyond else []
    cases = [*captions, *beyond]
    with _timed("making a video", len(cases)):
        requests = [_request(plan, shape, c.prompt, n) for n, c in enumerate(cases)]
        videos = make_videos(requests, weights, workers)
    physics: Physics | None = None
    if plan.physics:
        physics = measure_physics(counted, plan.preset, plan.physics, plan.steps, plan.guidance, weights, workers)

    made, real = videos[: len(captions)], [case.real for case in captions if case.real is not None]
    with _timed("a real clip through the codec", len(real)):
        worse = {"codec": through_codec(real, weights), **degraded(real)}
    with _timed("the probe", len(videos) + 4 * len(real)):
        readings = _read(judge, videos)
        honesty = {name: by_category(_verdicts(_read(judge, clips), captions))
                   for name, clips in {"renders": real, **worse}.items()}  # fmt: skip
    with _timed("the tables and the camera", 2 * len(real)):
        sightings, real_sightings = (sight_all(counted, clips, workers, faces) for clips in (made, real))
    verdicts = _verdicts(readings, cases)
    generated = verdicts[: len(captions)]
    features = _features(judge, plan, shape, {"generated": made, "real": real, "codec": worse["codec"]}, workers)
    paths = {"model": [s.path for s in sightings], "real": [s.path for s in real_sightings]}
    return EvaluationFigures(
        following={
            "generated": by_category(generated),
            "ceiling": honesty["renders"],
            "floor": by_category(_verdicts(readings[: len(captions)], shuffled(captions))),
        },
        second=_second(captions, generated, sightings, real_sightings),
        told=tuple(c for c in CATEGORIES if any(fact.category == c for case in captions for fact in case.stated)),
        relations=told_apart(captions, sightings, real_sightings, "relation"),
        events=told_apart(captions, sightings, real_sightings, "event"),
        consequences=consequences(captions, sightings, real_sightings),
        honesty=honesty,
        together=conjunctions(generated),
        permanence=permanence(real_sightings, sightings),
        picture=compare({n: f for n, f in features.items() if n != "real"}, features["real"]),
        encoder=version(judge),
        diversity=_diversity(judge, plan, shape, captions, made, weights, workers) if plan.diversity else None,
        copying=_copying(judge, plan, shape, captions, features, workers) if plan.copying else None,
        steering=camera_control(captions, shape, paths),
        beyond=by_group([case.group for case in beyond], verdicts[len(captions) :]),
        physics=physics.courses if physics else {},
        laws=physics.laws if physics else {},
        momentum=physics.momentum if physics else {},
        films=_films(counted, plan, weights, workers) if plan.films else None,
        made=tuple(Made(*parts) for parts in zip(cases, requests, videos, verdicts, strict=True)),
        fps=shape.fps,
    )


def _films(tables: ColorTables, plan: EvaluationPlan, weights: Path | None, workers: int) -> Films:
    with _timed("making and reading a film", plan.films):
        how = (plan.length, plan.steps, plan.guidance, weights, workers)
        return measure_films(tables, plan.preset, plan.films, *how)


def _request(plan: EvaluationPlan, shape: VideoShape, prompt: str, seed: int) -> Request:
    seconds = (shape.num_frames - 1) / shape.fps
    return Request(
        prompt,
        seconds,
        size=shape.resolution,
        fps=shape.fps,
        seed=seed,
        num_inference_steps=plan.steps,
        guidance_scale=plan.guidance,
    )


def _read(judge: Probe, videos: Sequence[Frames]) -> Sequence[FactReader]:
    return judge.read_all([torch.from_numpy(frames) for frames in videos])


def _verdicts(readers: Sequence[FactReader], cases: Sequence[Case]) -> list[FactVerdict]:
    return [FactVerdict.of(r, case.asked, case.stated) for r, case in zip(readers, cases, strict=True)]


def _second(
    captions: Sequence[Case], read: Sequence[FactVerdict], sightings: Sequence[FactReader], real: Sequence[FactReader]
) -> dict[str, dict[str, Proportion]]:
    """What the tables say, and the probe (`read`) of the same facts."""
    seen = _verdicts(sightings, captions)
    return {
        "generated": by_category(seen),
        "ceiling": by_category(_verdicts(real, captions)),
        "floor": by_category(_verdicts(sightings, shuffled(captions))),
        "probe": by_category([_of_the_same(*pair) for pair in zip(read, seen, strict=True)]),
    }


def _of_the_same(one: FactVerdict, two: FactVerdict) -> FactVerdict:
    """What `one` says of the facts that `two` can read."""
    return FactVerdict(tuple((fact, shown) for fact, shown in one.shown if fact in dict(two.shown)))


def _features(
    judge: Probe, plan: EvaluationPlan, shape: VideoShape, clips: dict[str, Sequence[Frames]], workers: int
) -> dict[str, tuple[Features, ImageStatistics]]:
    """Of these clips and of as many real ones of other seeds."""
    others = held_out_captions(plan.preset, plan.clips, plan.length, shape, HELD_OUT_SEED + 2, workers)
    clips = clips | {"other seeds": [case.real for case in others if case.real is not None]}
    with _timed("features and looks", len(clips) * plan.clips):
        return {name: (features_of(judge, some), ImageStatistics.of(some)) for name, some in clips.items()}


def _diversity(
    judge: Probe,
    plan: EvaluationPlan,
    shape: VideoShape,
    captions: Sequence[Case],
    made: Sequence[Frames],
    weights: Path | None,
    workers: int,
) -> Estimate:
    """Of the first prompts of which enough real clips are true."""
    real: dict[int, list[Frames]] = {}
    for n, case in enumerate(captions):
        clips = retold(case, plan.preset, shape, ALIKE, np.random.default_rng([HELD_OUT_SEED, n]))
        if len(clips) == ALIKE:
            real[n] = clips
        if len(real) == plan.diversity:
            break
    seeds = [n + k * OTHER_SEEDS for n in real for k in range(1, ALIKE)]
    requests = [_request(plan, shape, captions[seed % OTHER_SEEDS].prompt, seed) for seed in seeds]
    more = make_videos(requests, weights, workers)
    groups = [[made[n], *more[i * (ALIKE - 1) : (i + 1) * (ALIKE - 1)]] for i, n in enumerate(real)]
    return diversity(*([features_of(judge, clips) for clips in some] for some in (groups, real.values())))


def _copying(
    judge: Probe,
    plan: EvaluationPlan,
    shape: VideoShape,
    captions: Sequence[Case],
    features: dict[str, tuple[Features, ImageStatistics]],
    workers: int,
) -> Memorization:
    """Of the first videos."""
    scenes = [case.scene for case in captions[: plan.copying] if case.scene is not None]
    with _timed("looking for clips of the training", 2 * len(scenes)):
        trained, unseen = (features_of(judge, c) for c in alike_clips(plan.preset, scenes, shape, workers))
    made, real = (features[name][0][: len(scenes)] for name in ("generated", "real"))
    return memorization(made, real, trained, unseen)


@contextmanager
def _timed(what: str, clips: int) -> Iterator[None]:
    """Says on stderr what an instrument costs."""
    began = time.perf_counter()
    yield
    print(f"{what}: {1000 * (time.perf_counter() - began) / max(1, clips):.0f} ms a clip", file=sys.stderr, flush=True)
