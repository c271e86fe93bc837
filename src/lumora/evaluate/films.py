"""Films: are cuts where they were asked for, do cast and style hold across them, does what was out of sight come back?

Nothing of it is learnt: cuts are differences of frames, styles are told by how pixels lie side by side, and things are
followed by the tables of colours (`tracking`). The same figures of real renders are the floor.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float, UInt8
from scipy import ndimage

from lumora.evaluate.shares import Share
from lumora.evaluate.tracking import Tables, Track, tracked
from lumora.world.clip import FilmClip
from lumora.world.render.style import pixel_side
from lumora.world.sample.framing import project
from lumora.world.scene import Style
from lumora.world.visible import SEEN, absences, visibility

CHANGED, SUDDEN = 8.0, 0.2
"""A block has changed when it did so by so much of 255, and a cut changes a share of the blocks that is so much larger
than in the steps before and after it: a camera that whips around takes several. Of 86 cuts in 54 films of seeds 900 and
901 this finds 94 %, and none among the other 1,642 steps."""
BLOCKS = 16
"""Of the picture's shorter side, in which frames are compared: grain and edges count less."""
COLOURLESS = 3.0
"""Mean distance of 255 of channels from their mean, under which a picture is black and white."""
BLOCKY = 0.3
"""Changes within pixel art's blocks are less than this share of those between them."""
INKED = 0.003
"""Share of pixels in thin lines that are nearly black, from which on a picture is a cartoon."""
HERE = 0.25
"""Share of a shot's frames in which a colour must be found, to be of the cast: it may be out of sight for a while. Of
those that nobody asked for one in six is found by mistake, so colours beyond the asked ones are not counted."""
SAME_SIZE, SAME_PLACE = 1.6, 0.12
"""What comes back is as large as it should be within this factor, and in its place within so many picture widths."""


