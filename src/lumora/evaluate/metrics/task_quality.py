"""The quality of every task on held-out clips, compared with the true clip and with a simple baseline.

The baseline repeats the nearest given frame or cross-fades the nearest two, and leaves a clip that is to be edited as
it is. `MEASURES` lists what is measured.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal, TypeAlias, get_args

import numpy as np
import torch
from jaxtyping import Bool, Float

from lumora.backends.timeline.compositing import ConditionFrames
from lumora.config import VideoShape
from lumora.evaluate.evaluation_data import PROBE
from lumora.evaluate.frames import Frames
from lumora.evaluate.instruments.perceptual import perceptual_distances
from lumora.evaluate.instruments.probe import Probe
from lumora.evaluate.metrics.prompt_following import RELIABLE
from lumora.evaluate.metrics.proportions import FactVerdict, by_category
from lumora.evaluate.sampling import model_config, through_codec
from lumora.evaluate.suites.held_out import HELD_OUT_SEED, caption_of
from lumora.media.video import Video
from lumora.parallel import run_batches
from lumora.request import Condition, Request
from lumora.service.batch import BATCH_SIZE, backend_for, make_videos
from lumora.world.clip import make_scene
from lumora.world.facts import Category, Fact, facts_of
from lumora.world.render import render
from lumora.world.scene import LIGHTS, Light, Scene
from lumora.world.trajectory import Trajectory
from lumora.world.visibility import SEEN, visibility

FRAMES, FPS = 33, 8.0
"""Frames and frame rate of the real clips."""
STATIC_CATEGORIES: tuple[Category, ...] = ("count", "kind", "color", "material", "size", "place", "light")
"""Categories that do not depend on motion."""
MIN_CHANGE = 8
"""Gray levels by which a pixel must change in the true clip to count as changing."""
MIN_CHANGING_SHARE = 0.01
"""Share of changing pixels from which on a clip counts as moving."""
RELIGHT_PROMPTS: dict[Light, str] = {
    "noon": "now at noon",
    "sunset": "now at sunset",
    "night": "now at night",
    "overcast": "now on an overcast day",
}
"""Prompts of edits to another light."""
ROUNDING = 1 / 12
"""Squared error of rounding to gray levels; it is added to all errors, so PSNR is at most 58.9 dB."""

Measure: TypeAlias = Literal["psnr", "psnr of active pixels", "distance", "facts", "seam"]
MEASURES: tuple[Measure, ...] = get_args(Measure)
"""PSNR in dB of the generated frames, of all pixels and of active ones, which show a subject or change in the true
clip; the perceptual distance of the generated frames; the proportion of true facts that the probe finds in the whole
video; and the seam: the mean difference between generated and given neighbors over that between given neighbors, 1 if
the transition is as smooth as the clip itself, less if it stands still."""


COLUMNS = ("model", "baseline", "best")


@dataclass(frozen=True)
class RenderedScene:
    """A scene with its rendering."""

    frames: Frames
    subject: Bool[np.ndarray, "t h w"]
    """The pixels that show a subject."""
    scene: Scene
    trajectory: Trajectory
    number: int

    def facts(self, frames: int) -> tuple[Fact, ...]:
        """The facts of the first `frames` frames about subjects that are in sight in all of them."""
        trajectory = self.trajectory.beginning(frames)
        height, width = self.subject.shape[1:]
        in_sight = visibility(self.scene, trajectory, width / height).min(axis=0) > SEEN
        facts = facts_of(self.scene, trajectory, width / height)
        return tuple(f for f in facts if all(in_sight[i] for i in (f.subject, f.other) if i is not None))

    def prompt(self, frames: int) -> str:
        facts = facts_of(self.scene, self.trajectory.beginning(frames))
        return caption_of(facts, HELD_OUT_SEED, self.number, "sentence").text


@dataclass(frozen=True)
class TaskClip:
    """A clip of the world, and the same in another light."""

    original: RenderedScene
    relit: RenderedScene

    def cut(self, start: int, stop: int, stride: int = 1) -> Video:
        return Video(self.original.frames[start:stop:stride], FPS / stride)


@dataclass(frozen=True)
class EvaluationTask:
    """What is given of a clip, and which frames are the truth."""

    conditions: Callable[[TaskClip], tuple[Condition, ...]]
    frames: int
    """Number of the clip's first frames that are the truth; the facts hold in them."""
    relit: bool = False
    """Whether the truth is the clip in the other light."""
    loop: float = 0.0
    """Seconds of a loop, which has no true frames; only facts of static categories are checked."""

    def truth(self, clip: TaskClip) -> RenderedScene:
        return clip.relit if self.relit else clip.original

    def request(self, clip: TaskClip) -> Request:
        seconds, prompt = self.loop or self.frames / FPS, clip.original.prompt(self.frames)
        if self.relit:
            edited = tuple(replace(condition, source_prompt=prompt) for condition in self.conditions(clip))
            return Request(RELIGHT_PROMPTS[clip.relit.scene.light], seconds, conditions=edited)
        return Request(prompt, seconds, conditions=self.conditions(clip), loop=self.loop > 0)

    def asked(self, clip: TaskClip) -> tuple[Fact, ...]:
        """The facts that the video should show."""
        facts = self.truth(clip).facts(self.frames)
        return tuple(f for f in facts if not self.loop or f.category in STATIC_CATEGORIES)


