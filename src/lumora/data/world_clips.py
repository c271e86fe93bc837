"""Renders clips of the simulated world into a dataset."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from lumora.config import VideoShape
from lumora.data.shards import (
    ClipRecord,
    DatasetConfig,
    ShardPlan,
    ShotRecord,
    claim_folder,
    is_complete,
    plan_shards,
    write_clips,
)
from lumora.parallel import run_jobs
from lumora.world.clip import has_films, make_scene, make_shots
from lumora.world.facts import facts_of, facts_to_dicts
from lumora.world.render import render
from lumora.world.scene import Scene
from lumora.world.trajectory import Trajectory

SimulatedShot: TypeAlias = tuple[Scene, Trajectory]
RenderedShot: TypeAlias = tuple[Tensor, Tensor]
"""Pixels (t, h, w, 3) and, for each pixel, 1 + the index of the subject that it shows."""


@dataclass(frozen=True)
class _Job:
    config: DatasetConfig
    plan: ShardPlan
    folder: Path
    device: str
    batch_size: int


def render_dataset(
    config: DatasetConfig,
    num_clips: int,
    folder: Path,
    workers: int = 2,
    device: str = "cpu",
    batch_size: int = 8,
) -> None:
    """Renders clips 0 … num_clips − 1 of `config` to `folder`; shards that it holds already are kept.

    Each of `workers` processes (0: this process) renders `batch_size` clips at a time. A clip depends on its seed and
    index only, not on the number of processes. Raises ValueError where `folder` holds another dataset.
    """
    claim_folder(folder, config)
    plans = plan_shards(config, num_clips)
    missing = [plan for plan in plans if not is_complete(folder, "clips", plan.number, len(plan.clips))]
    jobs = [_Job(config, plan, folder, device, batch_size) for plan in missing]
    run_jobs(_render_shard, jobs, workers, lambda job: len(job.plan.clips))


def _render_shard(job: _Job) -> None:
    frames, subjects, records = render_clips(job.config, job.plan, job.device, job.batch_size)
    write_clips(job.folder, job.plan.number, frames, records, subjects)


def render_clips(
    config: DatasetConfig, plan: ShardPlan, device: str, batch_size: int
) -> tuple[UInt8[np.ndarray, "n t h w 3"], UInt8[np.ndarray, "n t h w"], list[ClipRecord]]:
    """The pixels of a shard, the subject that each pixel shows (see `open_subjects`), and the clips' records."""
    shape = plan.shape
    frames = np.empty((len(plan.clips), shape.num_frames, shape.height, shape.width, 3), np.uint8)
    subjects = np.empty(frames.shape[:-1], np.uint8)
    records = []
    for start in range(0, len(plan.clips), batch_size):
        indices = plan.clips[start : start + batch_size]
        clips = [_simulate(config, index, shape) for index in indices]
        for row, shots in enumerate(_render_shots(clips, shape, device), start):
            frames[row], subjects[row] = (torch.cat(arrays).cpu().numpy() for arrays in zip(*shots, strict=True))
        records += [_record(config, index, shape, shots) for index, shots in zip(indices, clips, strict=True)]
    return frames, subjects, records


def clip_record(config: DatasetConfig, index: int, shape: VideoShape) -> ClipRecord:
    """The record of a clip, without rendering it."""
    return _record(config, index, shape, _simulate(config, index, shape))


def _simulate(config: DatasetConfig, index: int, shape: VideoShape) -> list[SimulatedShot]:
    if has_films(config.source):
        return make_shots(config.source, config.seed, index, shape)
    return [make_scene(config.source, config.seed, index, shape)]


def _record(config: DatasetConfig, index: int, shape: VideoShape, shots: list[SimulatedShot]) -> ClipRecord:
    aspect = shape.width / shape.height
    facts = [tuple(facts_to_dicts(facts_of(scene, trajectory, aspect))) for scene, trajectory in shots]
    if not has_films(config.source):
        return ClipRecord(index, shape, facts[0])
    lengths = [len(trajectory.times) for _, trajectory in shots]
    return ClipRecord(index, shape, shots=tuple(map(ShotRecord, lengths, facts)))


def _render_shots(clips: list[list[SimulatedShot]], shape: VideoShape, device: str) -> list[list[RenderedShot]]:
    """Renders all shots of some clips; shots of equal length are rendered as one batch."""
    keys = [(clip, shot) for clip, shots in enumerate(clips) for shot in range(len(shots))]
    rendered: dict[tuple[int, int], RenderedShot] = {}

    def num_frames(key: tuple[int, int]) -> int:
        clip, shot = key
        return len(clips[clip][shot][1].times)

    for _, group in groupby(sorted(keys, key=num_frames), key=num_frames):
        batch = list(group)
        scenes, trajectories = zip(*(clips[clip][shot] for clip, shot in batch), strict=True)
        result = render(scenes, trajectories, shape.height, shape.width, device)
        rendered |= dict(zip(batch, zip(result.frames, result.subject + 1, strict=True), strict=True))
    return [[rendered[clip, shot] for shot in range(len(shots))] for clip, shots in enumerate(clips)]
