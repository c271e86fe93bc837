"""The report of an ingest: one HTML page without scripts, with counts, histograms and samples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import jinja2
import numpy as np

from lumora.atomic_io import atomic_write
from lumora.data.footage.records import FootageClip, ScannedFile

REPORT = "report.html"
TEMPLATES = Path(__file__).parent / "templates"
MAX_KEPT_SAMPLES, MAX_SAMPLES_PER_REASON, MAX_LISTED = 24, 6, 200
REASONS = {
    "unreadable": "files that can't be read",
    "crashed": "files that ended the process that read them",
    "small": "too few pixels",
    "short": "too short",
    "dark": "dark",
    "still": "nothing moves",
    "shaky": "the camera shakes",
    "text": "much text",
    "refused": "refused by the safety checks",
    "duplicate": "shows the same as another clip",
}


@dataclass(frozen=True)
class Histogram:
    title: str
    bars: tuple[tuple[str, int, float], ...]
    """(label, count, share of the highest bar)"""


def write_report(out: Path, files: Sequence[ScannedFile], source: str) -> None:
    """Writes `REPORT` to the folder `out`."""
    clips = [clip for file in files for clip in file.clips]
    kept = [clip for clip in clips if clip.reason is None]
    counts = Counter(thing.reason for thing in (*files, *clips) if thing.reason is not None)
    samples = {"kept": _spread(kept, MAX_KEPT_SAMPLES)}
    for reason in counts:
        if some := [clip for clip in clips if clip.reason == reason]:
            samples[f"left out: {REASONS[reason]}"] = _spread(some, MAX_SAMPLES_PER_REASON)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    page = environment.get_template("ingest.html.j2").render(
        source=source,
        num_files=len(files),
        num_clips=len(clips),
        num_kept=len(kept),
        num_pictures=sum(clip.is_picture for clip in kept),
        minutes=sum(clip.seconds for clip in kept) / 60,
        reasons=[(REASONS[reason], count) for reason, count in counts.most_common()],
        histograms=histograms(kept),
        samples=samples,
        problems=[file for file in files if file.reason is not None][:MAX_LISTED],
        warned=[file for file in files if file.warnings][:MAX_LISTED],
    )
    with atomic_write(out / REPORT) as part:
        part.write_text(page, "utf-8")


def histograms(kept: Sequence[FootageClip]) -> list[Histogram]:
    """Of the clips that are kept; those of time are of videos only."""
    videos = [clip for clip in kept if not clip.is_picture]
    return [
        _numbers("Seconds", videos, lambda clip: clip.seconds, (1.0, 2.0, 4.0, 6.0, 8.0, 10.0, 15.0, 20.0)),
        _numbers("Frames a second", videos, lambda clip: clip.fps, (8.0, 12.0, 16.0, 24.0, 25.0, 30.0, 50.0, 60.0)),
        _numbers(
            "Pixels of the shorter side",
            kept,
            lambda c: float(min(c.width, c.height)),
            (64.0, 128.0, 256.0, 480.0, 720.0, 1080.0),
        ),
        _numbers("Width by height", kept, lambda clip: clip.width / clip.height, (0.5, 0.7, 0.9, 1.1, 1.4, 1.7, 2.0)),
        _numbers("Brightness", kept, lambda clip: clip.measures.luma, (32.0, 64.0, 96.0, 128.0, 160.0, 192.0, 224.0)),
        _numbers("Motion", videos, lambda clip: clip.measures.motion, (6.0, 12.0, 25.0, 50.0, 75.0, 100.0, 150.0)),
        _numbers(
            "Words of the caption",
            kept,
            lambda clip: float(len(clip.caption.split())),
            (1.0, 6.0, 11.0, 21.0, 41.0, 81.0),
        ),
    ]


def _numbers(
    title: str, clips: Sequence[FootageClip], value: Callable[[FootageClip], float], edges: Sequence[float]
) -> Histogram:
    counts = np.bincount(np.digitize([value(clip) for clip in clips], edges), minlength=len(edges) + 1)
    labels = [f"under {edges[0]:g}", *(f"{a:g} to {b:g}" for a, b in pairwise(edges))]
    highest = max(1, int(counts.max()))
    labels.append(f"{edges[-1]:g} and more")
    return Histogram(title, tuple((label, int(n), float(n / highest)) for label, n in zip(labels, counts, strict=True)))


def _spread(clips: Sequence[FootageClip], count: int) -> list[FootageClip]:
    """At most `count`, evenly spread."""
    if len(clips) <= count:
        return list(clips)
    return [clips[int(i)] for i in np.linspace(0, len(clips) - 1, count).round()]
