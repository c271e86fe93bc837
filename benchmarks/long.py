"""Long videos sampled at once and in windows: their cost, and their drift.

    python benchmarks/long.py [--seconds 2 5 15 60] [--videos 2] [--model FOLDER] [--steps 6] [--sheet FILE.png]

For each method and duration: processor seconds, and the peak memory of a process of its own. For the longest duration,
compared with real clips of the same prompts, in its first seconds, at five twelfths and in its last seconds (of a
minute: 0 to 5, 25 to 30 and 55 to 60): the distance of mean colors from those of the first seconds, sharpness (the mean
difference of neighboring pixels), and the proportion of the static facts of the prompt that the probe finds. At the
joins of the windows: the mean difference of neighboring frames, and of their mean colors, over those elsewhere; the
same frames are used for the other videos, and 1 means no visible join.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image

from lumora.backends.lumora.weights import read_config
from lumora.backends.lumora.windows import default_window_frames, plan_windows
from lumora.config import Resolution, VideoShape
from lumora.evaluate.evaluation_data import PROBE
from lumora.evaluate.frames import Frames
from lumora.evaluate.instruments.probe import Probe
from lumora.evaluate.suites.held_out import HELD_OUT_SEED, caption_of
from lumora.media.contact_sheet import contact_sheet
from lumora.media.video import Video
from lumora.world.caption import Caption
from lumora.world.clip import make_scene
from lumora.world.facts import facts_of
from lumora.world.render import render

FPS, SIDE = 8.0, 64
WINDOW_FRAMES = {"at once": 10_000, "in windows": None}
"""Latent frames that are sampled together."""
SECTION_SECONDS = 5.0
"""Duration of the sections that are measured."""
SECTION_STARTS = (0.0, 5 / 12, 11 / 12)
"""Starts of the sections as shares of the video."""
STATIC_CATEGORIES = ("count", "kind", "color", "material", "size", "place", "light")
"""Categories that do not depend on motion."""


@dataclass(frozen=True)
class Drift:
    """Of one video, for each section."""

    color: Float[np.ndarray, " s"]
    """Distance from the first section in 8-bit levels."""
    sharpness: Float[np.ndarray, " s"]
    """In 8-bit levels."""
    found: Float[np.ndarray, " s"]
    """Proportion of the static facts of the prompt."""
    joins: Float[np.ndarray, " 2"]
    """Differences of pixels and of mean colors at joins, over those elsewhere."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, nargs="+", default=[2.0, 5.0, 15.0, 60.0])
    parser.add_argument("--videos", type=int, default=2)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--sheet", type=Path)
    options = parser.parse_args()
    longest = max(options.seconds)
    captions, real = zip(*(real_clip(index, longest) for index in range(options.videos)), strict=True)
    videos = {"real": list(real)}
    print(f"{'':<12}{'video':>8}{'time':>9}{'frames/s':>10}{'memory':>12}", flush=True)
    for method, window_frames in WINDOW_FRAMES.items():
        for seconds in options.seconds:
            count = options.videos if seconds == longest else 1
            jobs = [(captions[n].text, seconds, window_frames, options.steps, n, options.model) for n in range(count)]
            made, took, memory = zip(*map(in_own_process, jobs), strict=True)
            rate = len(made[0]) / np.mean(took)
            print(
                f"{method:<12}{seconds:>6.0f} s{np.mean(took):>7.1f} s{rate:>10.1f}{np.mean(memory):>8.2f} GiB",
                flush=True,
            )
            if seconds == longest:
                videos[method] = list(made)
    report(videos, captions, joins_of(len(videos["in windows"][0]), options.model), longest)
    if options.sheet:
        labels = [f"{method}: {caption.text}" for method in videos for caption in captions]
        strips = [Video(frames, FPS) for some in videos.values() for frames in some]
        Image.fromarray(contact_sheet(strips, 1, 12, labels, SIDE)).save(options.sheet)