def _pieces(*pieces: tuple[tuple[int, int], float | Literal["end"]]) -> Callable[[TaskClip], tuple[Condition, ...]]:
    """Conditions from spans of frames of a clip, each at its start in seconds."""
    return lambda clip: tuple(Condition(clip.cut(*span), start) for span, start in pieces)


TASKS: dict[str, EvaluationTask] = {
    "image": EvaluationTask(_pieces(((0, 1), 0.0)), 17),
    "image, last image": EvaluationTask(_pieces(((0, 1), 0.0), ((16, 17), "end")), 17),
    "image, keyframe": EvaluationTask(_pieces(((0, 1), 0.0), ((10, 11), 10 / FPS)), 17),
    "extend 1.5 s": EvaluationTask(_pieces(((0, 13), 0.0)), 25),
    "backward 1.5 s": EvaluationTask(_pieces(((12, 25), "end")), 25),
    "infill 1.1 s": EvaluationTask(_pieces(((0, 10), 0.0), ((19, 33), 19 / FPS)), 33),
    "connect 1.9 s": EvaluationTask(_pieces(((0, 9), 0.0), ((24, 33), "end")), 33),
    "double rate": EvaluationTask(lambda clip: (Condition(clip.cut(0, 17, stride=2)),), 17),
    "four times the rate": EvaluationTask(lambda clip: (Condition(clip.cut(0, 17, stride=4)),), 17),
    "loop 1.5 s": EvaluationTask(_pieces(((0, 17), 0.0)), 17, loop=29 / FPS),
    "edit .6": EvaluationTask(lambda clip: (Condition(clip.cut(0, 17), strength=0.6),), 17, relit=True),
}


@dataclass(frozen=True)
class TaskFigure:
    """One measure of one clip; NaN if undefined."""

    model: float
    baseline: float
    best: float
    """The true clip through the codec; for facts and seams, the true clip itself."""


@dataclass(frozen=True)
class TaskScore:
    """The result of one task on one clip."""

    moves: bool
    """Whether the true clip moves."""
    figures: dict[Measure, TaskFigure]
    """All measures but the facts."""
    verdicts: dict[str, FactVerdict]
    """What the probe finds in the video of the `model`, of the `baseline`, and in the true one (`best`)."""


def measure_tasks(
    names: Sequence[str],
    clips: int,
    steps: int | None = None,
    guidance_scale: float | None = None,
    model: Path | None = None,
    workers: int = 0,
    probe: Path = PROBE,
) -> dict[str, list[TaskScore]]:
    """The scores of held-out clips in each of these tasks by the model in the folder `model` (None: the one that comes
    with lumora), sampled in `steps` steps (None: the model's own number) and read in `workers` processes (0: in this
    one)."""
    work = partial(_measure, tuple(names), steps, guidance_scale, model, probe)
    rows = run_batches(work, range(clips), BATCH_SIZE, workers)
    return {name: [row[name] for row in rows] for name in names}


