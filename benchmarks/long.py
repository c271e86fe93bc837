"""Long videos at once and piece by piece: what they cost, and how they drift.

    python benchmarks/long.py [--seconds 2 5 15 60] [--videos 2] [--weights FOLDER] [--steps 6] [--sheet FILE.png]

Of each way and duration: processor seconds, and the most memory of a process that makes nothing else. Of the longest,
beside real clips of the same prompts that are rendered as long, in its first seconds, at five twelfths and in its last
ones (of a minute: 0 to 5, 25 to 30 and 55 to 60): how far mean colours are from those of its own first seconds,
sharpness (the mean difference of neighbouring pixels), and the share of what the prompt says of things and of the place
that the probe finds. Over the joins of the pieces: the mean difference of neighbouring frames, and of their mean
colours, in units of those elsewhere; at once and in real clips the same frames are looked at, and 1 is no join.
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
from jaxtyping import Float, UInt8
from PIL import Image

from lumora.backends.lumora.weights import read_config
from lumora.backends.lumora.windows import default_window_frames, plan_windows
from lumora.config import Resolution, VideoShape
from lumora.evaluate.instruments.probe import Probe
from lumora.evaluate.runner import PROBE
from lumora.evaluate.suites.held_out import HELD_OUT_SEED, caption_of
from lumora.media.contact_sheet import contact_sheet
from lumora.media.video import Video
from lumora.world.caption import Caption
from lumora.world.clip import make_scene
from lumora.world.facts import facts_of
from lumora.world.render import render

FPS, SIDE = 8.0, 64
AT_ONCE = {"at once": 10_000, "in pieces": None}
"""Latent frames that are made together."""
STRETCH = 5.0
"""Seconds that are looked at."""
BEGINS = (0.0, 5 / 12, 11 / 12)
"""Where they begin, in a minute; the last end with a shorter video."""
LASTING = ("count", "kind", "color", "material", "size", "place", "light")
"""What a subject and a place are, whatever happens."""

Frames = UInt8[np.ndarray, "t h w 3"]


@dataclass(frozen=True)
class Drift:
    """Of one video; a number a stretch."""

    color: Float[np.ndarray, " s"]
    """From the first, in 8-bit levels."""
    sharpness: Float[np.ndarray, " s"]
    """In 8-bit levels."""
    found: Float[np.ndarray, " s"]
    """Share of what is said."""
    joins: Float[np.ndarray, " 2"]
    """Pixels and mean colours over joins, in units of those elsewhere."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, nargs="+", default=[2.0, 5.0, 15.0, 60.0])
    parser.add_argument("--videos", type=int, default=2)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--sheet", type=Path)
    options = parser.parse_args()
    longest = max(options.seconds)
    captions, real = zip(*(real_clip(index, longest) for index in range(options.videos)), strict=True)
    made = {"real": list(real)}
    print(f"{'':<12}{'video':>8}{'time':>9}{'frames/s':>10}{'memory':>12}", flush=True)
    for way, at_once in AT_ONCE.items():
        for seconds in options.seconds:
            count = options.videos if seconds == longest else 1
            jobs = [(captions[n].text, seconds, at_once, options.steps, n, options.weights) for n in range(count)]
            videos, took, memory = zip(*map(alone, jobs), strict=True)
            rate = len(videos[0]) / np.mean(took)
            print(
                f"{way:<12}{seconds:>6.0f} s{np.mean(took):>7.1f} s{rate:>10.1f}{np.mean(memory):>8.2f} GiB", flush=True
            )
            if seconds == longest:
                made[way] = list(videos)
    report(made, captions, joins_of(len(made["in pieces"][0]), options.weights), longest)
    if options.sheet:
        labels = [f"{way}: {caption.text}" for way in made for caption in captions]
        strips = [Video(frames, FPS) for videos in made.values() for frames in videos]
        Image.fromarray(contact_sheet(strips, 1, 12, labels, SIDE)).save(options.sheet)


