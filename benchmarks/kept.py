"""What a trip through a file does to latents, and what extensions gain from those that are kept.

    python benchmarks/kept.py [--clips 8] [--extensions 5] [--steps 12] [--weights FOLDER]

The trip: mean squared error of a latent's numbers in percent of their variance, after decoding to 8-bit pictures,
marking and H.264, each with what came before, and encoding. Then extensions of extensions, 1 s each, of the same seeds,
every time through a file: the latents encoded anew against those kept. A seam is the mean difference over the join in
units of the mean difference of the given clip's neighbours; a drift is how far mean colour (in grey levels) and
sharpness (a ratio) of the last half second, to which given frames lend nothing, are from those of the first clip's
first second before it went through a file. Means over clips with 95 % intervals, and paired differences.
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
from lumora.evaluate.metrics.task_quality import FRAMES, real_clip, seam
from lumora.media.latents import VideoLatents
from lumora.provenance import watermark

KEY = bytes(range(32))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=8)
    parser.add_argument("--extensions", type=int, default=5)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--weights", type=Path)
    options = parser.parse_args()
    pipeline = Pipeline.from_pretrained(options.weights)
    prompts = [real_clip(index, pipeline.config.shape).shown.prompt(FRAMES) for index in range(options.clips)]
    clips = [
        pipeline.generate(Request(prompt, seed=seed, num_inference_steps=options.steps))
        for seed, prompt in enumerate(prompts)
    ]
    trips = [trip(pipeline, clip) for clip in clips]
    for name in trips[0]:
        print(f"{name:<36}{mean(np.array([errors[name] for errors in trips])):>18}", flush=True)
    ways: dict[str, list[list[Join]]] = {"anew": [], "kept": []}
    for seed, (prompt, clip) in enumerate(zip(prompts, clips, strict=True)):
        for way, chains in ways.items():
            request = Request(prompt, seed=seed, num_inference_steps=options.steps)
            chains.append(chain(pipeline, request, clip, options.extensions, way == "kept"))
    print(f"{'':<36}" + "".join(f"{way:>18}" for way in (*ways, "kept − anew")))
    for number in range(options.extensions):
        joins = {way: [chain[number : number + 1] for chain in chains] for way, chains in ways.items()}
        report(f"extension {number + 1}", joins)
    report("all", ways)


def trip(pipeline: Pipeline, clip: Video) -> dict[str, float]:
    marked = watermark.embed(clip, 1, KEY)
    shown = {"decoded": clip, "… marked": marked, "… as H.264": through_file(clip), "… five times over": clip}
    for _ in range(5):
        shown["… five times over"] = through_file(shown["… five times over"])
    return {name: off(pipeline, video, latents_of(clip)) for name, video in shown.items()}


def through_file(clip: Video) -> Video:
    with tempfile.TemporaryDirectory() as folder:
        read = Video.load(watermark.embed(clip, 1, KEY).save(Path(folder) / "clip.mp4"))
    return replace(read, latents=clip.latents)


def latents_of(clip: Video) -> VideoLatents:
    assert clip.latents is not None
    return clip.latents


def off(pipeline: Pipeline, clip: Video, latents: VideoLatents) -> float:
    """Mean squared error of the clip's latents, encoded anew, over the variance of `latents`, in percent."""
    pixels = rearrange(torch.from_numpy(clip.frames), "t h w c -> 1 c t h w").to(pipeline.text_encoder.device)
    with torch.inference_mode():
        anew = pipeline.codec.encode(pixels / 127.5 - 1)[0].float().cpu().numpy().swapaxes(0, 1)
    true = latents.data.astype(np.float32)
    return float(100 * np.square(anew - true).mean() / true.var())


@dataclass(frozen=True)
class Join:
    seam: float
    colour: float
    sharpness: float


def chain(pipeline: Pipeline, request: Request, clip: Video, extensions: int, keep: bool) -> list[Join]:
    joins, first = [], clip.frames[:8]
    for number in range(extensions):
        read = through_file(clip)
        given = read if keep else read.without_latents()
        asked = replace(
            request, seconds=given.seconds + 1, seed=request.seed + 1000 * number, given=(Condition(given),)
        )
        clip = pipeline.generate(asked)
        kept, last = np.arange(len(clip.frames)) < len(given.frames), clip.frames[-4:]
        colour = np.abs(first.mean((0, 1, 2)) - last.mean((0, 1, 2))).mean()
        joins.append(Join(seam(clip.frames, kept, loop=False), float(colour), sharpness(last) / sharpness(first)))
    return joins


def sharpness(frames: UInt8[np.ndarray, "t h w 3"]) -> float:
    return float(np.abs(np.diff(frames.astype(float), axis=2)).mean())


def report(name: str, ways: dict[str, list[list[Join]]]) -> None:
    for field in ("seam", "colour", "sharpness"):
        values = [
            np.array([np.mean([getattr(j, field) for j in chain]) for chain in chains]) for chains in ways.values()
        ]
        columns = *values, values[1] - values[0]
        print(f"{name + ', ' + field:<36}" + "".join(f"{mean(column):>18}" for column in columns), flush=True)


if __name__ == "__main__":
    main()
