"""Videos of several shots, sampled from a prompt for each shot, compared with what they should show.

Real renders of the same films are the ceiling; the same through the model's codec are the upper bound for the model.
The floor is the same videos checked against the prompts of other films, where style and cast of later shots agree with
a first shot only by chance; for the order of shots, it is the shots exchanged. Objects that come back into sight need a
true beginning, so they are looked for in continued clips (`reappearance`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise

from lumora.config import VideoShape
from lumora.evaluate.evaluation_data import EvaluationData, timed
from lumora.evaluate.frames import Frames
from lumora.evaluate.instruments.color_tables import ColorTables
from lumora.evaluate.instruments.multi_shot import (
    CHECKS,
    ORDERED,
    FilmReading,
    consistency_checks,
    order_checks,
    read_film,
    requested_style,
)
from lumora.evaluate.metric import MetricResult, ScoredVideo
from lumora.evaluate.metrics.metric_table import MetricTable
from lumora.evaluate.metrics.proportions import Proportion, ProportionColumns, grouped, pooled, shuffled
from lumora.evaluate.metrics.reappearance import REAPPEARANCE_CHECKS, held_out_reappearances, reappearance_checks
from lumora.evaluate.sampling import continuation_request, given_frames, through_codec
from lumora.evaluate.suites.held_out import film_world, held_out_films
from lumora.parallel import run_batches
from lumora.request import Request, Shot
from lumora.world.caption import Length
from lumora.world.clip import FilmClip
from lumora.world.scene import STYLES

NUM_FRAMES = 33
"""Frames of a film: four seconds at the frame rate of the world's clips."""
BATCH_SIZE = 10
"""Films that a worker reads at a time."""


@dataclass(frozen=True)
class MultiShotColumns:
    """Figures in columns `generated`, `ceiling` (real renders), `codec` and `floor`."""

    consistency: ProportionColumns
    """Cuts, style and cast, see `consistency_checks`."""
    styles: ProportionColumns
    """Shots in the requested style, by style."""
    order: ProportionColumns
    """Neighboring shots that both show what their own captions state; the floor: what the other's caption states."""


def multi_shot_consistency(data: EvaluationData) -> MetricResult:
    plan = data.plan
    shape, world = replace(data.shape, num_frames=NUM_FRAMES), film_world(plan.preset)
    films = held_out_films(world, plan.multi_shot, shape)
    requests = [
        film_request(film, plan.length, shape, seed, plan.steps, plan.guidance_scale) for seed, film in enumerate(films)
    ]
    with timed("sampling films", len(films)):
        videos = [video[:NUM_FRAMES] for video in data.make_videos(requests, batch_size=1)]
    real = [film.frames.numpy() for film in films]
    clips = {"generated": videos, "ceiling": real, "codec": through_codec(real, data.model)}
    with timed("reading films", len(films) * len(clips)):
        readings = {name: read_films(data.color_tables, films, some, data.workers) for name, some in clips.items()}
    columns = multi_shot_columns(films, plan.length, readings)
    tables = [*_tables(columns), *_reappearance_tables(data, world)]
    scored = (
        _scored_video(film, plan.length, request, frames, reading)
        for film, request, frames, reading in zip(films, requests, videos, readings["generated"], strict=True)
    )
    return MetricResult(tuple(tables), tuple(scored))


def film_request(
    film: FilmClip, length: Length, shape: VideoShape, seed: int, steps: int | None, guidance_scale: float | None
) -> Request:
    """A request with the captions and durations of the film's shots."""
    spans = pairwise((0, *film.cuts, shape.num_frames))
    captions = film.scripts[length].shots
    first, *others = [
        Shot(caption.text, (end - start) / shape.fps) for caption, (start, end) in zip(captions, spans, strict=True)
    ]
    return Request(
        first.prompt,
        seconds=first.seconds,
        size=shape.resolution,
        fps=shape.fps,
        seed=seed,
        num_inference_steps=steps,
        guidance_scale=guidance_scale,
        next_shots=tuple(others),
    )


def read_films(
    tables: ColorTables, films: Sequence[FilmClip], videos: Sequence[Frames], workers: int = 0
) -> list[FilmReading]:
    """Reads a video of each film, in this many processes (0: in this one)."""
    jobs = [(film.cuts, video) for film, video in zip(films, videos, strict=True)]
    return run_batches(partial(_read_batch, tables), jobs, BATCH_SIZE, workers)


def _read_batch(tables: ColorTables, jobs: Sequence[tuple[tuple[int, ...], Frames]]) -> list[FilmReading]:
    return [read_film(tables, cuts, video) for cuts, video in jobs]


