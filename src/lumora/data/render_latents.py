"""Latents straight from the world, without keeping pixels: for a GPU, which is faster than disks are."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from lumora.config import CodecConfig
from lumora.data.captions import captions_from_facts
from lumora.data.latent_cache import Encoders, latent_path, write_latents
from lumora.data.shards import WorldSource, claim, render_clips
from lumora.parallel import run_jobs
from lumora.presets import Preset


@dataclass(frozen=True)
class _Job:
    source: WorldSource
    number: int
    clips: range
    out: Path
    codec: CodecConfig
    weights: Path
    device: str


def render_latents(
    preset: Preset, weights: Path, out: Path, workers: int, device: str = "cuda", ends: float = math.inf
) -> None:
    """Makes the preset's clips, as latents of the codec in the file `weights`, until `ends` (of time.monotonic()).

    Each process has its own networks on the device. What `out` already holds is kept.
    """
    source = WorldSource(preset.world, preset.seed, preset.buckets, preset.shard_size)
    claim(out, source)
    jobs = []
    for number, first in enumerate(range(0, preset.num_clips, preset.shard_size)):
        clips = range(first, min(first + preset.shard_size, preset.num_clips))
        if not latent_path(out, number).exists():
            jobs.append(_Job(source, number, clips, out, preset.model.codec, weights, device))
    run_jobs(_fill_shard, jobs, workers, lambda job: len(job.clips), ends)


def _fill_shard(job: _Job) -> None:
    shape = job.source.buckets[job.number % len(job.source.buckets)]
    batch = 32 if job.device.startswith("cuda") else 8
    frames, subjects, records = render_clips(job.source, job.clips, shape, job.device, batch)
    wordings = [captions_from_facts(record, job.source.seed) for record in records]
    encoders = Encoders.load(job.codec, job.weights, job.device)
    write_latents(latent_path(job.out, job.number), frames, records, wordings, encoders, subjects)
