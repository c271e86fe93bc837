"""A user's own videos, cut into the same shards as clips of the world."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np

from lumora.config import VideoShape
from lumora.data.captions import captions_from_text
from lumora.data.shards import ClipRecord, DatasetConfig, claim_folder, write_clips, write_records
from lumora.media.video import Video


def import_videos(folder: Path, shape: VideoShape, out: Path, shard: int = 250) -> int:
    """Cuts the videos of a `videofolder` (metadata.jsonl: file_name, text) into clips of one shape; returns how many.

    Raises ValueError, in a sentence, where the folder isn't one or a video can't be read.
    """
    entries = _entries(folder)
    claim_folder(out, DatasetConfig(str(folder.resolve()), 0, (shape,), shard))
    pieces = _pieces(entries, shape)
    number = total = 0
    while piece := list(islice(pieces, shard)):
        frames, texts = zip(*piece, strict=True)
        records = [ClipRecord(total + i, shape) for i in range(len(piece))]
        write_records(out / f"captions-{number:05}.jsonl", [captions_from_text(text) for text in texts])
        write_clips(out, number, np.stack(frames), records)
        number, total = number + 1, total + len(piece)
    return total


def _entries(folder: Path) -> list[tuple[Path, str]]:
    """The files of a `videofolder` and their texts; all are looked for before any is read, which takes long."""
    file = folder / "metadata.jsonl"
    if not file.is_file():
        raise ValueError(f"{folder} needs a metadata.jsonl with lines of file_name and text.")
    entries = []
    for number, row in enumerate(file.read_text().splitlines(), 1):
        try:
            entry = json.loads(row)
            path, text = folder / entry["file_name"], str(entry["text"])
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"Line {number} of {file} needs file_name and text.") from error
        if not path.is_file():
            raise ValueError(f"Line {number} of {file} names a video that isn't there: there is no file {path}.")
        entries.append((path, text))
    return entries


def _pieces(entries: Sequence[tuple[Path, str]], shape: VideoShape) -> Iterator[tuple[np.ndarray, str]]:
    """Consecutive clips of each video, resampled to the shape's rate and size, with its text."""
    for path, text in entries:
        video = Video.load(path, size=(shape.height, shape.width))
        times = np.arange(int(len(video.frames) / video.fps * shape.fps + 0.5)) / shape.fps
        frames = video.frames[np.minimum((times * video.fps + 0.5).astype(int), len(video.frames) - 1)]
        for first in range(0, len(frames) - shape.num_frames + 1, shape.num_frames):
            yield frames[first : first + shape.num_frames], text