def multi_shot_columns(
    films: Sequence[FilmClip], length: Length, readings: dict[str, list[FilmReading]]
) -> MultiShotColumns:
    """The figures of each column's readings of these films, and the floor of the `generated` ones."""
    other_readings = shuffled(readings["generated"])
    passed = {
        name: grouped(check for film, read in zip(films, some, strict=True) for check in _checks(film, length, read))
        for name, some in readings.items()
    }
    floor = zip(films, readings["generated"], other_readings, strict=True)
    passed["floor"] = grouped(check for film, own, other in floor for check in _floor(film, length, own, other))
    requested = {requested_style(film, length) for film in films}
    styles = {
        name: grouped(_style_checks(films, length, some))
        for name, some in (readings | {"floor": other_readings}).items()
    }
    return MultiShotColumns(
        consistency={name: _rows(rows, CHECKS) for name, rows in passed.items()},
        styles={name: _with_total(_rows(rows, [s for s in STYLES if s in requested])) for name, rows in styles.items()},
        order={name: _with_total(_rows(rows, ORDERED)) for name, rows in passed.items()},
    )


def _rows(rows: dict[str, Proportion], names: Iterable[str]) -> dict[str, Proportion]:
    """The rows of these names, in this order."""
    return {name: rows.get(name, Proportion(0, 0)) for name in names}


def _with_total(rows: dict[str, Proportion]) -> dict[str, Proportion]:
    return rows | {"total": pooled(rows.values())}


def _checks(film: FilmClip, length: Length, read: FilmReading) -> tuple[tuple[str, bool], ...]:
    return (*consistency_checks(film, length, read.shots[0], read), *order_checks(film, length, read.shots))


def _floor(film: FilmClip, length: Length, own: FilmReading, other: FilmReading) -> Iterator[tuple[str, bool]]:
    """The prompts and the first shot of a film against the video of another one; and its own shots exchanged."""
    yield from consistency_checks(film, length, own.shots[0], other)
    yield from order_checks(film, length, own.shots, swapped=True)


def _style_checks(
    films: Sequence[FilmClip], length: Length, readings: Sequence[FilmReading]
) -> Iterator[tuple[str, bool]]:
    for film, reading in zip(films, readings, strict=True):
        style = requested_style(film, length)
        if style is not None:
            yield from ((style, shot.style == style) for shot in reading.shots)


def _tables(columns: MultiShotColumns) -> list[MetricTable]:
    return [
        MetricTable(
            "Cuts, style and cast",
            "Cuts within one frame of the requested time, and no others; shots in the requested style, and in the "
            "style of the first shot; objects of the cast in each shot, and again if the first shot shows them. "
            "Compare with real renders (ceiling), these through the model's codec, and the videos of other films "
            "(floor).",
            columns.consistency,
        ),
        MetricTable("Style of a shot", "Shots in the requested style.", columns.styles),
        MetricTable(
            "Order of shots",
            "Neighboring shots whose captions state different places or lights: how often both show their own. The "
            "floor is how often they show each other's.",
            columns.order,
        ),
    ]


def _reappearance_tables(data: EvaluationData, world: str) -> list[MetricTable]:
    """No table for a model whose clips are no longer than what is given."""
    plan, config = data.plan, data.config
    if config.shape.num_frames <= given_frames(config.codec.temporal_compression):
        return []
    # In close-ups of the stage nothing leaves the picture.
    leaving = "plain-film" if world == "stage-film" else world
    clips = held_out_reappearances(leaving, max(1, plan.multi_shot // 2), config.shape)
    requests = [
        continuation_request(
            clip.captions[plan.length].text, clip.frames.numpy(), config, seed, plan.steps, plan.guidance_scale
        )
        for seed, clip in enumerate(clips)
    ]
    videos = {"generated": data.make_videos(requests), "ceiling": [clip.frames.numpy() for clip in clips]}
    columns = {}
    for name, some in videos.items():
        checks = (
            check
            for clip, frames in zip(clips, some, strict=True)
            for check in reappearance_checks(data.color_tables, clip, frames)
        )
        columns[name] = _rows(grouped(checks), REAPPEARANCE_CHECKS)
    return [
        MetricTable(
            "Objects that come back into sight",
            "Objects that leave the frame, or are hidden, and return, in clips of which the first frames are given: "
            "how many come back, and how many of these have the right size and position.",
            columns,
        )
    ]


def _scored_video(
    film: FilmClip, length: Length, request: Request, frames: Frames, reading: FilmReading
) -> ScoredVideo:
    checks = _checks(film, length, reading)
    return ScoredVideo(
        tuple(caption.text for caption in film.scripts[length].shots),
        request,
        frames,
        Proportion(sum(passed for _, passed in checks), len(checks)),
        tuple(dict.fromkeys(name for name, passed in checks if not passed)),
    )
