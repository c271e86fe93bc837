"""Figures of films as a section of the report's page, as JSON, and as tables on the screen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from lumora.evaluate.metrics.multi_shot_consistency import Columns, Films, MadeFilm
from lumora.evaluate.metrics.proportions import in_full, table
from lumora.evaluate.report.page import Show, bars, captioned, ranked
from lumora.media.video import Video

SHOWN = 4
"""Films each of the worst, the median and the best."""
TITLES = {
    "films": "Cuts within one frame of the asked time, and no others; each shot in the style that was asked for, and "
    "in that of the first; each of the cast in each shot, and again if the first one has it. Beside them real renders "
    "(ceiling), and the videos of other films (floor).",
    "style of a shot": "How many shots are in the style that was asked for.",
    "order of shots": "Two shots in a row of which something else is told: how often both show it, each its own. The "
    "floor is how often they show each other's.",
    "out of sight": "Things that leave the picture, or are hidden, and return, in clips of which the first frames were "
    "given: how many come back, and of these, how many as large as they should be and where they should be.",
}
"""Of the tables, with what they say."""


def films_on_screen(films: Films) -> list[str]:
    return [f"{title}\n{table(columns)}" for title, columns in _tables(films).items()]


def films_as_json(films: Films) -> dict[str, object]:
    """All figures with their 95 % intervals, and what was missed in each film."""
    found = {title: {c: in_full(rows) for c, rows in columns.items()} for title, columns in _tables(films).items()}
    clips = [
        {"prompts": made.prompts, "seed": seed, "share": asdict(made.share), "missed": made.missed}
        for seed, made in enumerate(films.made)
    ]
    return {**found, "clips": clips}


def films_as_files(folder: Path, films: Films, fps: float, show: Show) -> None:
    """The films that the page shows; `show` lets each of them out."""
    for section, clips in ranked(films.made, SHOWN).items():
        for number, made in enumerate(clips):
            show(made.request, Video(made.frames, fps), folder / _file(section, number))


def films_on_page(films: Films) -> list[str]:
    parts = ["<h2>Films of several shots, made from words alone</h2>"]
    for title, columns in _tables(films).items():
        parts += [f"<h3>{title.capitalize()}</h3><p>{TITLES[title]}</p>", bars(columns)]
    for section, clips in ranked(films.made, SHOWN).items():
        parts += [f"<h3>{section}</h3>", '<div class="clips">', *_figures(section, clips), "</div>"]
    return parts


def _tables(films: Films) -> dict[str, Columns]:
    tables = zip(TITLES, (films.holds, films.styles, films.order, films.returns), strict=True)
    return {title: columns for title, columns in tables if columns}


def _figures(section: str, films: Sequence[MadeFilm]) -> list[str]:
    return [
        captioned(_file(section, number), " / ".join(made.prompts), made.share, made.missed)
        for number, made in enumerate(films)
    ]


def _file(section: str, number: int) -> str:
    return f"clips/film-{section.lower()}-{number}.webp"
