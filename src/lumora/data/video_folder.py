"""Imports a folder of your own videos as a dataset: the same shards as clips of the world."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from jaxtyping import Int, UInt8

from lumora.config import VideoShape
from lumora.data.captions import captions_from_text
from lumora.data.shards import ClipRecord, DatasetConfig, claim_folder, write_clips, write_records
from lumora.media.reader import FrameReader
from lumora.media.video import Video


def import_videos(folder: Path, shape: VideoShape, out: Path, shard_size: int = 250) -> int:
    """Cuts the videos of a folder into clips of one shape and writes them to `out`; returns the number of clips.

    `folder` has a metadata.jsonl with a line {"file_name": …, "text": …} for each video. Videos are read frame by
    frame, so at most one shard of clips is in memory, however long a video is. Raises ValueError where the metadata is
    missing or wrong, or a video can't be read.
    """
    entries = _read_metadata(folder)
    claim_folder(out, DatasetConfig(str(folder.resolve()), 0, (shape,), shard_size))
    clips = ((clip, text) for path, text in entries for clip in _cut_video(path, shape))
    number = total = 0
    while shard := list(islice(clips, shard_size)):
        frames, texts = zip(*shard, strict=True)
        records = [ClipRecord(total + i, shape) for i in range(len(shard))]
        write_records(out / f"captions-{number:05}.jsonl", [captions_from_text(text) for text in texts])
        write_clips(out, number, np.stack(frames), records)
        number, total = number + 1, total + len(shard)
    return total


def _read_metadata(folder: Path) -> list[tuple[Path, str]]:
    """Paths and texts. All are checked before any video is read, because reading takes long."""
    file = folder / "metadata.jsonl"
    if not file.is_file():
        raise ValueError(f"{folder} needs a metadata.jsonl with lines of file_name and text.")
    entries = []
    for number, row in enumerate(file.read_text("utf-8-sig").splitlines(), 1):
        try:
            entry = json.loads(row)
            path, text = folder / entry["file_name"], str(entry["text"])
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"Line {number} of {file} needs file_name and text.") from error
        if not path.is_file():
            raise ValueError(f"Line {number} of {file} names a video that does not exist: there is no file {path}.")
        entries.append((path, text))
    return entries


def _cut_video(path: Path, shape: VideoShape) -> Iterator[UInt8[np.ndarray, "t h w 3"]]:
    """Consecutive clips of a video, resampled to the frame rate of `shape`, scaled and center-cropped to its size.

    The file is decoded twice: the first pass finds which frames to use, because the frame rate of a video is known only
    at its end.
    """
    with FrameReader(path) as reader:
        for _ in reader:
            pass
        schedule, fps = reader.schedule()
    num_frames = int(len(schedule) / fps * shape.fps + 0.5)
    nearest = (np.arange(num_frames) * (fps / shape.fps) + 0.5).astype(int)
    indices = schedule[np.minimum(nearest, len(schedule) - 1)]
    with FrameReader(path) as reader:
        frames = select_frames(reader, indices)
        for _ in range(num_frames // shape.num_frames):
            clip = np.empty((shape.num_frames, shape.height, shape.width, 3), np.uint8)
            for i, frame in enumerate(islice(frames, shape.num_frames)):
                clip[i] = Video(frame[None], fps).resize(shape.height, shape.width).frames[0]
            yield clip


def select_frames(frames: Iterable[np.ndarray], indices: Sequence[int] | Int[np.ndarray, " n"]) -> Iterator[np.ndarray]:
    """The frames at ascending `indices`, some possibly repeated; holds one frame at a time."""
    numbered = enumerate(frames)
    number, frame = next(numbered)
    for index in indices:
        while number < index:
            number, frame = next(numbered)
        yield frame
