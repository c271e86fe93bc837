"""The report of an evaluation: tables on the screen, `report.json`, and a page with plots and videos."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

from markupsafe import Markup

from lumora.atomic_io import atomic_write
from lumora.evaluate.metric import MetricResult, ScoredVideo
from lumora.evaluate.metrics.metric_table import MetricTable, Plot
from lumora.evaluate.report.page import write_page
from lumora.evaluate.report.plots import INSTALL_HINT, can_plot, plot_curves
from lumora.evaluate.runner import EvaluationResults
from lumora.media.video import Video
from lumora.request import Request

VIDEOS_SHOWN = 4
"""Videos of a metric on the page: the worst, the median and the best ones, this many each."""

PublishVideo: TypeAlias = Callable[[Request, Video, Path], None]
"""Publishes a video to a file of the page. If the video may not be published there is no file, and the page has its
prompt only."""


@dataclass(frozen=True)
class PageVideo:
    """A video as the page shows it."""

    video: ScoredVideo
    file: str
    """Relative to the page; an animated WebP, which every browser plays."""

    @property
    def prompt(self) -> str:
        return " / ".join(self.video.prompts)

    @property
    def found(self) -> str:
        return f"{self.video.proportion.found:g}"

    @property
    def count(self) -> int:
        return self.video.proportion.count

    @property
    def missed(self) -> str:
        return ", ".join(self.video.missed)


def format_report(evaluation: EvaluationResults) -> str:
    """All tables as text."""
    return "\n\n".join(table.as_text() for result in evaluation.results.values() for table in result.tables)


def report_as_json(evaluation: EvaluationResults) -> dict[str, Any]:
    """All tables with their intervals, and the prompt, seed and result of each video."""
    return {
        "plan": asdict(evaluation.plan),
        "metrics": {
            metric.name: {table.name: table.as_json() for table in result.tables}
            for metric, result in evaluation.results.items()
        },
        "videos": {
            metric.name: [_video_as_json(video) for video in result.videos]
            for metric, result in evaluation.results.items()
            if result.videos
        },
    }


def write_report(folder: Path, evaluation: EvaluationResults, publish: PublishVideo) -> None:
    """Writes `report.json`, `index.html` and the videos that it shows into `folder`."""
    (folder / "clips").mkdir(parents=True, exist_ok=True)
    with atomic_write(folder / "report.json") as part:
        part.write_text(json.dumps(report_as_json(evaluation), indent=1) + "\n", "utf-8")
    sections = []
    for metric, result in evaluation.results.items():
        shown = _shown_videos(metric.name, result)
        for one in (page_video for some in shown.values() for page_video in some):
            publish(one.video.request, Video(one.video.frames, evaluation.fps), folder / one.file)
        tables = [_table_for_page(table) for table in result.tables]
        sections.append({"name": metric.name, "title": metric.title, "tables": tables, "clips": shown})
    write_page(folder / "index.html", "evaluation.html.j2", {"plan": evaluation.plan, "sections": sections})


def _shown_videos(metric: str, result: MetricResult) -> dict[str, list[PageVideo]]:
    return {
        title: [PageVideo(video, f"clips/{metric}-{title.lower()}-{n}.webp") for n, video in enumerate(videos)]
        for title, videos in _ranked(result.videos).items()
    }


def _ranked(videos: Sequence[ScoredVideo]) -> dict[str, Sequence[ScoredVideo]]:
    """The worst, the median and the best videos; nothing if there are none."""
    if not videos:
        return {}
    order = sorted(videos, key=lambda video: video.proportion.value)
    middle = max(0, len(order) // 2 - VIDEOS_SHOWN // 2)
    return {
        "Worst": order[:VIDEOS_SHOWN],
        "Median": order[middle : middle + VIDEOS_SHOWN],
        "Best": order[::-1][:VIDEOS_SHOWN],
    }


def _table_for_page(table: MetricTable) -> dict[str, Any]:
    return {
        "name": table.name,
        "description": table.description,
        "columns": table.columns,
        "note": table.note,
        "plot": _plot_for_page(table.plot),
    }


def _plot_for_page(plot: Plot | None) -> str:
    """The SVG, which is markup, or a sentence if matplotlib is not installed."""
    if plot is None:
        return ""
    return Markup(plot_curves(plot)) if can_plot() else INSTALL_HINT


def _video_as_json(video: ScoredVideo) -> dict[str, Any]:
    return {
        "prompts": video.prompts,
        "seed": video.request.seed,
        "found": video.proportion.found,
        "count": video.proportion.count,
        "missed": video.missed,
    }
