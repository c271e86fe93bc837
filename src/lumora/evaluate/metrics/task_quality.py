"""Every task on held-out clips of the world: what a model makes, held against what really happened and against the
simplest rule, which repeats the nearest given frame or cross-fades the nearest two, and leaves a clip that is to be
edited as it is. What is measured is said at `MEASURES`.

No judge from elsewhere is needed: the world knows what is true of a clip and where its subjects are, and the probe that
reads it is our own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal, TypeAlias, get_args

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8

from lumora.backends.lumora.compositing import ConditionFrames
from lumora.config import VideoShape
from lumora.evaluate.instruments.perceptual import perceptual_distances
from lumora.evaluate.instruments.probe import Probe
from lumora.evaluate.metrics.proportions import FactVerdict, by_category
from lumora.evaluate.runner import PROBE, TRUSTED
from lumora.evaluate.sampling import through_codec
from lumora.evaluate.suites.held_out import HELD_OUT_SEED, caption_of
from lumora.media.video import Video
from lumora.parallel import run_batches
from lumora.request.conditions import Condition
from lumora.request.spec import Request
from lumora.service.batch import BATCH_SIZE, backend_for
from lumora.world.clip import make_scene
from lumora.world.facts import Category, Fact, facts_of
from lumora.world.render import render
from lumora.world.scene import LIGHTS, Light, Scene
from lumora.world.trajectory import Trajectory
from lumora.world.visibility import SEEN, visibility

FRAMES, FPS = 33, 8.0
"""Of the real clips."""
LOOKS: tuple[Category, ...] = ("count", "kind", "color", "material", "size", "place", "light")
"""What stays true however things move."""
CHANGE = 8
"""Grey levels by which a pixel changes in a true clip if something happens there."""
MOVES = 0.01
"""Share of pixels that change in a clip that moves."""
RELIT: dict[Light, str] = {
    "noon": "now at noon",
    "sunset": "now at sunset",
    "night": "now at night",
    "overcast": "now on an overcast day",
}
"""The words of an edit to another light."""
ROUNDING = 1 / 12
"""Squared error of a whole grey level, which is added to all errors: so nothing is nearer than 58.9 dB."""

Frames: TypeAlias = UInt8[np.ndarray, "t h w 3"]
Measure: TypeAlias = Literal["psnr", "psnr of what happens", "distance", "facts", "seam"]
MEASURES: tuple[Measure, ...] = get_args(Measure)
"""Over the frames that are made: PSNR in decibels, of all pixels, and of those that show a subject or change in the
true clip (where a rule can't win by leaving all as it is); and the `perceptual` distance. Of the whole video: the share
of facts that hold in the true clip that the probe finds. A seam is the mean difference over the joins of made to given
frames over that of given neighbours: 1 is as smooth as the clip itself, less stands still."""


@dataclass(frozen=True)
class Shown:
    """A scene as it was drawn."""

    frames: Frames
    subject: Bool[np.ndarray, "t h w"]
    """Where something of the cast is seen."""
    scene: Scene
    trajectory: Trajectory
    number: int

    def facts(self, frames: int) -> tuple[Fact, ...]:
        """What is true of the first so many frames, of things that are in sight in all of them."""
        trajectory = self.trajectory.beginning(frames)
        height, width = self.subject.shape[1:]
        seen = visibility(self.scene, trajectory, width / height).min(axis=0) > SEEN
        facts = facts_of(self.scene, trajectory, width / height)
        return tuple(f for f in facts if all(seen[i] for i in (f.subject, f.other) if i is not None))

    def prompt(self, frames: int) -> str:
        facts = facts_of(self.scene, self.trajectory.beginning(frames))
        return caption_of(facts, HELD_OUT_SEED, self.number, "sentence").text


@dataclass(frozen=True)
class Real:
    """A clip of the world, and the same by another light."""

    shown: Shown
    other: Shown

    def cut(self, start: int, stop: int, every: int = 1) -> Video:
        return Video(self.shown.frames[start:stop:every], FPS / every)


@dataclass(frozen=True)
class EvaluationTask:
    """What is given of a clip, and of which frames of it the rest should come out."""

    given: Callable[[Real], tuple[Condition, ...]]
    frames: int
    """How many of the clip's first frames are the truth; the facts hold in them."""
    relit: bool = False
    """Whether the truth is the clip by the other light."""
    loop: float = 0.0
    """Seconds of a loop, which has no truth but the looks of things."""

    def truth(self, real: Real) -> Shown:
        return real.other if self.relit else real.shown

    def request(self, real: Real) -> Request:
        seconds, prompt = self.loop or self.frames / FPS, real.shown.prompt(self.frames)
        if self.relit:
            given = tuple(replace(thing, source_prompt=prompt) for thing in self.given(real))
            return Request(RELIT[real.other.scene.light], seconds, conditions=given)
        return Request(prompt, seconds, conditions=self.given(real), loop=self.loop > 0)

    def asked(self, real: Real) -> tuple[Fact, ...]:
        facts = self.truth(real).facts(self.frames)
        return tuple(f for f in facts if not self.loop or f.category in LOOKS)


def _pieces(*pieces: tuple[tuple[int, int], float | Literal["end"]]) -> Callable[[Real], tuple[Condition, ...]]:
    """These frames of a clip, where they lie."""
    return lambda real: tuple(Condition(real.cut(*span), start) for span, start in pieces)


TASKS: dict[str, EvaluationTask] = {
    "image": EvaluationTask(_pieces(((0, 1), 0.0)), 17),
    "image, last image": EvaluationTask(_pieces(((0, 1), 0.0), ((16, 17), "end")), 17),
    "image, keyframe": EvaluationTask(_pieces(((0, 1), 0.0), ((10, 11), 10 / FPS)), 17),
    "extend 1.5 s": EvaluationTask(_pieces(((0, 13), 0.0)), 25),
    "backward 1.5 s": EvaluationTask(_pieces(((12, 25), "end")), 25),
    "infill 1.1 s": EvaluationTask(_pieces(((0, 10), 0.0), ((19, 33), 19 / FPS)), 33),
    "connect 1.9 s": EvaluationTask(_pieces(((0, 9), 0.0), ((24, 33), "end")), 33),
    "double rate": EvaluationTask(lambda real: (Condition(real.cut(0, 17, every=2)),), 17),
    "four times the rate": EvaluationTask(lambda real: (Condition(real.cut(0, 17, every=4)),), 17),
    "loop 1.5 s": EvaluationTask(_pieces(((0, 17), 0.0)), 17, loop=29 / FPS),
    "edit .6": EvaluationTask(lambda real: (Condition(real.cut(0, 17), strength=0.6),), 17, relit=True),
}


@dataclass(frozen=True)
class Figure:
    """One measure of one clip; NaN where nothing can be said."""

    network: float
    rule: float
    best: float
    """Of the true clip through the codec; of facts and seams, of the true clip itself."""


@dataclass(frozen=True)
class Score:
    """What was found of one task on one clip."""

    moves: bool
    """Whether something changes in the true clip."""
    figures: dict[Measure, Figure]
    """All but the facts."""
    shown: dict[str, FactVerdict]
    """What the probe finds in the `network`'s video, the `rule`'s and the true one (`best`)."""


def measure_tasks(
    names: Sequence[str],
    clips: int,
    steps: int,
    guidance: float | None = None,
    weights: Path | None = None,
    workers: int = 0,
    probe: Path = PROBE,
) -> dict[str, list[Score]]:
    """The scores of so many held-out clips in each of these tasks, made and read in so many processes (0: in this one)
    by the model in the folder `weights` (None: the one that comes with lumora)."""
    work = partial(_measure, tuple(names), steps, guidance, weights, probe)
    rows = run_batches(work, range(clips), BATCH_SIZE, workers)
    return {name: [row[name] for row in rows] for name in names}


def _measure(
    names: Sequence[str], steps: int, guidance: float | None, weights: Path | None, probe: Path, numbers: Sequence[int]
) -> list[dict[str, Score]]:
    backend, judge = backend_for(weights), Probe.load(probe)
    reals = [real_clip(number, backend.config.shape) for number in numbers]
    rows: list[dict[str, Score]] = [{} for _ in reals]
    for name in names:
        task = TASKS[name]
        asked = [task.request(real) for real in reals]
        requests = [
            replace(r, seed=number, num_inference_steps=steps, guidance_scale=guidance)
            for number, r in zip(numbers, asked, strict=True)
        ]
        for row, real, request, made in zip(
            rows, reals, requests, backend.pipeline.generate_batch(requests), strict=True
        ):
            row[name] = score(task, real, request, made.frames, judge, weights)
    return rows


def real_clip(number: int, shape: VideoShape, seed: int = HELD_OUT_SEED) -> Real:
    """Held-out clip `number`, with a camera that stands still or moves, as sampled."""
    long = VideoShape(FRAMES, shape.height, shape.width, FPS)
    scene, trajectory = make_scene("plain", seed, number, long)
    scenes = [scene, replace(scene, light=LIGHTS[(LIGHTS.index(scene.light) + 1) % len(LIGHTS)])]
    drawn = render(scenes, [trajectory, trajectory], long.height, long.width)
    parts = zip(drawn.frames.numpy(), drawn.subject.numpy() >= 0, scenes, strict=True)
    return Real(*(Shown(frames, subject, some, trajectory, number) for frames, subject, some in parts))


def score(
    task: EvaluationTask, real: Real, request: Request, made: Frames, judge: Probe, weights: Path | None = None
) -> Score:
    """Of the video `made` of the request of a task by the model in the folder `weights`."""
    truth, plan = task.truth(real), backend_for(weights).prepare(request)
    (take,) = plan.segments
    pictures = ConditionFrames.from_segment(take, request.conditions, plan.size, request.resize_mode)
    rule = np.stack([pictures.draft_frame(frame) for frame in range(take.num_frames)])
    kept = np.array([frame in take.kept_frames() for frame in range(take.num_frames)])
    true = truth.frames[: task.frames]
    figures: dict[Measure, Figure] = {}
    joins = np.nan
    if not task.loop:
        # What ends with the video may be some frames later than in the truth, if the grid of latent frames asks for it.
        begins = max(0, len(made) - len(true)) if request.conditions[-1].start == "end" else 0
        aligned = slice(begins, begins + len(true))
        (coded,) = through_codec([true], weights)
        figures = compared(
            true, [made[aligned], rule[aligned], coded], ~kept[aligned], happening(truth, task.frames), judge
        )
        joins = seam(true, kept[aligned], loop=False)
    figures["seam"] = Figure(seam(made, kept, request.loop), seam(rule, kept, request.loop), joins)
    facts = task.asked(real)
    readings = (judge.read_all([torch.from_numpy(np.ascontiguousarray(video))]) for video in (made, rule, true))
    verdicts = (FactVerdict.of(reading, facts, facts) for (reading,) in readings)
    moves = changing(true).mean() >= MOVES
    return Score(bool(moves), figures, dict(zip(("network", "rule", "best"), verdicts, strict=True)))


def compared(
    true: Frames,
    videos: Sequence[Frames],
    made: Bool[np.ndarray, " t"],
    happens: Bool[np.ndarray, "t h w"],
    judge: Probe,
) -> dict[Measure, Figure]:
    """Three videos beside the true one, over the frames that are `made`."""
    whole = np.broadcast_to(made[:, None, None], happens.shape)
    distances = perceptual_distances(judge, videos, true)[:, made].mean(axis=1)
    return {
        "psnr": Figure(*(decibels(video, true, whole) for video in videos)),
        "psnr of what happens": Figure(*(decibels(video, true, whole & happens) for video in videos)),
        "distance": Figure(*distances.tolist()),
    }


def happening(truth: Shown, frames: int) -> Bool[np.ndarray, "t h w"]:
    """The pixels of the first so many frames that show a subject, and those that change at any time."""
    return truth.subject[:frames] | changing(truth.frames[:frames])


def changing(video: Frames) -> Bool[np.ndarray, "h w"]:
    """The pixels that differ by more than CHANGE between any two frames, in any channel."""
    return (video.max(axis=0) - video.min(axis=0)).max(axis=-1) > CHANGE


def decibels(made: Frames, true: Frames, counts: Bool[np.ndarray, "t h w"]) -> float:
    """PSNR of the pixels that count; NaN where none does."""
    if not counts.any():
        return np.nan
    error = (made[counts].astype(np.float64) - true[counts]) ** 2
    return float(10 * np.log10(255**2 / (error.mean() + ROUNDING)))


def seam(video: Frames, kept: Bool[np.ndarray, " t"], loop: bool) -> float:
    """NaN where no two given frames are neighbours, and so nothing is known of how smooth it should be. Steps of less
    than one grey level count as one: nobody sees them."""
    following = np.roll(video, -1, axis=0).astype(float)
    apart = np.abs(following - video).mean(axis=(1, 2, 3))
    joins, inside = kept != np.roll(kept, -1), kept & np.roll(kept, -1)
    if not loop:
        apart, joins, inside = apart[:-1], joins[:-1], inside[:-1]
    if not joins.any() or not inside.any():
        return np.nan
    return float(max(apart[joins].mean(), 1) / max(apart[inside].mean(), 1))


def trusted(scores: Sequence[Score]) -> frozenset[str]:
    """The categories that the probe reads well enough in these true clips."""
    return frozenset(c for c, s in by_category(score.shown["best"] for score in scores).items() if s.value >= TRUSTED)


def columns(scores: Sequence[Score], measure: Measure) -> Float[np.ndarray, "clips 3"]:
    """Network, rule and the best there is, of each clip; NaN where nothing can be said."""
    if measure != "facts":
        figures = (score.figures.get(measure, Figure(np.nan, np.nan, np.nan)) for score in scores)
        return np.array([(figure.network, figure.rule, figure.best) for figure in figures], float)
    sure = trusted(scores)
    return np.array([[_share(score.shown[name], sure) for name in ("network", "rule", "best")] for score in scores])


def _share(verdict: FactVerdict, categories: frozenset[str]) -> float:
    """Of the facts of these categories."""
    return FactVerdict(tuple((f, shown) for f, shown in verdict.shown if f.category in categories)).share.value


def error(values: Float[np.ndarray, "*shape"], measure: Measure) -> Float[np.ndarray, "*shape"]:
    """How far from the truth these are: less is better in every measure."""
    if measure == "seam":
        return np.abs(values - 1)
    return values if measure == "distance" else -values


def nearer(scores: Float[np.ndarray, "clips 3"], measure: Measure) -> float:
    """The share of clips in which the network is nearer to the truth than the rule; a tie is half of it."""
    network, rule = error(scores[np.isfinite(scores[:, :2]).all(axis=1), :2], measure).T
    return float(((network < rule) + 0.5 * (network == rule)).mean()) if len(network) else np.nan
