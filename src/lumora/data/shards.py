"""Clips on the disk, in shards written whole or not at all; several processes make them, and a new start goes on.

A folder of shards holds, for shard 00000: `frames-00000.npy`, uint8 (N, T, H, W, 3); for clips of the world also
`subjects-00000.npy`, uint8 (N, T, H, W), which subject each pixel shows; `clips-00000.jsonl`, a `Record` a line; and
`captions-00000.jsonl`, a `Wording` (see wording.py) a line. Captions are apart because they cost nothing next to
pictures and are rewritten when the captioner learns new words. `about.json` says what the folder is, so that nothing
else gets into it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from lumora.atomic_io import atomic_write
from lumora.config import VideoShape, from_json, to_json
from lumora.parallel import run_jobs
from lumora.world.clip import has_films, make_scene, make_shots
from lumora.world.facts import facts_of, facts_to_dicts
from lumora.world.render import render
from lumora.world.scene import Scene
from lumora.world.trajectory import Trajectory


@dataclass(frozen=True)
class WorldSource:
    """What a folder of shards holds."""

    world: str
    """Preset of the world, or the name of a folder of videos."""
    seed: int
    buckets: tuple[VideoShape, ...]
    """Shard n has shape n, modulo their number."""
    shard_size: int
    """Clips in a full shard."""


@dataclass(frozen=True)
class ShotRecord:
    """One of several shots of a clip, which follow on each other."""

    frames: int
    facts: tuple[dict, ...]


@dataclass(frozen=True)
class ClipRecord:
    """One clip beside its pixels."""

    index: int
    """Its number in the seed, or in the folder."""
    fps: float
    facts: tuple[dict, ...] = ()
    """Of a clip without cuts."""
    shots: tuple[ShotRecord, ...] = ()
    """Of a film."""


@dataclass(frozen=True)
class _Job:
    source: WorldSource
    number: int
    clips: range
    out: Path
    device: str
    batch: int


def render_dataset(
    world: str,
    seed: int,
    count: int,
    shapes: tuple[VideoShape, ...],
    out: Path,
    workers: int = 2,
    shard: int = 250,
    device: str = "cpu",
    batch: int = 8,
) -> None:
    """Renders clips 0 … count − 1 of a seed to `out`; `batch` clips are drawn at a time in each of the processes.

    Clip n of a seed is the same whatever the number of processes. Raises ValueError where `out` holds something else.
    """
    source = WorldSource(world, seed, shapes, shard)
    claim(out, source)
    ranges = [range(first, min(first + shard, count)) for first in range(0, count, shard)]
    jobs = [_Job(source, number, clips, out, device, batch) for number, clips in enumerate(ranges)]
    missing = [job for job in jobs if not is_whole(out, "clips", job.number, len(job.clips))]
    run_jobs(_render_shard, missing, workers, lambda job: len(job.clips))


def claim(out: Path, about: Any) -> None:
    """Makes `out` the folder of what `about` says; raises ValueError where it is another's already."""
    out.mkdir(parents=True, exist_ok=True)
    file = out / "about.json"
    if not file.exists():
        with atomic_write(file) as part:
            part.write_text(to_json(about))
    if from_json(type(about), file.read_text()) != about:
        raise ValueError(f"{out} holds other clips (see its about.json); choose another folder or remove it.")


def shard_numbers(folder: Path, kind: str) -> list[int]:
    """The shards of `folder` that have a file of this kind. Raises ValueError where there is none."""
    numbers = sorted(int(path.stem.rsplit("-", 1)[1]) for path in folder.glob(f"{kind}-*.*"))
    if not numbers:
        raise ValueError(f"There are no clips in {folder}; make some first.")
    return numbers


def open_frames(folder: Path, number: int) -> UInt8[np.ndarray, "n t h w 3"]:
    """A shard's pixels, read from the disk only where they are looked at."""
    return np.load(folder / f"frames-{number:05}.npy", mmap_mode="r")


def open_subjects(folder: Path, number: int) -> UInt8[np.ndarray, "n t h w"] | None:
    """1 + the number of the subject that a pixel shows, 0 for none of them; None where nobody knows."""
    path = folder / f"subjects-{number:05}.npy"
    return np.load(path, mmap_mode="r") if path.exists() else None


