"""How a trip through a file changes latents, and what extensions gain from latents that are kept.

    python benchmarks/kept.py [--num-clips 8] [--extensions 5] [--steps 12] [--model FOLDER]

The trip: mean squared error of latents in percent of their variance after decoding to 8-bit frames, watermarking and
H.264, each on top of the one before, and encoding. Then extensions of extensions by 1 s with the same seeds, each
through a file: latents encoded again against latents kept. The seam is the mean difference at the join over that
between the given clip's neighboring frames; the drift is the change of mean color (in gray levels) and of sharpness (a
ratio) from the first second of the original clip to the last half second. Means over clips with 95 % intervals, and
paired differences.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from jaxtyping import UInt8
from tasks import mean

from lumora import Condition, Pipeline, Request, Video
from lumora.evaluate.metrics.task_quality import FRAMES, seam, task_clip
from lumora.media.latents import VideoLatents
from lumora.provenance import watermark

KEY = bytes(range(32))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--num-clips", type=int, default=8)
    parser.add_argument("--extensions", type=int, default=5)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--model", type=Path)
    options = parser.parse_args()
    pipeline = Pipeline.from_pretrained(options.model)
    prompts = [task_clip(index, pipeline.config.shape).original.prompt(FRAMES) for index in range(options.num_clips)]
    clips = [
        pipeline.generate(Request(prompt, seed=seed, num_inference_steps=options.steps))
        for seed, prompt in enumerate(prompts)
    ]
    trips = [trip(pipeline, clip) for clip in clips]
    for name in trips[0]:
        print(f"{name:<36}{mean(np.array([errors[name] for errors in trips])):>18}", flush=True)
    chains: dict[str, list[list[Join]]] = {"encoded": [], "kept": []}
    for seed, (prompt, clip) in enumerate(zip(prompts, clips, strict=True)):
        for method, joins in chains.items():
            request = Request(prompt, seed=seed, num_inference_steps=options.steps)
            joins.append(extend(pipeline, request, clip, options.extensions, method == "kept"))
    print(f"{'':<36}" + "".join(f"{method:>18}" for method in (*chains, "kept − encoded")))
    for number in range(options.extensions):
        report(
            f"extension {number + 1}",
            {method: [joins[number : number + 1] for joins in some] for method, some in chains.items()},
        )
    report("all", chains)


def trip(pipeline: Pipeline, clip: Video) -> dict[str, float]:
    marked = watermark.embed(clip, 1, KEY)
    shown = {"decoded": clip, "… watermarked": marked, "… as H.264": through_file(clip), "… five times over": clip}
    for _ in range(5):
        shown["… five times over"] = through_file(shown["… five times over"])
    return {name: latent_error(pipeline, video, latents_of(clip)) for name, video in shown.items()}


def through_file(clip: Video) -> Video:
    with tempfile.TemporaryDirectory() as folder:
        read = Video.load(watermark.embed(clip, 1, KEY).save(Path(folder) / "clip.mp4"))
    return replace(read, latents=clip.latents)


def latents_of(clip: Video) -> VideoLatents:
    assert clip.latents is not None
    return clip.latents


def latent_error(pipeline: Pipeline, clip: Video, latents: VideoLatents) -> float:
    """Mean squared error of the encoded clip over the variance of `latents`, in percent."""
    pixels = rearrange(torch.from_numpy(clip.frames), "t h w c -> 1 c t h w").to(pipeline.device)
    with torch.inference_mode():
        encoded = pipeline.codec.encode(pixels / 127.5 - 1)[0].float().cpu().numpy().swapaxes(0, 1)
    true = latents.data.astype(np.float32)
    return float(100 * np.square(encoded - true).mean() / true.var())


@dataclass(frozen=True)
class Join:
    seam: float
    color: float
    sharpness: float


def extend(pipeline: Pipeline, request: Request, clip: Video, extensions: int, keep: bool) -> list[Join]:
    """Extends the clip again and again, each time through a file."""
    joins, first = [], clip.frames[:8]
    for number in range(extensions):
        read = through_file(clip)
        given = read if keep else read.without_latents()
        extension = replace(
            request, seconds=given.seconds + 1, seed=request.seed + 1000 * number, conditions=(Condition(given),)
        )
        clip = pipeline.generate(extension)
        kept, last = np.arange(len(clip.frames)) < len(given.frames), clip.frames[-4:]
        color = np.abs(first.mean((0, 1, 2)) - last.mean((0, 1, 2))).mean()
        joins.append(Join(seam(clip.frames, kept, loop=False), float(color), sharpness(last) / sharpness(first)))
    return joins


def sharpness(frames: UInt8[np.ndarray, "t h w 3"]) -> float:
    return float(np.abs(np.diff(frames.astype(float), axis=2)).mean())


def report(name: str, chains: dict[str, list[list[Join]]]) -> None:
    for field in ("seam", "color", "sharpness"):
        values = [
            np.array([np.mean([getattr(join, field) for join in joins]) for joins in some]) for some in chains.values()
        ]
        columns = *values, values[1] - values[0]
        print(f"{name + ', ' + field:<36}" + "".join(f"{mean(column):>18}" for column in columns), flush=True)


if __name__ == "__main__":
    main()
