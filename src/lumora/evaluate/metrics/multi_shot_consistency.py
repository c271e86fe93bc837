"""Films that a model makes from words alone, a caption for each shot, held against what they should show.

Real renders of the same films are the ceiling, and these through the model's codec are what none of its videos can be
better than. The floor is the same videos held against the words of other films, in which cast and style of a later shot
are those of a first one by chance; for the order of shots, the shots swapped. What comes back into sight needs a true
beginning, so it is looked for in clips of which the first frames are given.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from lumora.backends.lumora.weights import read_config
from lumora.config import VideoShape
from lumora.evaluate.instruments.color_tracker import ColorTables
from lumora.evaluate.instruments.multi_shot import CHECKS, ORDERED, FilmReading, asked_style, held, in_order, read_film
from lumora.evaluate.metrics.proportions import Proportion, grouped, joined, shuffled
from lumora.evaluate.metrics.reappearance import RETURNS, held_out_returns, returned
from lumora.evaluate.sampling import begun, given_frames, through_codec
from lumora.evaluate.suites.held_out import film_world, held_out_films
from lumora.parallel import run_batches
from lumora.request.conditions import Shot
from lumora.request.spec import Request
from lumora.service.batch import make_videos
from lumora.world.caption import Length
from lumora.world.clip import Clip, FilmClip
from lumora.world.scene import STYLES

FRAMES = 33
"""Of a film: four seconds, at the rate of the world's clips."""
TOGETHER = 10
"""Films that a process reads before it takes up the next ones."""

Columns = dict[str, dict[str, Proportion]]
Frames = UInt8[np.ndarray, "t h w 3"]


@dataclass(frozen=True)
class MadeFilm:
    """What a model made of one film's words."""

    prompts: tuple[str, ...]
    """Of each shot."""
    request: Request
    frames: Frames
    checks: tuple[tuple[str, bool], ...]

    @property
    def share(self) -> Proportion:
        return Proportion(sum(holds for _, holds in self.checks), len(self.checks))

    @property
    def missed(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for name, holds in self.checks if not holds))


@dataclass(frozen=True)
class Films:
    """What was found, in columns `generated`, `ceiling` (real renders), `codec` (these through it) and `floor`."""

    holds: Columns
    """Cuts, style and cast, see `films.held`."""
    styles: Columns
    """How many shots are in the style that was asked for, by style."""
    order: Columns
    """How often two shots in a row both show what was told of them, where that differs; the floor: of each other."""
    returns: Columns
    """What becomes of things that were out of sight: `generated` and `ceiling` alone; empty of a model whose clips are
    no longer than what is given."""
    made: tuple[MadeFilm, ...]