def _measure(
    names: Sequence[str],
    steps: int | None,
    guidance_scale: float | None,
    model: Path | None,
    probe_path: Path,
    numbers: Sequence[int],
) -> list[dict[str, TaskScore]]:
    probe, shape = Probe.load(probe_path), model_config(model).shape
    clips = [task_clip(number, shape) for number in numbers]
    rows: list[dict[str, TaskScore]] = [{} for _ in clips]
    for name in names:
        task = TASKS[name]
        requests = [
            replace(task.request(clip), seed=number, num_inference_steps=steps, guidance_scale=guidance_scale)
            for number, clip in zip(numbers, clips, strict=True)
        ]
        videos = make_videos(requests, model, batch_size=len(requests))
        for row, clip, request, frames in zip(rows, clips, requests, videos, strict=True):
            row[name] = score(task, clip, request, frames, probe, model)
    return rows


def task_clip(number: int, shape: VideoShape, seed: int = HELD_OUT_SEED) -> TaskClip:
    """Held-out clip `number` of 33 frames with the size of `shape`."""
    long = VideoShape(FRAMES, shape.height, shape.width, FPS)
    scene, trajectory = make_scene("stage", seed, number, long)
    scenes = [scene, replace(scene, light=LIGHTS[(LIGHTS.index(scene.light) + 1) % len(LIGHTS)])]
    rendering = render(scenes, [trajectory, trajectory], long.height, long.width)
    parts = zip(rendering.frames.numpy(), rendering.subject.numpy() >= 0, scenes, strict=True)
    return TaskClip(*(RenderedScene(frames, subject, lit, trajectory, number) for frames, subject, lit in parts))


def score(
    task: EvaluationTask, clip: TaskClip, request: Request, video: Frames, probe: Probe, model: Path | None = None
) -> TaskScore:
    """The score of a task's `video` by the model in the folder `model`."""
    truth = task.truth(clip)
    true = truth.frames[: task.frames]
    baseline, kept = baseline_video(request, model)
    figures: dict[Measure, TaskFigure] = {}
    true_seam = np.nan
    if not task.loop:
        # A video that ends with a condition may have more frames than the truth, to fill the grid of latent frames.
        start = max(0, len(video) - len(true)) if request.conditions[-1].start == "end" else 0
        aligned = slice(start, start + len(true))
        (coded,) = through_codec([true], model)
        figures = compare_frames(
            true, [video[aligned], baseline[aligned], coded], ~kept[aligned], active_pixels(truth, task.frames), probe
        )
        true_seam = seam(true, kept[aligned], loop=False)
    figures["seam"] = TaskFigure(seam(video, kept, request.loop), seam(baseline, kept, request.loop), true_seam)
    facts = task.asked(clip)
    readings = (probe.read_clips([torch.from_numpy(np.ascontiguousarray(one))]) for one in (video, baseline, true))
    verdicts = (FactVerdict.of(reading, facts, facts) for (reading,) in readings)
    moves = changing_pixels(true).mean() >= MIN_CHANGING_SHARE
    return TaskScore(bool(moves), figures, dict(zip(COLUMNS, verdicts, strict=True)))


def baseline_video(request: Request, model: Path | None) -> tuple[Frames, Bool[np.ndarray, " t"]]:
    """The video that repeats or cross-fades the nearest given frames, and which of its frames are given."""
    plan = backend_for(model).prepare(request)
    (segment,) = plan.segments
    conditions = ConditionFrames.from_segment(segment, request.conditions, plan.size, request.resize_mode)
    frames = np.stack([conditions.draft_frame(frame) for frame in range(segment.num_frames)])
    return frames, np.array([frame in segment.kept_frames() for frame in range(segment.num_frames)])