def read_lines(kind: type, folder: Path, name: str, number: int) -> list[Any]:
    return [from_json(kind, line) for line in (folder / f"{name}-{number:05}.jsonl").read_text().splitlines()]


def write_lines(path: Path, items: Iterable[Any]) -> None:
    with atomic_write(path) as part:
        part.write_text("".join(json.dumps(asdict(item)) + "\n" for item in items))


def is_whole(folder: Path, name: str, number: int, count: int) -> bool:
    """Whether the shard has all of its clips; the last one of a folder grows when more clips are asked for."""
    path = folder / f"{name}-{number:05}.jsonl"
    return path.exists() and path.read_text().count("\n") == count


def render_clips(
    source: WorldSource, clips: range, shape: VideoShape, device: str, batch: int
) -> tuple[UInt8[np.ndarray, "n t h w 3"], UInt8[np.ndarray, "n t h w"], list[ClipRecord]]:
    """Pixels of these clips of the world, which subject each shows (see `open_subjects`), and records."""
    frames = np.empty((len(clips), shape.num_frames, shape.height, shape.width, 3), np.uint8)
    subjects = np.empty(frames.shape[:-1], np.uint8)
    records = []
    films, aspect = has_films(source.world), shape.width / shape.height
    for first in range(0, len(clips), batch):
        part = clips[first : first + batch]
        if films:
            made = [make_shots(source.world, source.seed, n, shape) for n in part]
        else:
            made = [[make_scene(source.world, source.seed, n, shape)] for n in part]
        for place, (n, shots, drawn) in enumerate(zip(part, made, _drawn(made, shape, device), strict=True), first):
            frames[place], subjects[place] = (torch.cat(pixels).cpu().numpy() for pixels in zip(*drawn, strict=True))
            facts = [tuple(facts_to_dicts(facts_of(scene, trajectory, aspect))) for scene, trajectory in shots]
            if films:
                told = zip((len(trajectory.times) for _, trajectory in shots), facts, strict=True)
                records.append(ClipRecord(n, shape.fps, shots=tuple(ShotRecord(*shot) for shot in told)))
            else:
                records.append(ClipRecord(n, shape.fps, facts[0]))
    return frames, subjects, records


def _drawn(
    films: list[list[tuple[Scene, Trajectory]]], shape: VideoShape, device: str
) -> list[list[tuple[Tensor, Tensor]]]:
    """(pixels, 1 + the subject at each) of every shot of some films; shots of equal length are drawn together."""
    places = [(film, shot) for film, shots in enumerate(films) for shot in range(len(shots))]
    found: dict[tuple[int, int], tuple[Tensor, Tensor]] = {}

    def frames(place: tuple[int, int]) -> int:
        film, shot = place
        return len(films[film][shot][1].times)

    for _, alike in groupby(sorted(places, key=frames), key=frames):
        group = list(alike)
        scenes, trajectories = zip(*(films[film][shot] for film, shot in group), strict=True)
        drawn = render(scenes, trajectories, shape.height, shape.width, device)
        found |= dict(zip(group, zip(drawn.frames, drawn.subject + 1, strict=True), strict=True))
    return [[found[film, shot] for shot in range(len(shots))] for film, shots in enumerate(films)]


def _render_shard(job: _Job) -> None:
    shape = job.source.buckets[job.number % len(job.source.buckets)]
    frames, subjects, records = render_clips(job.source, job.clips, shape, job.device, job.batch)
    _write_array(job.out / f"subjects-{job.number:05}.npy", subjects)
    write_clips(job.out, job.number, frames, records)


def write_clips(out: Path, number: int, frames: np.ndarray, records: list[ClipRecord]) -> None:
    _write_array(out / f"frames-{number:05}.npy", frames)
    write_lines(out / f"clips-{number:05}.jsonl", records)  # last: it says that the shard is there


def _write_array(path: Path, array: np.ndarray) -> None:
    with atomic_write(path) as part, part.open("wb") as file:
        np.save(file, array)
