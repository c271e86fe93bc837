"""`ingest`: from a folder of footage to shards of clips, with a report. The same call continues an interrupted one.

1. Every file is read once and its clips are written to a work folder (`clip_files`), in several processes.
2. Duplicates are marked among all clips, in the order of the files' names, so the result does not depend on the number
   of processes.
3. The clips that are kept are packed into shards, and a report is written.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import TypeAlias

from lumora.atomic_io import atomic_write
from lumora.config import from_json, to_json
from lumora.data.footage.clip_files import ScanJob, read_record, scan_file, write_record
from lumora.data.footage.duplicates import mark_duplicates
from lumora.data.footage.frame_signals import Review
from lumora.data.footage.ingest_report import write_report
from lumora.data.footage.process_pool import run_isolated
from lumora.data.footage.records import FootageClip, ScannedFile, SourceFile
from lumora.data.footage.screening import Screening
from lumora.data.footage.sources import find_sources
from lumora.data.footage.tar_shards import write_shard

CONFIG, RECORDS, WORK = "ingest.json", "records.jsonl", "work"
CRASHED = "The process that read it ended; the file may be damaged, or too large for the memory."

Engine: TypeAlias = Callable[
    [Callable[[ScanJob], ScannedFile], Sequence[ScanJob]], Iterator[tuple[int, ScannedFile | None]]
]
"""Runs jobs and yields the index of each with its result, in any order; None for one that ended its process."""
IngestProgress: TypeAlias = Callable[[str, int, int], None]
"""(what is done, how many, of how many)"""


@dataclass(frozen=True)
class IngestConfig:
    """What a dataset of footage is made from. A folder holds the clips of one `IngestConfig` only."""

    source: str
    """Path of the folder of footage."""
    limits: Screening = field(default_factory=Screening)
    shard_size: int = 250
    """Clips in a full shard."""
    reviewed: bool = True
    """Whether the safety checks looked at the frames."""


@dataclass(frozen=True)
class IngestSummary:
    """What became of the files and clips of a folder."""

    files: tuple[ScannedFile, ...]
    shards: int

    @property
    def clips(self) -> list[FootageClip]:
        return list(chain.from_iterable(file.clips for file in self.files))

    @property
    def kept(self) -> list[FootageClip]:
        return [clip for clip in self.clips if clip.reason is None]

    @property
    def reasons(self) -> Counter[str]:
        """How many files and clips are left out for each reason."""
        return Counter(thing.reason for thing in chain(self.files, self.clips) if thing.reason is not None)


def processes(workers: int) -> Engine:
    """The engine of one machine: this many processes, 0 for this one."""
    return lambda work, jobs: run_isolated(work, jobs, workers)


def ingest(
    folder: Path,
    out: Path,
    config: IngestConfig,
    engine: Engine,
    review: Review | None = None,
    progress: IngestProgress = lambda what, done, total: None,
) -> IngestSummary:
    """Makes the dataset `out` of the files in `folder`. `review` looks at sampled frames (None: nobody does).

    A file that can't be read, or that ends the process that reads it, is counted and reported. Raises ValueError, in
    one sentence, if there are no files, if `out` holds something else, or if the files have changed since it was made.
    """
    sources = find_sources(folder)
    _claim(out, config)
    if (out / RECORDS).exists():
        return _finished(out, sources)
    work = out / WORK
    work.mkdir(exist_ok=True)
    missing = [source for source in sources if read_record(work, source) is None]
    jobs = [ScanJob(folder, source, work, config.limits, review) for source in missing]
    done = len(sources) - len(missing)
    progress("Reading the footage", done, len(sources))
    for number, scanned in engine(scan_file, jobs):
        if scanned is None:
            write_record(work, ScannedFile(missing[number], reason="crashed", detail=CRASHED))
        done += 1
        progress("Reading the footage", done, len(sources))
    summary = _pack(out, [read_record(work, source) for source in sources], config, progress)
    write_report(out, summary.files, config.source)
    _write_records(out / RECORDS, summary.files)
    shutil.rmtree(work)
    return summary


def _claim(out: Path, config: IngestConfig) -> None:
    """Makes `out` the folder of `config`, or checks that it is that already."""
    out.mkdir(parents=True, exist_ok=True)
    file = out / CONFIG
    if not file.exists():
        if any(out.iterdir()):
            raise ValueError(f"{out} is not empty; choose another folder.")
        with atomic_write(file) as part:
            part.write_text(to_json(config))
    if from_json(IngestConfig, file.read_text()) != config:
        raise ValueError(f"{out} was made from another folder or with other settings (see its {CONFIG}).")


def _finished(out: Path, sources: Sequence[SourceFile]) -> IngestSummary:
    summary = read_summary(out)
    if [file.source for file in summary.files] != list(sources):
        raise ValueError(f"The files have changed since {out} was made; choose another folder for them.")
    return summary


def read_summary(out: Path) -> IngestSummary:
    """The summary of a finished dataset. Raises ValueError if `out` is none."""
    if not (out / RECORDS).is_file():
        raise ValueError(f"{out} is not a finished dataset of footage; make it with `lumora data ingest`.")
    files = [from_json(ScannedFile, line) for line in (out / RECORDS).read_text().splitlines()]
    return IngestSummary(tuple(files), len(list(out.glob("shard-*.tar"))))


def _pack(
    out: Path, records: Sequence[ScannedFile | None], config: IngestConfig, progress: IngestProgress
) -> IngestSummary:
    """Marks duplicates and writes the shards that are missing. Clips get their names in the order of the files."""
    files = [record for record in records if record is not None]
    assert len(files) == len(records)
    marked = iter(mark_duplicates([clip for file in files for clip in file.clips]))
    count, work_files, packed = 0, {}, []
    for file in files:
        clips = []
        for clip in (next(marked) for _ in file.clips):
            if clip.reason is None:
                name = f"clip-{count:08}.{clip.file.partition('.')[2]}"
                work_files[name] = clip.file
                clip, count = replace(clip, file=name), count + 1
            clips.append(clip)
        packed.append(replace(file, clips=tuple(clips)))
    kept = [clip for file in packed for clip in file.clips if clip.reason is None]
    numbers = range(0, len(kept), config.shard_size)
    for shard, first in enumerate(numbers):
        path = out / f"shard-{shard:05}.tar"
        if not path.exists():
            clips = kept[first : first + config.shard_size]
            write_shard(path, clips, lambda clip: (out / WORK / work_files[clip.file]).open("rb"))
        progress("Packing the shards", shard + 1, len(numbers))
    return IngestSummary(tuple(packed), len(numbers))


def _write_records(path: Path, files: Sequence[ScannedFile]) -> None:
    """Without the small pictures, which only the comparison and the report need."""
    with atomic_write(path) as part, part.open("w") as lines:
        for file in files:
            clips = tuple(replace(clip, thumbnails="", preview="") for clip in file.clips)
            lines.write(json.dumps(asdict(replace(file, clips=clips))) + "\n")
