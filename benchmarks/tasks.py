"""Every task on held-out clips of the world, against what really happened and against the simplest rule.

    python benchmarks/tasks.py [--clips 20] [--weights FOLDER] [--steps 24] [--only image infill …]

PSNR is over the frames that are made, of the network and of the rule: the nearest given frame repeated, or the two
nearest cross-faded; an edit's rule is to leave the clip as it is, and its truth the same scene by another light. A seam
is the mean difference over the joins of made to given frames, in units of the mean difference of the given clip's
neighbours: 1 is as smooth as the clip itself. Means with 95 % intervals, and the share of clips in which the network
is nearer.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from lumora import Given, Pipeline, Request, Video
from lumora.config import VideoShape
from lumora.evaluate.suites import HELD_OUT_SEED, caption_of
from lumora.generate.pictures import Pictures
from lumora.world.clip import make_scene
from lumora.world.facts import facts_of
from lumora.world.render import render
from lumora.world.scene import LIGHTS

SECONDS = 33 / 8
"""Of the real clips."""


@dataclass(frozen=True)
class Real:
    """A clip of the world, its caption, and the same by another light."""

    video: Video
    prompt: str
    other: Video
    other_prompt: str

    def cut(self, start: int, stop: int, every: int = 1) -> Video:
        return Video(self.video.frames[start:stop:every], self.video.fps / every)


@dataclass(frozen=True)
class Score:
    """Of one clip."""

    model: float
    rule: float
    """Decibels over the made frames; NaN where there is no truth."""
    seam: float
    rule_seam: float


Task = Callable[[Real], tuple[Request, Video | None]]
"""A request, and what it should come to; None where nobody knows."""


def image(real: Real) -> tuple[Request, Video | None]:
    return Request(real.prompt, 17 / 8, given=(Given(real.cut(0, 1)),)), real.cut(0, 17)


def last_image(real: Real) -> tuple[Request, Video | None]:
    given = Given(real.cut(0, 1)), Given(real.cut(16, 17), "end")
    return Request(real.prompt, 17 / 8, given=given), real.cut(0, 17)


def keyframe(real: Real) -> tuple[Request, Video | None]:
    given = Given(real.cut(0, 1)), Given(real.cut(10, 11), 10 / 8)
    return Request(real.prompt, 17 / 8, given=given), real.cut(0, 17)


def extend(real: Real) -> tuple[Request, Video | None]:
    return Request(real.prompt, 25 / 8, given=(Given(real.cut(0, 13)),)), real.cut(0, 25)


def backward(real: Real) -> tuple[Request, Video | None]:
    return Request(real.prompt, 25 / 8, given=(Given(real.cut(12, 25), "end"),)), real.cut(0, 25)


def infill(real: Real) -> tuple[Request, Video | None]:
    given = Given(real.cut(0, 10)), Given(real.cut(19, 33), 19 / 8)
    return Request(real.prompt, SECONDS, given=given), real.video


def connect(real: Real) -> tuple[Request, Video | None]:
    given = Given(real.cut(0, 9)), Given(real.cut(24, 33), "end")
    return Request(real.prompt, SECONDS, given=given), real.video


def double(real: Real) -> tuple[Request, Video | None]:
    return Request(real.prompt, 17 / 8, given=(Given(real.cut(0, 17, every=2)),)), real.cut(0, 17)


def quadruple(real: Real) -> tuple[Request, Video | None]:
    return Request(real.prompt, 17 / 8, given=(Given(real.cut(0, 17, every=4)),)), real.cut(0, 17)


def loop(real: Real) -> tuple[Request, Video | None]:
    return Request(real.prompt, 29 / 8, given=(Given(real.cut(0, 17)),), loop=True), None


def edit(real: Real) -> tuple[Request, Video | None]:
    given = Given(real.cut(0, 17), strength=0.6)
    return Request(real.other_prompt, 17 / 8, given=(given,)), Video(real.other.frames[:17], real.other.fps)


TASKS: dict[str, Task] = {
    "image": image,
    "image, last image": last_image,
    "image, keyframe": keyframe,
    "extend 1.5 s": extend,
    "backward 1.5 s": backward,
    "infill 1.1 s": infill,
    "connect 1.9 s": connect,
    "double rate": double,
    "four times the rate": quadruple,
    "loop 1.5 s": loop,
    "edit .6": edit,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=20)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--steps", type=int, default=24)
    parser.add_argument("--only", nargs="*", default=list(TASKS))
    options = parser.parse_args()
    pipeline = Pipeline.load(options.weights)
    reals = [real_clip(index, pipeline.config.shape) for index in range(options.clips)]
    print(f"{'':<20}{'network dB':>17}{'rule dB':>17}{'nearer':>8}{'seam':>17}{'of the rule':>17}")
    for name in options.only:
        scores = [score(pipeline, TASKS[name], real, seed, options.steps) for seed, real in enumerate(reals)]
        parts = [np.array(part) for part in zip(*((s.model, s.rule, s.seam, s.rule_seam) for s in scores), strict=True)]
        model, rule, seam, rule_seam = (mean(part) for part in parts)
        nearer = f"{(parts[0] > parts[1]).mean():.0%}" if np.isfinite(parts[0]).all() else ""
        print(f"{name:<20}{model:>17}{rule:>17}{nearer:>8}{seam:>17}{rule_seam:>17}", flush=True)


def real_clip(index: int, shape: VideoShape) -> Real:
    """Held-out clip `index` of a camera that stands still or moves, as sampled."""
    long = VideoShape(round(SECONDS * 8), shape.height, shape.width, 8.0)
    scene, trajectory = make_scene("plain", HELD_OUT_SEED, index, long)
    other = replace(scene, light=LIGHTS[(LIGHTS.index(scene.light) + 1) % len(LIGHTS)])
    drawn = render([scene, other], [trajectory, trajectory], long.height, long.width).frames.numpy()
    words = [caption_of(facts_of(s, trajectory), HELD_OUT_SEED, index, "sentence").text for s in (scene, other)]
    return Real(Video(drawn[0], 8.0), words[0], Video(drawn[1], 8.0), words[1])


def score(pipeline: Pipeline, task: Task, real: Real, seed: int, steps: int) -> Score:
    request, truth = task(real)
    request = replace(request, seed=seed, steps=steps)
    made = pipeline.generate(request).frames
    (take,) = request.takes(pipeline.config)
    pictures = Pictures.of(take, request.given, *request.size(pipeline.config), request.fit)
    rule = np.stack([pictures.drafted(frame) for frame in range(take.shown)])
    kept = np.array([frame in take.kept() for frame in range(take.shown)])
    known = [np.nan, np.nan]
    if truth is not None:
        shift = len(made) - len(truth.frames)  # of what ends with the video, if that is a frame longer than the truth
        begins = max(0, shift) if request.given[-1].start == "end" else 0
        length = min(len(made), len(truth.frames))
        aligned, true = slice(begins, begins + length), truth.frames[:length]
        known = [decibels(video[aligned], true, ~kept[aligned]) for video in (made, rule)]
    return Score(*known, *(seam(video, kept, request.loop) for video in (made, rule)))


def decibels(made: UInt8[np.ndarray, "t h w 3"], true: UInt8[np.ndarray, "t h w 3"], counts: np.ndarray) -> float:
    error = (made[counts].astype(float) - true[counts]) ** 2
    return float(10 * np.log10(255**2 / error.mean()))


def seam(video: UInt8[np.ndarray, "t h w 3"], kept: np.ndarray, loop: bool) -> float:
    """NaN where no two given frames are neighbours, and so nothing is known of how smooth it should be."""
    following = np.roll(video, -1, axis=0).astype(float)
    apart = np.abs(following - video).mean(axis=(1, 2, 3))
    joins, inside = kept != np.roll(kept, -1), kept & np.roll(kept, -1)
    if not loop:
        apart, joins, inside = apart[:-1], joins[:-1], inside[:-1]
    if not joins.any() or not inside.any():
        return np.nan
    return float(apart[joins].mean() / max(apart[inside].mean(), 0.1))


def mean(values: Float[np.ndarray, " n"]) -> str:
    """With its 95 % interval, of what is known."""
    values = values[np.isfinite(values)]
    if not len(values):
        return ""
    half = 1.96 * values.std(ddof=1) / len(values) ** 0.5 if len(values) > 1 else np.nan
    return f"{values.mean():.2f} ± {half:.2f}"


if __name__ == "__main__":
    main()