def compare_frames(
    true: Frames,
    videos: Sequence[Frames],
    generated: Bool[np.ndarray, " t"],
    active: Bool[np.ndarray, "t h w"],
    probe: Probe,
) -> dict[Measure, TaskFigure]:
    """Compares three videos with the true one, in the frames that are `generated`."""
    pixels = np.broadcast_to(generated[:, None, None], active.shape)
    distances = perceptual_distances(probe, videos, true)[:, generated].mean(axis=1)
    return {
        "psnr": TaskFigure(*(psnr(video, true, pixels) for video in videos)),
        "psnr of active pixels": TaskFigure(*(psnr(video, true, pixels & active) for video in videos)),
        "distance": TaskFigure(*distances.tolist()),
    }


def active_pixels(truth: RenderedScene, frames: int) -> Bool[np.ndarray, "t h w"]:
    """The pixels of the first `frames` frames that show a subject, and those that change at any time."""
    return truth.subject[:frames] | changing_pixels(truth.frames[:frames])


def changing_pixels(video: Frames) -> Bool[np.ndarray, "h w"]:
    """The pixels that differ by more than MIN_CHANGE between any two frames, in any channel."""
    return (video.max(axis=0) - video.min(axis=0)).max(axis=-1) > MIN_CHANGE


def psnr(video: Frames, true: Frames, mask: Bool[np.ndarray, "t h w"]) -> float:
    """PSNR in dB of the pixels in the mask; NaN for an empty mask."""
    if not mask.any():
        return np.nan
    error = (video[mask].astype(np.float64) - true[mask]) ** 2
    return float(10 * np.log10(255**2 / (error.mean() + ROUNDING)))


def seam(video: Frames, kept: Bool[np.ndarray, " t"], loop: bool) -> float:
    """Mean difference between generated and given (`kept`) neighbors, over that between given neighbors.

    NaN if no two given frames are neighbors. Differences of less than one gray level count as one, because they are
    invisible.
    """
    following = np.roll(video, -1, axis=0).astype(float)
    difference = np.abs(following - video).mean(axis=(1, 2, 3))
    joins, inside = kept != np.roll(kept, -1), kept & np.roll(kept, -1)
    if not loop:
        difference, joins, inside = difference[:-1], joins[:-1], inside[:-1]
    if not joins.any() or not inside.any():
        return np.nan
    return float(max(difference[joins].mean(), 1) / max(difference[inside].mean(), 1))


def reliable_categories(scores: Sequence[TaskScore]) -> frozenset[str]:
    """The categories that the probe reads well enough in the true clips."""
    found = by_category(score.verdicts["best"] for score in scores)
    return frozenset(category for category, proportion in found.items() if proportion.value >= RELIABLE)


def task_columns(scores: Sequence[TaskScore], measure: Measure) -> Float[np.ndarray, "clips 3"]:
    """Model, baseline and best of each clip; NaN if undefined."""
    if measure != "facts":
        figures = (score.figures.get(measure, TaskFigure(np.nan, np.nan, np.nan)) for score in scores)
        return np.array([(figure.model, figure.baseline, figure.best) for figure in figures], float)
    reliable = reliable_categories(scores)
    return np.array([[_found(score.verdicts[name], reliable) for name in COLUMNS] for score in scores])


def _found(verdict: FactVerdict, categories: frozenset[str]) -> float:
    """The proportion found of the facts of these categories."""
    return FactVerdict(tuple((f, shown) for f, shown in verdict.shown if f.category in categories)).proportion.value


def measure_error(values: Float[np.ndarray, "*shape"], measure: Measure) -> Float[np.ndarray, "*shape"]:
    """Values for which lower is better, for every measure."""
    if measure == "seam":
        return np.abs(values - 1)
    return values if measure == "distance" else -values


def win_rate(columns: Float[np.ndarray, "clips 3"], measure: Measure) -> float:
    """The share of clips in which the model is better than the baseline; a tie counts half."""
    model, baseline = measure_error(columns[np.isfinite(columns[:, :2]).all(axis=1), :2], measure).T
    return float(((model < baseline) + 0.5 * (model == baseline)).mean()) if len(model) else np.nan