def report(videos: dict[str, list[Frames]], captions: tuple[Caption, ...], joins: list[int], seconds: float) -> None:
    probe = Probe.load(PROBE)
    print(f"\nOf {seconds:.0f} s, {len(captions)} videos{'':<6}{'first':>10}{'middle':>10}{'last':>10}")
    at_joins = []
    for method, some in videos.items():
        drifts = [drift_of(frames, caption, joins, probe) for frames, caption in zip(some, captions, strict=True)]
        for name in ("color", "sharpness", "found"):
            figures = np.mean([getattr(drift, name) for drift in drifts], axis=0)
            print(f"{method:<12}{name:<14}" + "".join(f"{figure:>10.2f}" for figure in figures))
        if joins:
            pixels, colors = np.mean([drift.joins for drift in drifts], axis=0)
            at_joins.append(f"{method:<12}at {len(joins)} joins: pixels {pixels:.2f}, colors {colors:.2f}")
    print("\n".join(at_joins))


def in_own_process(job: tuple[str, float, int | None, int, int, Path | None]) -> tuple[Frames, float, float]:
    """Frames, processor seconds, and peak memory in GiB, of a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(make, job)


def make(
    prompt: str, seconds: float, window_frames: int | None, steps: int, seed: int, model: Path | None
) -> tuple[Frames, float, float]:
    from lumora import Pipeline, Request

    pipeline = Pipeline.from_pretrained(model)
    start = time.process_time()  # not wall time: the machine may be busy
    request = Request(prompt, seconds, size=Resolution(SIDE, SIDE), fps=FPS, seed=seed, num_inference_steps=steps)
    (video,) = pipeline.generate_batch([request], window_frames=window_frames)
    return video.frames, time.process_time() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def real_clip(index: int, seconds: float) -> tuple[Caption, Frames]:
    """A held-out caption and its real clip."""
    scene, trajectory = make_scene("plain", HELD_OUT_SEED, index, VideoShape(round(FPS * seconds) + 1, SIDE, SIDE, FPS))
    caption = caption_of(facts_of(scene, trajectory), HELD_OUT_SEED, index, "sentence")
    return caption, render([scene], [trajectory], SIDE, SIDE).frames[0].numpy()


def joins_of(frames: int, model: Path | None) -> list[int]:
    """The first frame of each window but the first one, of a video from a prompt only."""
    config = read_config(model)
    latents = 1 + (frames - 1) // config.codec.temporal_compression
    windows = plan_windows(np.ones(latents), [latents], default_window_frames(config))
    return [1 + config.codec.temporal_compression * (window.frames.stop - 1) for window in windows[:-1]]


def drift_of(frames: Frames, caption: Caption, joins: list[int], probe: Probe) -> Drift:
    length = round(FPS * SECTION_SECONDS)
    starts = [min(round(begin * len(frames)), max(0, len(frames) - length)) for begin in SECTION_STARTS]
    parts = [frames[start : start + length] for start in starts]
    colors = np.array([part.mean(axis=(0, 1, 2)) for part in parts])
    pixel_steps = np.abs(np.diff(frames.astype(float), axis=0)).mean(axis=(1, 2, 3))
    color_steps = np.abs(np.diff(frames.mean(axis=(1, 2)), axis=0)).mean(axis=-1)
    at_join = np.isin(np.arange(1, len(frames)), joins)
    return Drift(
        np.abs(colors - colors[0]).mean(axis=-1),
        np.array([sharpness(part.astype(float)) for part in parts]),
        np.array([found(part, caption, probe) for part in parts]),
        np.array([values[at_join].mean() / values[~at_join].mean() for values in (pixel_steps, color_steps) if joins]),
    )


def sharpness(frames: Float[np.ndarray, "t h w 3"]) -> float:
    return float(np.abs(np.diff(frames, axis=1)).mean() + np.abs(np.diff(frames, axis=2)).mean())


def found(frames: Frames, caption: Caption, probe: Probe) -> float:
    """In the first and in the last two seconds of a section, because the probe was trained on clips of two seconds."""
    two = round(FPS * 2) + 1
    readings = probe.read_clips([torch.from_numpy(frames[:two]), torch.from_numpy(frames[-two:])])
    asked = [fact for fact in caption.facts if fact.category in STATIC_CATEGORIES]
    shown = [reading.shows(fact, caption.facts) for reading in readings for fact in asked]
    return float(np.mean([answer for answer in shown if answer is not None]))


if __name__ == "__main__":
    main()
