"""Clips of the world as footage, and the score of videos of its captions, for several benchmarks."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8

from lumora.config import VideoShape
from lumora.data.footage.ingest import IngestConfig, ingest, processes
from lumora.data.footage.screening import Screening
from lumora.evaluate.instruments.probe import Probe
from lumora.media.video import Video
from lumora.world.caption import Caption
from lumora.world.clip import Clip, make_clip


def ingest_clips(
    source: Path,
    out: Path,
    count: int,
    seed: int,
    shape: VideoShape,
    describe: Callable[[Clip, int], str],
    draw: Callable[[np.ndarray], np.ndarray] = lambda frames: frames,
) -> None:
    """Writes clips of `plain` with captions into the folder `source`, and ingests them into `out`, not reviewed.

    `describe` writes the caption of a clip with its number, and `draw` changes its frames.
    """
    source.mkdir(parents=True, exist_ok=True)
    lines = []
    for index in range(count):
        clip = make_clip("plain", seed, index, shape)
        name = f"{index:04}.{'png' if shape.num_frames == 1 else 'mp4'}"
        Video(draw(np.asarray(clip.frames)), shape.fps).save(source / name)
        lines.append(json.dumps({"file_name": name, "text": describe(clip, index)}))
    (source / "metadata.jsonl").write_text("\n".join(lines))
    limits = Screening(max_shake=1.0, max_text=1.0)
    summary = ingest(source, out, IngestConfig(str(source), limits, reviewed=False), processes(0), None)
    print(f"{len(summary.kept)} clips of {count} are kept: {dict(summary.reasons)}", flush=True)


def count_facts(
    probe: Probe, videos: Sequence[UInt8[np.ndarray, "t h w 3"]], captions: Sequence[Caption]
) -> list[tuple[int, int]]:
    """For each video: facts of its caption that the probe finds, and those that it can judge."""
    readings = probe.read_clips([torch.from_numpy(frames) for frames in videos])
    shown = [[r.shows(f, c.facts) for f in c.facts] for r, c in zip(readings, captions, strict=True)]
    return [(sum(map(bool, facts)), sum(fact is not None for fact in facts)) for facts in shown]


def describe_difference(counts: Sequence[Sequence[tuple[int, int]]]) -> str:
    """The second row's share of found facts less the first's, with a bootstrap interval over prompts."""
    generator, table = np.random.default_rng(0), np.array(counts)
    size = table.shape[1]
    draws = [table[:, generator.integers(size, size=size)].sum(axis=1) for _ in range(2_000)]
    differences = [draw[1, 0] / draw[1, 1] - draw[0, 0] / draw[0, 1] for draw in draws]
    low, high = np.percentile(differences, [2.5, 97.5])
    return f"difference {np.mean(differences):+.1%}, 95 % interval {low:+.1%} to {high:+.1%}"


def strip(videos: Sequence[UInt8[np.ndarray, "t h w 3"]]) -> Video:
    """Beginning, middle and end of the first eight videos, one below the other, as a picture."""
    rows = [np.concatenate([video[0], video[len(video) // 2], video[-1]], axis=1) for video in videos[:8]]
    return Video(np.concatenate(rows)[None], 1.0)
