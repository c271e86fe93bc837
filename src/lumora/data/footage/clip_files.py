"""One file of footage: read it once, find its clips, and write those that are kept."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image

from lumora.atomic_io import atomic_write
from lumora.config import from_json, to_json
from lumora.data.footage.frame_signals import DETECTOR_SIDE, FrameSignals, Review
from lumora.data.footage.records import FootageClip, ScannedFile, SourceFile
from lumora.data.footage.screening import FrameSchedule, Screening, screen
from lumora.data.video_folder import select_frames
from lumora.media.encode import encode_h264
from lumora.media.reader import FrameReader
from lumora.media.sniff import sniff_file

ENCODER_PRESET = "veryfast"
"""x264's, of clips that are cut from a file; at the same quality, files are somewhat larger than with `medium`."""
SUFFIXES = {"jpeg": "jpg", "matroska": "mkv", "mpegts": "ts", "mpegvideo": "mpg", "asf": "wmv", "ogg": "ogv"}
"""Of files that are kept as they are, where the suffix is not the name of the format."""


@dataclass(frozen=True)
class ScanJob:
    """A file to scan. The same job gives the same files."""

    folder: Path
    source: SourceFile
    work: Path
    """Folder for its clips and, last, its record."""
    limits: Screening
    review: Review | None


def scan_file(job: ScanJob) -> ScannedFile:
    """Scans a file and writes its clips and its record; a file that can't be read has a record that says why."""
    try:
        scanned = _scan(job)
    except ValueError as error:
        scanned = ScannedFile(job.source, reason="unreadable", detail=str(error))
    write_record(job.work, scanned)
    return scanned


def record_path(work: Path, source: SourceFile) -> Path:
    """Named by a hash, because names of sources may be too long, or hold characters that a file system does not."""
    return work / f"{_identifier(source)}.json"


def write_record(work: Path, scanned: ScannedFile) -> None:
    with atomic_write(record_path(work, scanned.source)) as part:
        part.write_text(to_json(scanned))


def read_record(work: Path, source: SourceFile) -> ScannedFile | None:
    """The record of a file that was scanned and has not been changed since; None otherwise."""
    path = record_path(work, source)
    if not path.exists():
        return None
    scanned = from_json(ScannedFile, path.read_text())
    return scanned if scanned.source == source else None


def _scan(job: ScanJob) -> ScannedFile:
    path = job.folder / job.source.name
    with FrameReader(path, max_side=DETECTOR_SIDE) as reader:
        signals = FrameSignals(reader.rate, job.review)
        for small in reader:
            signals.add(small, reader.full_frame)
        size = reader.size
        signals.finish()
        schedule, warnings = FrameSchedule(*reader.schedule()), reader.warnings
    is_picture = len(signals.luma) == 1
    clips = screen(signals, schedule, size, job.source.name, job.source.caption, job.limits, is_picture)
    if len(clips) == 1 and clips[0].reason is None and clips[0].crop is None and not warnings:
        clips = [_keep_file(job, clips[0])]
    elif is_picture:
        clips = [_write_picture(job, clip) for clip in clips]
    else:
        clips = _write_clips(job, clips, schedule)
    return ScannedFile(job.source, tuple(clips), warnings=warnings)


def _keep_file(job: ScanJob, clip: FootageClip) -> FootageClip:
    """The file is one clip as a whole: its bytes are kept."""
    path = job.folder / job.source.name
    with path.open("rb") as file:
        file_format = sniff_file(file)
    assert file_format is not None  # it was read
    name = f"{_identifier(job.source)}-0.{SUFFIXES.get(file_format.name, file_format.name)}"
    with atomic_write(job.work / name) as part:
        shutil.copyfile(path, part)
    return replace(clip, file=name)


def _write_picture(job: ScanJob, clip: FootageClip) -> FootageClip:
    if clip.reason is not None:
        return clip
    with FrameReader(job.folder / job.source.name) as reader:
        frame = _cropped(next(iter(reader)), clip)
    name = f"{_identifier(job.source)}-0.png"
    with atomic_write(job.work / name) as part:
        Image.fromarray(frame).save(part, format="PNG")
    return replace(clip, file=name)


def _write_clips(job: ScanJob, clips: Sequence[FootageClip], schedule: FrameSchedule) -> list[FootageClip]:
    """Decodes the file once more, up to the last clip that is kept, and encodes each of them."""
    kept = [clip for clip in clips if clip.reason is None]
    if not kept:
        return list(clips)
    spans = [range(clip.begin, clip.begin + clip.num_frames) for clip in kept]
    wanted = schedule.indices[np.concatenate([np.array(span) for span in spans])]
    written: dict[int, FootageClip] = {}
    with FrameReader(job.folder / job.source.name) as reader:
        frames = select_frames(reader, wanted)
        for number, clip in enumerate(kept):
            name = f"{_identifier(job.source)}-{number}.mp4"
            with atomic_write(job.work / name) as part:
                inside = (_cropped(frame, clip) for frame in islice(frames, clip.num_frames))
                encode_h264(inside, clip.fps, part, preset=ENCODER_PRESET)
            even_width, even_height = clip.width + clip.width % 2, clip.height + clip.height % 2
            written[clip.begin] = replace(clip, file=name, width=even_width, height=even_height)
    return [written.get(clip.begin, clip) for clip in clips]


def _cropped(frame: np.ndarray, clip: FootageClip) -> np.ndarray:
    crop = clip.crop
    return frame if crop is None else np.ascontiguousarray(frame[crop.top : crop.bottom, crop.left : crop.right])


def _identifier(source: SourceFile) -> str:
    return hashlib.sha256(source.name.encode("utf-8", "surrogateescape")).hexdigest()[:20]