def measure_films(
    tables: ColorTables,
    preset: str,
    films: int,
    length: Length,
    steps: int,
    guidance: float | None,
    weights: Path | None = None,
    workers: int = 0,
) -> Films:
    """On so many films, and half as many clips with things that return; film n has seed n."""
    shape, world = replace(read_config(weights).shape, num_frames=FRAMES), film_world(preset)
    asked = held_out_films(world, films, shape)
    requests = [request_of(film, length, shape, n, steps, guidance) for n, film in enumerate(asked)]
    videos = [video[:FRAMES] for video in make_videos(requests, weights, workers, batch_size=1)]
    real = [film.frames.numpy() for film in asked]
    seen = {"generated": videos, "ceiling": real, "codec": through_codec(real, weights)}
    read = {name: read_films(tables, asked, some, workers) for name, some in seen.items()}
    checked = [_checks(film, length, reading) for film, reading in zip(asked, read["generated"], strict=True)]
    prompts = [tuple(shot.text for shot in film.scripts[length].shots) for film in asked]
    return Films(
        *figures_of(asked, length, read),
        returns=_returns(tables, world, max(1, films // 2), length, steps, guidance, weights, workers),
        made=tuple(MadeFilm(*parts) for parts in zip(prompts, requests, videos, checked, strict=True)),
    )


def request_of(
    film: FilmClip, length: Length, shape: VideoShape, seed: int, steps: int, guidance: float | None
) -> Request:
    """The film by the captions of its shots."""
    ends = pairwise((0, *film.cuts, shape.num_frames))
    shots = zip(film.scripts[length].shots, ends, strict=True)
    first, *then = [Shot(told.text, (end - begin) / shape.fps) for told, (begin, end) in shots]
    return Request(
        first.prompt,
        first.seconds,
        size=shape.resolution,
        fps=shape.fps,
        seed=seed,
        num_inference_steps=steps,
        guidance_scale=guidance,
        next_shots=tuple(then),
    )


def read_films(
    tables: ColorTables, films: Sequence[FilmClip], videos: Sequence[Frames], workers: int = 0
) -> list[FilmReading]:
    """Reads as many videos, cut as the films should be, in so many processes (0: in this one)."""
    cut = [(film.cuts, video) for film, video in zip(films, videos, strict=True)]
    return run_batches(partial(_read_some, tables), cut, TOGETHER, workers)


def _read_some(tables: ColorTables, videos: Sequence[tuple[tuple[int, ...], Frames]]) -> list[FilmReading]:
    return [read_film(tables, *video) for video in videos]


def figures_of(
    films: Sequence[FilmClip], length: Length, read: dict[str, list[FilmReading]]
) -> tuple[Columns, Columns, Columns]:
    """What holds, styles and order, of what was read from each column's videos of these films; and the floor of the
    `generated` ones."""
    others = shuffled(read["generated"])
    checked = {
        name: grouped(
            check for film, reading in zip(films, some, strict=True) for check in _checks(film, length, reading)
        )
        for name, some in read.items()
    }
    pairs = zip(films, read["generated"], others, strict=True)
    checked["floor"] = grouped(check for film, *own in pairs for check in _by_chance(film, length, *own))
    holds = {name: _rows(shares, CHECKS) for name, shares in checked.items()}
    order = {name: _with_total(_rows(shares, ORDERED)) for name, shares in checked.items()}
    asked = [style for style in STYLES if style in {asked_style(film, length) for film in films}]
    styles = {
        name: _with_total(_rows(grouped(_styles(films, length, some)), asked))
        for name, some in (read | {"floor": others}).items()
    }
    return holds, styles, order


def _rows(shares: dict[str, Proportion], names: Iterable[str]) -> dict[str, Proportion]:
    """These of the shares, in this order."""
    return {name: shares.get(name, Proportion(0, 0)) for name in names}


def _with_total(shares: dict[str, Proportion]) -> dict[str, Proportion]:
    return shares | {"total": joined(shares.values())}


def _checks(film: FilmClip, length: Length, read: FilmReading) -> tuple[tuple[str, bool], ...]:
    return (*held(film, length, read.shots[0], read), *in_order(film, length, read.shots))


def _by_chance(film: FilmClip, length: Length, own: FilmReading, other: FilmReading) -> Iterator[tuple[str, bool]]:
    """The words and the first shot of a film against the video of another one; and its own shots swapped."""
    yield from held(film, length, own.shots[0], other)
    yield from in_order(film, length, own.shots, swapped=True)


def _styles(films: Sequence[FilmClip], length: Length, read: Sequence[FilmReading]) -> Iterator[tuple[str, bool]]:
    for film, reading in zip(films, read, strict=True):
        style = asked_style(film, length)
        if style is not None:
            yield from ((style, shot.style == style) for shot in reading.shots)


def _returns(
    tables: ColorTables,
    world: str,
    clips: int,
    length: Length,
    steps: int,
    guidance: float | None,
    weights: Path | None,
    workers: int,
) -> Columns:
    config = read_config(weights)
    if config.shape.num_frames <= given_frames(config.codec.temporal_compression):
        return {}
    real = held_out_returns(world, clips, config.shape)
    requests = [
        begun(clip.captions[length].text, clip.frames.numpy(), config, seed, steps, guidance)
        for seed, clip in enumerate(real)
    ]
    columns = {
        "generated": make_videos(requests, weights, workers),
        "ceiling": [clip.frames.numpy() for clip in real],
    }
    return {name: _returned(tables, real, videos) for name, videos in columns.items()}


def _returned(tables: ColorTables, clips: Sequence[Clip], videos: Sequence[Frames]) -> dict[str, Proportion]:
    answers = (answer for pair in zip(clips, videos, strict=True) for answer in returned(tables, *pair))
    return _rows(grouped(answers), RETURNS)
