"""Reads videos of several shots: cuts, and the style, setting and cast of each shot.

The rules need no training: cuts are sudden changes between frames, styles have characteristic pixel statistics, and
objects, places and lights come from the color tracker.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float

from lumora.evaluate.frames import Frames
from lumora.evaluate.instruments.color_tables import ColorTables
from lumora.evaluate.instruments.color_tracker import track_colors
from lumora.world.caption import Length
from lumora.world.clip import FilmClip
from lumora.world.facts import Category, value_of
from lumora.world.render.style_effects import LUMINANCE, SHADES, TONE, pixel_side
from lumora.world.scene import Style

MIN_CHANGE, MIN_CUT_SHARE = 4.0, 0.33
"""A block changes suddenly if it changes by MIN_CHANGE of 255 more than in the steps before and after. At a cut at
least MIN_CUT_SHARE of the blocks do: moving objects change other blocks in each step, and a camera that turns keeps
turning. Chosen on 50 plain films of seed 900: 55 of 58 cuts are found, and 2 among the other 1,542 steps."""
BLOCKS = 16
"""Blocks along the frame's shorter side in which frames are compared, to reduce the weight of grain and edges."""
MAX_CHROMA = 3.0
"""Mean distance of the channels from the luminance, of 255, below which a frame is black and white."""
MAX_BLOCK_CONTRAST = 0.6
"""In pixel art, changes from row to row within blocks are less than this share of those between blocks."""
MIN_SHADED_SHARE, SHADE_TOLERANCE = 0.5, 6.0
"""In a cartoon this share of the pixels has one of its shades of luminance, within this tolerance of 255. Chosen on 81
shots of 36 plain films of seed 900: all are classified correctly, also after a codec of 8 × 8 pixels."""
MIN_CAST_SHARE = 0.25
"""Share of a shot's frames in which a color must be found to be in the cast: it may be out of sight for a while. One in
six colors that were not requested is found by mistake, so additional colors are not counted."""

ORDERED: tuple[Category, ...] = ("place", "light")
"""Categories that the color tracker reads reliably in short shots."""
CHECKS = ("cuts", "no other cut", "requested style", "style holds", "requested cast", "cast holds")
"""The checks of a film, see `consistency_checks`."""


@dataclass(frozen=True)
class ShotReading:
    """What is read from one shot."""

    style: Style
    place: str
    light: str
    cast: frozenset[str]
    """The colors of its objects."""


@dataclass(frozen=True)
class FilmReading:
    """What is read from one video: its cuts, and the shots between the requested cuts."""

    cuts: tuple[int, ...]
    shots: tuple[ShotReading, ...]


def find_cuts(frames: Frames) -> tuple[int, ...]:
    """The first frame after each hard cut."""
    side = max(1, min(frames.shape[1:3]) // BLOCKS)
    height, width = (side * (n // side) for n in frames.shape[1:3])
    blocks = frames[:, :height, :width].astype(np.float32)
    blocks = blocks.reshape(len(frames), height // side, side, width // side, side, 3).mean((2, 4))
    change = np.abs(np.diff(blocks, axis=0)).mean(-1)
    padded = np.pad(change, ((1, 1), (0, 0), (0, 0)), mode="edge")
    sudden = change > np.maximum(padded[:-2], padded[2:]) + MIN_CHANGE
    return tuple(int(t) for t in 1 + np.flatnonzero(sudden.mean((1, 2)) > MIN_CUT_SHARE))


def classify_style(frames: Frames) -> Style:
    """The rendering style of a shot, from its pixels."""
    pixels = frames.astype(np.float32)
    gray = pixels @ np.array(LUMINANCE, np.float32)
    if np.abs(pixels - gray[..., None]).mean() < MAX_CHROMA:
        return "black and white"
    if _block_contrast(gray) < MAX_BLOCK_CONTRAST:
        return "pixel art"
    shades = 255 * (np.arange(SHADES) + TONE) / SHADES
    shaded = (np.abs(gray[..., None] - shades).min(-1) < SHADE_TOLERANCE).mean() > MIN_SHADED_SHARE
    return "toon" if shaded else "plain"


def _block_contrast(gray: Float[np.ndarray, "t h w"]) -> float:
    """The change from row to row within the blocks of pixel art over that between blocks. Rows are used because most
    objects move sideways, which smears columns in a codec."""
    side = pixel_side(*gray.shape[1:])
    change = np.abs(np.diff(gray, axis=1)).mean((0, 2))
    between = np.arange(1, gray.shape[1]) % side == 0
    return float(change[~between].mean() / max(change[between].mean(), 1e-6))


def read_film(tables: ColorTables, cuts: tuple[int, ...], video: Frames) -> FilmReading:
    """Reads a video whose shots after the first should begin at the frames `cuts`."""
    shots = [video[a:b] for a, b in pairwise((0, *cuts, len(video)))]
    return FilmReading(find_cuts(video), tuple(_read_shot(tables, shot) for shot in shots))


def _read_shot(tables: ColorTables, frames: Frames) -> ShotReading:
    found = track_colors(tables, frames)
    cast = frozenset(color for color, track in found.tracks.items() if track.found_share >= MIN_CAST_SHARE)
    return ShotReading(classify_style(frames), found.place, found.light, cast)


def consistency_checks(
    film: FilmClip, length: Length, first: ShotReading, read: FilmReading
) -> Iterator[tuple[str, bool]]:
    """(check, passed) for a video that should show the film described by its captions of this length.

    The style holds in a later shot if it is that of the `first` shot, and an object of the cast if it is found again.
    The cast is not checked in black and white, because it is identified by color.
    """
    yield from (("cuts", any(abs(cut - requested) <= 1 for cut in read.cuts)) for requested in film.cuts)
    yield "no other cut", all(any(abs(cut - requested) <= 1 for requested in film.cuts) for cut in read.cuts)
    style = requested_style(film, length)
    if style is not None:
        yield from (("requested style", shot.style == style) for shot in read.shots)
    yield from (("style holds", shot.style == first.style) for shot in read.shots[1:])
    if film.scenes[0].style == "black and white":
        return
    requested = {subject.color for subject in film.scenes[0].subjects}
    yield from (("requested cast", color in shot.cast) for shot in read.shots for color in requested)
    yield from (("cast holds", color in shot.cast) for shot in read.shots[1:] for color in requested & first.cast)


def requested_style(film: FilmClip, length: Length) -> Style | None:
    """The style that the captions request; `plain` is never stated. None if the captions omit another style."""
    style = film.scenes[0].style
    stated = value_of(film.scripts[length].shots[0].facts, "style")
    return style if style in ("plain", stated) else None


def order_checks(
    film: FilmClip, length: Length, shots: Sequence[ShotReading], swapped: bool = False
) -> Iterator[tuple[str, bool]]:
    """(category, passed) for each category that differs between the captions of neighboring shots: both shots must show
    their own value; or, if `swapped`, that of the other shot.

    Black and white films are not checked, because places and lights are identified by color.
    """
    if film.scenes[0].style == "black and white":
        return
    for (caption, shot), (next_caption, next_shot) in pairwise(zip(film.scripts[length].shots, shots, strict=True)):
        readings = (next_shot, shot) if swapped else (shot, next_shot)
        for category in ORDERED:
            stated = value_of(caption.facts, category), value_of(next_caption.facts, category)
            if None not in stated and stated[0] != stated[1]:
                yield category, tuple(getattr(reading, category) for reading in readings) == stated
