"""The on-disk format of a dataset of clips.

A dataset is a folder with a `dataset.json` (a `DatasetConfig`) and numbered shards. The files of shard 00000 are:

- `frames-00000.npy`: uint8 (N, T, H, W, 3), the pixels.
- `subjects-00000.npy`: uint8 (N, T, H, W), for clips of the world only; 1 + the index of the subject that a pixel
  shows, 0 for the background.
- `clips-00000.jsonl`: a `ClipRecord` per line. It is written last: a shard without it is incomplete.
- `captions-00000.jsonl`: a `ClipCaptions` (see captions.py) per line. Captions have a file of their own because they
  are cheap and are rewritten when the captioner changes.

All clips of a shard have the same shape, which the shard itself states: in each `ClipRecord`, and in the metadata of an
encoded shard (see latent_cache.py). Files are written completely or not at all, so an interrupted command can be
started again and continues.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from jaxtyping import UInt8

from lumora.atomic_io import atomic_write
from lumora.config import VideoShape, from_json, to_json
from lumora.presets import Preset

CONFIG_FILE, OLD_CONFIG_FILE = "dataset.json", "about.json"

Record = TypeVar("Record")


@dataclass(frozen=True)
class DatasetConfig:
    """What a dataset is made from. A folder holds clips of one `DatasetConfig` only."""

    source: str
    """A preset of the world, or the path of a folder of videos."""
    seed: int
    buckets: tuple[VideoShape, ...]
    """The shapes of its shards."""
    shard_size: int
    """Clips in a full shard."""
    languages: tuple[str, ...] = ()
    """ISO 639-1 codes of the languages of its captions besides English."""

    @classmethod
    def of_preset(cls, preset: Preset) -> DatasetConfig:
        """What the clips of a preset are made from."""
        return cls(preset.world, preset.seed, preset.buckets, preset.shard_size, preset.languages)


@dataclass(frozen=True)
class ShardPlan:
    """A shard that is to be made."""

    number: int
    clips: range
    """Indices of its clips in the dataset."""
    shape: VideoShape


@dataclass(frozen=True)
class ShotRecord:
    """One shot of a clip with several shots."""

    num_frames: int
    facts: tuple[dict, ...]


@dataclass(frozen=True)
class ClipRecord:
    """What is known about a clip besides its pixels and captions."""

    index: int
    """Its index in the dataset."""
    shape: VideoShape
    facts: tuple[dict, ...] = ()
    """Facts about a clip of a single shot."""
    shots: tuple[ShotRecord, ...] = ()
    """The shots, in order, of a clip with several."""


def plan_shards(config: DatasetConfig, num_clips: int) -> list[ShardPlan]:
    """The shards of clips 0 … num_clips − 1. Consecutive shards take turns at the buckets.

    Only the writer of a dataset uses this; readers take the shape from the shard.
    """
    starts = range(0, num_clips, config.shard_size)
    return [
        ShardPlan(
            number,
            range(start, min(start + config.shard_size, num_clips)),
            config.buckets[number % len(config.buckets)],
        )
        for number, start in enumerate(starts)
    ]


def claim_folder(folder: Path, config: DatasetConfig) -> None:
    """Makes `folder` the dataset of `config`, or checks that it is that already.

    Raises ValueError where the folder holds another dataset, or one in an older format.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / CONFIG_FILE
    if not file.exists():
        if (folder / OLD_CONFIG_FILE).exists():
            raise ValueError(_old_format(folder))
        with atomic_write(file) as part:
            part.write_text(to_json(config))
    if read_dataset_config(folder) != config:
        raise ValueError(f"{folder} holds other clips (see its {CONFIG_FILE}); choose another folder or remove it.")


def read_dataset_config(folder: Path) -> DatasetConfig:
    """The configuration of the dataset in `folder`. Raises ValueError where there is none."""
    file = folder / CONFIG_FILE
    if not file.is_file():
        old = (folder / OLD_CONFIG_FILE).exists()
        raise ValueError(_old_format(folder) if old else f"{folder} is not a dataset: it has no {CONFIG_FILE}.")
    return from_json(DatasetConfig, file.read_text())


def shard_numbers(folder: Path, kind: str) -> list[int]:
    """Sorted numbers of the shards of `folder` that have a file of this kind. Raises ValueError if none has."""
    numbers = sorted(int(path.stem.rsplit("-", 1)[1]) for path in folder.glob(f"{kind}-*.*"))
    if not numbers:
        raise ValueError(f"There are no clips in {folder}; make some first.")
    return numbers


def open_frames(folder: Path, number: int) -> UInt8[np.ndarray, "n t h w 3"]:
    """The pixels of a shard, memory-mapped."""
    return np.load(folder / f"frames-{number:05}.npy", mmap_mode="r")


def open_subjects(folder: Path, number: int) -> UInt8[np.ndarray, "n t h w"] | None:
    """1 + the index of the subject that each pixel shows, 0 for none, memory-mapped; None where it is unknown."""
    path = folder / f"subjects-{number:05}.npy"
    return np.load(path, mmap_mode="r") if path.exists() else None


def read_records(kind: type[Record], folder: Path, name: str, number: int) -> list[Record]:
    """The lines of `name`-`number`.jsonl as `kind`. Raises ValueError for a file of another format."""
    path = folder / f"{name}-{number:05}.jsonl"
    try:
        return [from_json(kind, line) for line in path.read_text().splitlines()]
    except ValueError as error:
        raise ValueError(f"{_old_format(folder)} ({path.name}: {error})") from error


def write_records(path: Path, records: Iterable[Any]) -> None:
    """Writes dataclasses as JSON lines."""
    with atomic_write(path) as part:
        part.write_text("".join(json.dumps(asdict(record)) + "\n" for record in records))


def is_complete(folder: Path, name: str, number: int, count: int) -> bool:
    """Whether `name`-`number`.jsonl has `count` lines. The last shard of a folder grows when more clips are made."""
    path = folder / f"{name}-{number:05}.jsonl"
    return path.exists() and path.read_text().count("\n") == count


def write_clips(
    folder: Path,
    number: int,
    frames: UInt8[np.ndarray, "n t h w 3"],
    records: list[ClipRecord],
    subjects: UInt8[np.ndarray, "n t h w"] | None = None,
) -> None:
    """Writes a shard. Raises ValueError where a record states another shape than the frames have."""
    shape = frames.shape[1:4]
    if any((r.shape.num_frames, r.shape.height, r.shape.width) != shape for r in records) or len(records) != len(
        frames
    ):
        raise ValueError(f"The records of shard {number} do not describe {len(frames)} clips of {shape}.")
    if subjects is not None:
        _write_array(folder / f"subjects-{number:05}.npy", subjects)
    _write_array(folder / f"frames-{number:05}.npy", frames)
    write_records(folder / f"clips-{number:05}.jsonl", records)


def _write_array(path: Path, array: np.ndarray) -> None:
    with atomic_write(path) as part, part.open("wb") as file:
        np.save(file, array)


def _old_format(folder: Path) -> str:
    return f"{folder} was written by another version of lumora; remove it and make the clips again."