def cuts_of(frames: UInt8[np.ndarray, "t h w 3"]) -> tuple[int, ...]:
    """The frames before which there is a hard cut."""
    side = max(1, min(frames.shape[1:3]) // BLOCKS)
    height, width = (side * (n // side) for n in frames.shape[1:3])
    blocks = frames[:, :height, :width].astype(np.float32)
    blocks = blocks.reshape(len(frames), height // side, side, width // side, side, 3).mean((2, 4))
    changed = (np.abs(np.diff(blocks, axis=0)).mean(-1) > CHANGED).mean((1, 2))
    around = np.pad(changed, 1)
    usual = np.maximum(around[:-2], around[2:])
    return tuple(int(t) for t in 1 + np.flatnonzero(changed > usual + SUDDEN))


def style_of(frames: UInt8[np.ndarray, "t h w 3"]) -> Style:
    """The style that a shot is drawn in, by its pixels."""
    pixels = frames.astype(np.float32)
    grey = pixels.mean(-1)
    if np.abs(pixels - grey[..., None]).mean() < COLOURLESS:
        return "black and white"
    if _within(grey) < BLOCKY:
        return "pixel art"
    closed = ndimage.grey_closing(grey, size=(1, 3, 3))
    ink = (closed - grey > 0.75 * closed) & (closed > 20)
    return "toon" if ink.mean() > INKED else "plain"


def _within(grey: Float[np.ndarray, "t h w"]) -> float:
    """How much grey changes from pixel to pixel within blocks of pixel art, as a share of what it does between them."""
    side = pixel_side(*grey.shape[1:])
    change = np.abs(np.diff(grey, axis=2)).mean((0, 1))
    between = np.arange(1, grey.shape[2]) % side == 0
    return float(change[~between].mean() / max(change[between].mean(), 1e-6))


def cast_of(tables: Tables, frames: UInt8[np.ndarray, "t h w 3"]) -> frozenset[str]:
    """The colours of the things that a shot shows."""
    tracks = tracked(tables, frames)[2]
    return frozenset(color for color, track in tracks.items() if track.seen >= HERE)


def measure_films(
    tables: Tables, films: Sequence[FilmClip], videos: Sequence[UInt8[np.ndarray, "_ h w 3"]]
) -> dict[str, Share]:
    """What holds of videos of as many films; the films are what they should show.

    A style holds in a shot if it is that of the video's own first shot, and one of the cast if it is there again; in
    black and white there are no colours to tell the cast by. What comes back is compared with where and how large the
    film's own things are then, so the videos must begin with the film's first frames.
    """
    found: dict[str, list[bool]] = {}

    def note(name: str, results: Sequence[bool]) -> None:
        found.setdefault(name, []).extend(results)

    for film, video in zip(films, videos, strict=True):
        cuts = cuts_of(video)
        note("cuts", [any(abs(cut - asked) <= 1 for cut in cuts) for asked in film.cuts])
        note("no other cut", [all(any(abs(cut - asked) <= 1 for asked in film.cuts) for cut in cuts)])
        shots = [video[a:b] for a, b in pairwise((0, *film.cuts, len(video)))]
        styles = [style_of(shot) for shot in shots]
        note("style as asked", [style == film.scenes[0].style for style in styles])
        note("style holds", [style == styles[0] for style in styles[1:]])
        if film.scenes[0].style != "black and white":
            asked, casts = {s.color for s in film.scenes[0].subjects}, [cast_of(tables, shot) for shot in shots]
            note("cast as asked", [color in cast for cast in casts for color in asked])
            note("cast holds", [color in cast for cast in casts[1:] for color in asked & casts[0]])
            for came in _returns(tables, film, shots):
                note("comes back", [came.back])
                if came.back:
                    note("comes back as large", [came.size])
                    note("comes back in its place", [came.place])
    return {name: Share(sum(results), len(results)) for name, results in found.items()}


@dataclass(frozen=True)
class _Return:
    """What became of one thing that was out of sight."""

    back: bool
    size: bool
    place: bool


def _returns(tables: Tables, film: FilmClip, shots: Sequence[UInt8[np.ndarray, "_ h w 3"]]) -> Iterator[_Return]:
    """Of every thing that leaves and comes back within a shot, if it was found before it left."""
    for scene, trajectory, frames in zip(film.scenes, film.trajectories, shots, strict=True):
        aspect = frames.shape[2] / frames.shape[1]
        shown = visibility(scene, trajectory, aspect)
        gone = [absences(shown[:, i]) for i in range(len(scene.subjects))]
        if not any(absent.any() for absent in gone):
            continue
        centres, scale = project(
            scene.camera, trajectory.camera_positions, trajectory.camera_targets, trajectory.positions
        )
        reach = np.array([max(aspect, 1.0), -max(1 / aspect, 1.0)])
        tracks = tracked(tables, frames)[2]
        for i, subject in enumerate(scene.subjects):
            if gone[i].any():
                places = (centres[:, i] / reach + 1) / 2
                came = _return(tracks[subject.color], gone[i], shown[:, i] > SEEN, places, scale[:, i], aspect)
                if came is not None:
                    yield came


def _return(
    track: Track,
    absent: np.ndarray,
    seen: np.ndarray,
    places: Float[np.ndarray, "t 2"],
    scale: Float[np.ndarray, " t"],
    aspect: float,
) -> _Return | None:
    """`places` and `scale` are the true ones; None where it was never found before it left."""
    first, last = np.flatnonzero(absent)[[0, -1]]
    times, shown = np.arange(len(absent)), track.areas > 0
    before, after = shown & seen & (times < first), shown & seen & (times > last)
    if not before.any():
        return None
    back = 2 * after.sum() > (seen & (times > last)).sum()
    if not back:
        return _Return(False, False, False)
    grown = np.sqrt(np.median(track.areas[after]) / np.median(track.areas[before]))
    factor = grown / (np.median(scale[after]) / np.median(scale[before]))
    apart = (track.places[after] - places[after]) * (1, 1 / aspect)
    size = bool(1 / SAME_SIZE < factor < SAME_SIZE)
    return _Return(True, size, bool(np.median(np.linalg.norm(apart, axis=-1)) < SAME_PLACE))
