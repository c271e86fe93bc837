"""Long videos at once and piece by piece: time, peak memory, and how colours and sharpness drift.

    python benchmarks/long.py [--seconds 2 5 10 20] [--videos 2] [--weights FOLDER] [--steps 30]

Of each way and duration: processor seconds, and the most memory of a process that makes nothing else. Of the
longest: mean colour and sharpness (mean difference of neighbouring pixels) of its first, middle and last two seconds,
as they differ from the first of real clips of the same prompts, which are rendered as long.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import time
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from lumora.config import VideoShape
from lumora.evaluate.suites import HELD_OUT_SEED, caption_of
from lumora.world.clip import make_scene
from lumora.world.facts import facts_of
from lumora.world.render import render

AT_ONCE = {"at once": 10_000, "in pieces": None}
"""Latent frames that are made together."""
STRETCH = 2.0
"""Seconds over which colours and sharpness are averaged."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, nargs="+", default=[2.0, 5.0, 10.0, 20.0])
    parser.add_argument("--videos", type=int, default=2)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--steps", type=int, default=30)
    options = parser.parse_args()
    longest = max(options.seconds)
    prompts, real = zip(*(real_clip(index, longest) for index in range(options.videos)), strict=True)
    stretches = {"real": [stretch_figures(frames) for frames in real]}
    print(f"{'':<12}{'video':>8}{'time':>9}{'frames/s':>10}{'memory':>12}")
    for way, at_once in AT_ONCE.items():
        for seconds in options.seconds:
            count = options.videos if seconds == longest else 1
            jobs = [(prompts[n], seconds, at_once, options.steps, n, options.weights) for n in range(count)]
            made = [alone(job) for job in jobs]
            took, memory = np.mean([[processor, peak] for _, processor, peak in made], axis=0)
            rate = len(made[0][0]) / took
            print(f"{way:<12}{seconds:>6.0f} s{took:>7.1f} s{rate:>10.1f}{memory:>8.2f} GiB", flush=True)
            if seconds == longest:
                stretches[way] = [stretch_figures(frames) for frames, _, _ in made]
    print(f"\nOf {longest:.0f} s, {options.videos} videos{'':<4}{'first':>14}{'middle':>14}{'last':>14}")
    for way, figures in stretches.items():
        colors, sharpness = (np.mean([np.abs(f[i] - r[i][:1]).mean(axis=-1) for f, r in zip(
            figures, stretches["real"], strict=True)], axis=0) for i in (0, 1))  # fmt: skip
        print(f"{way:<12} colours off by  " + "".join(f"{c:>14.1f}" for c in colors))
        print(f"{way:<12} sharpness off by" + "".join(f"{s:>14.1f}" for s in sharpness))


def alone(job: tuple[str, float, int | None, int, int, Path | None]) -> tuple[np.ndarray, float, float]:
    """Frames, seconds, and GiB at the peak, in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(make, job)


def make(
    prompt: str, seconds: float, at_once: int | None, steps: int, seed: int, weights: Path | None
) -> tuple[UInt8[np.ndarray, "t h w 3"], float, float]:
    from lumora import Pipeline, Request

    pipeline = Pipeline.load(weights)
    began = time.process_time()  # not the clock's: a machine may be busy
    (video,) = pipeline.generate_all([Request(prompt, seconds, seed=seed, steps=steps)], at_once=at_once)
    return video.frames, time.process_time() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def real_clip(index: int, seconds: float) -> tuple[str, UInt8[np.ndarray, "t h w 3"]]:
    """A held-out prompt, and what it looks like."""
    scene, trajectory = make_scene("simple", HELD_OUT_SEED, index, VideoShape(round(8 * seconds) + 1, 64, 64, 8.0))
    words = caption_of(facts_of(scene, trajectory), HELD_OUT_SEED, index, "sentence").text
    return words, render([scene], [trajectory], 64, 64).frames[0].numpy()


def stretch_figures(frames: UInt8[np.ndarray, "t h w 3"]) -> tuple[np.ndarray, np.ndarray]:
    """Mean colour (3, 3) and sharpness (3, 1) of the first, middle and last stretch, in 8-bit levels."""
    length = round(8 * STRETCH)
    middle = (len(frames) - length) // 2
    parts = [frames[start : start + length].astype(float) for start in (0, middle, len(frames) - length)]
    colors = np.array([part.mean(axis=(0, 1, 2)) for part in parts])
    edges = [[np.abs(np.diff(part, axis=1)).mean() + np.abs(np.diff(part, axis=2)).mean()] for part in parts]
    return colors, np.array(edges)


if __name__ == "__main__":
    main()
