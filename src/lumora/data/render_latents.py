"""Renders clips of the world and stores their latents only, not their pixels.

This is for a GPU, which renders and encodes faster than a disk stores pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from lumora.config import CodecConfig
from lumora.data.captions import captions_from_facts
from lumora.data.latent_cache import Encoders, latent_path, write_latents
from lumora.data.shards import DatasetConfig, ShardPlan, claim_folder, plan_shards
from lumora.data.world_clips import render_clips
from lumora.parallel import run_jobs
from lumora.presets import Preset


@dataclass(frozen=True)
class _Job:
    config: DatasetConfig
    plan: ShardPlan
    folder: Path
    codec: CodecConfig
    weights: Path
    device: str


def render_latents(
    preset: Preset, weights: Path, folder: Path, workers: int, device: str = "cuda", deadline: float = math.inf
) -> None:
    """Makes the clips of `preset` as latents of the codec in the file `weights`; shards in `folder` are kept.

    No shard is begun after `deadline`, a value of time.monotonic(). Each of `workers` processes (0: this process) loads
    its own networks on the device.
    """
    config = DatasetConfig.of_preset(preset)
    claim_folder(folder, config)
    jobs = [
        _Job(config, plan, folder, preset.model.codec, weights, device)
        for plan in plan_shards(config, preset.num_clips)
        if not latent_path(folder, plan.number).exists()
    ]
    run_jobs(_make_shard, jobs, workers, lambda job: len(job.plan.clips), deadline)


def _make_shard(job: _Job) -> None:
    batch_size = 32 if job.device.startswith("cuda") else 8
    frames, subjects, records = render_clips(job.config, job.plan, job.device, batch_size)
    captions = [captions_from_facts(record, job.config.seed, job.config.languages) for record in records]
    encoders = Encoders.load(job.codec, job.weights, job.device)
    write_latents(latent_path(job.folder, job.plan.number), frames, records, captions, encoders, subjects)