def report(made: dict[str, list[Frames]], captions: tuple[Caption, ...], joins: list[int], seconds: float) -> None:
    probe = Probe.load(PROBE)
    print(f"\nOf {seconds:.0f} s, {len(captions)} videos{'':<6}{'first':>10}{'middle':>10}{'last':>10}")
    over = []
    for way, videos in made.items():
        each = [drift_of(frames, caption, joins, probe) for frames, caption in zip(videos, captions, strict=True)]
        for name in ("color", "sharpness", "found"):
            figures = np.mean([getattr(drift, name) for drift in each], axis=0)
            print(f"{way:<12}{name:<14}" + "".join(f"{figure:>10.2f}" for figure in figures))
        if joins:
            pixels, colors = np.mean([drift.joins for drift in each], axis=0)
            over.append(f"{way:<12}over {len(joins)} joins: pixels {pixels:.2f}, colours {colors:.2f}")
    print("\n".join(over))


def alone(job: tuple[str, float, int | None, int, int, Path | None]) -> tuple[Frames, float, float]:
    """Frames, seconds, and GiB at the peak, in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(make, job)


def make(
    prompt: str, seconds: float, at_once: int | None, steps: int, seed: int, weights: Path | None
) -> tuple[Frames, float, float]:
    from lumora import Pipeline, Request

    pipeline = Pipeline.from_pretrained(weights)
    began = time.process_time()  # not the clock's: a machine may be busy
    request = Request(prompt, seconds, size=Resolution(SIDE, SIDE), fps=FPS, seed=seed, num_inference_steps=steps)
    (video,) = pipeline.generate_batch([request], window_frames=at_once)
    return video.frames, time.process_time() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def real_clip(index: int, seconds: float) -> tuple[Caption, Frames]:
    """A held-out prompt, and what it looks like."""
    scene, trajectory = make_scene("plain", HELD_OUT_SEED, index, VideoShape(round(FPS * seconds) + 1, SIDE, SIDE, FPS))
    words = caption_of(facts_of(scene, trajectory), HELD_OUT_SEED, index, "sentence")
    return words, render([scene], [trajectory], SIDE, SIDE).frames[0].numpy()


def joins_of(frames: int, weights: Path | None) -> list[int]:
    """The frames with which a piece begins that goes on from another, of a video made of words alone."""
    config = read_config(weights)
    latents = 1 + (frames - 1) // config.codec.temporal_compression
    pieces = plan_windows(np.ones(latents), [latents], default_window_frames(config))
    return [1 + config.codec.temporal_compression * (piece.frames.stop - 1) for piece in pieces[:-1]]


def drift_of(frames: Frames, caption: Caption, joins: list[int], probe: Probe) -> Drift:
    length = round(FPS * STRETCH)
    starts = [min(round(begin * len(frames)), max(0, len(frames) - length)) for begin in BEGINS]
    parts = [frames[start : start + length] for start in starts]
    colors = np.array([part.mean(axis=(0, 1, 2)) for part in parts])
    apart = np.abs(np.diff(frames.astype(float), axis=0)).mean(axis=(1, 2, 3))
    steps = np.abs(np.diff(frames.mean(axis=(1, 2)), axis=0)).mean(axis=-1)
    over = np.isin(np.arange(1, len(frames)), joins)
    return Drift(
        np.abs(colors - colors[0]).mean(axis=-1),
        np.array([sharpness(part.astype(float)) for part in parts]),
        np.array([found(part, caption, probe) for part in parts]),
        np.array([values[over].mean() / values[~over].mean() for values in (apart, steps) if joins]),
    )


def sharpness(frames: Float[np.ndarray, "t h w 3"]) -> float:
    return float(np.abs(np.diff(frames, axis=1)).mean() + np.abs(np.diff(frames, axis=2)).mean())


def found(frames: Frames, caption: Caption, probe: Probe) -> float:
    """In the first and in the last two seconds of a stretch: the probe was trained on clips as long."""
    two = round(FPS * 2) + 1
    readings = probe.read_all([torch.from_numpy(frames[:two]), torch.from_numpy(frames[-two:])])
    asked = [fact for fact in caption.facts if fact.category in LASTING]
    shown = [reading.shows(fact, caption.facts) for reading in readings for fact in asked]
    return float(np.mean([answer for answer in shown if answer is not None]))


if __name__ == "__main__":
    main()
