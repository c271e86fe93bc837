"""Finds symbols of hate in pictures by their shape: no learning, so it sees what is in data/symbols.toml and nothing
else.

A picture is cut at several levels of brightness and colour; each connected piece is moved, scaled to unit spread and
compared with drawn templates in all their turns, by normalised correlation. That needs a symbol that stands out from
what is
around it, seen more or less from the front; docs/safety.md has how small and how blurred it may be.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, UInt8
from PIL import Image, ImageDraw
from scipy import ndimage

from lumora.safety.policy import DATA, Policy
from lumora.safety.verdict import Score, Verdict

SIDE = 96
"""Pixels to which a view's short side is brought."""
GRID, REACH = 24, 2.1
"""Templates are GRID × GRID samples, REACH standard deviations from the centre to each side."""
STEP = 5
"""Degrees from one turn of a template to the next."""
FINE, FEW = 0.2, 27
"""Strokes thinner than this, of half a symbol's side, are fine; pixels of its drawing's side where it is small."""
SURE, UNSURE = 0.98, 0.60
"""Correlations that score 1 and 0; half-way lies the operating point, which `lumora redteam` measures."""
LEVELS: dict[str, tuple[float, ...]] = {"light": (40, 75, 110, 145, 180, 215), "red": (-30, 30), "blue": (-30, 30)}
"""Where light and the two opponent colours are cut, of values from 0 to 255 and −255 to 255."""
SMALLEST, LARGEST = 9.0, 0.95
"""Least side of a piece in pixels, and greatest as a share of the view's."""
DRAWN = 8
"""Least side of a piece in pixels of the view as it came: fewer, scaled up, may look like anything."""


class SymbolCheck:
    """A check of single pictures for the category `hate`."""

    def __init__(self, policy: Policy):
        self.policy = policy

    def check(self, picture: UInt8[np.ndarray, "h w 3"], /) -> Verdict:
        name, likeness = most_alike(picture)
        value = float(np.clip((likeness - UNSURE) / (SURE - UNSURE), 0, 1))
        return self.policy.judge({"hate": Score(value, f"shape like {name.replace('_', ' ')}")})


def most_alike(picture: UInt8[np.ndarray, "h w 3"]) -> tuple[str, float]:
    """The symbol that a piece of the picture is most like, and their correlation."""
    names, bank = templates()
    scaled = _scaled(picture)
    least = max(SMALLEST, DRAWN * len(scaled) / len(picture))
    shapes = [normalised(piece) for piece in _pieces(scaled, least)]
    if not shapes:
        return names[0], 0.0
    likeness = np.stack(shapes) @ bank.T
    return names[int(likeness.max(0).argmax())], float(likeness.max())


def outlines() -> dict[str, Mapping[str, Any]]:
    """Of each symbol its strokes, circles, width, and how far it may be turned, as in data/symbols.toml."""
    said = tomllib.loads((DATA / "symbols.toml").read_text("utf-8"))
    return {name: about for name, about in said.items() if isinstance(about, dict)}


@cache
def templates() -> tuple[list[str], Float[np.ndarray, "n d"]]:
    """The drawn symbols in all their turns, fine ones also as they look when they are small, each of zero mean and unit
    length, and the name of each."""
    names: list[str] = []
    rows: list[np.ndarray] = []
    for name, outline in outlines().items():
        for turn in range(-outline["turn"], outline["turn"] + 1, STEP):
            for mirrored in (False, True):
                mask = drawn(outline, 144, float(turn), mirrored)
                seen = [mask, seen_small(mask)] if outline["width"] < FINE else [mask]
                names += [name] * len(seen)
                rows += map(normalised, seen)
    return names, np.stack(rows)


def drawn(
    outline: Mapping[str, Any], side: int, degrees: float = 0.0, mirrored: bool = False
) -> Bool[np.ndarray, "s s"]:
    """The symbol's mask on a square of `side` pixels, with a margin that lets it turn."""
    scale, middle = side / 2 / 1.5, side / 2
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    flip = np.array([-1.0 if mirrored else 1.0, 1.0])
    width = max(1, round(outline["width"] * scale))
    picture = Image.new("L", (side, side))
    pen = ImageDraw.Draw(picture)
    for stroke in outline["strokes"]:
        points = (np.array(stroke) * flip) @ turn.T * scale + middle
        pen.line([tuple(p) for p in points.tolist()], fill=255, width=width, joint="curve")
        for x, y in points.tolist():  # square ends would turn with the line and not with the symbol
            pen.ellipse((x - width / 2, y - width / 2, x + width / 2, y + width / 2), fill=255)
    for x, y, radius in outline["circles"]:
        (a, b), r = (np.array([x, y]) * flip) @ turn.T * scale + middle, radius * scale + width / 2
        pen.ellipse((a - r, b - r, a + r, b + r), outline=255, width=width)
    return np.asarray(picture) > 127


def seen_small(mask: Bool[np.ndarray, "s s"]) -> Bool[np.ndarray, "t t"]:
    """A drawing on few pixels, brought to a view's again, and cut where a third of a pixel is covered: fine strokes run
    together where they meet, as the rays of a black sun do in its middle."""
    few = Image.fromarray(mask.astype(np.uint8) * 255).resize((FEW, FEW), Image.Resampling.BOX)
    return np.asarray(few.resize((4 * FEW, 4 * FEW), Image.Resampling.BICUBIC)) > 255 / 3


def normalised(piece: Bool[np.ndarray, "h w"]) -> Float[np.ndarray, " d"]:
    """The piece on the common grid, moved to its centre and scaled to its spread, of zero mean and unit length."""
    rows, columns = np.nonzero(piece)
    y, x = rows.mean(), columns.mean()
    spread = max(np.sqrt(((rows - y) ** 2 + (columns - x) ** 2).mean() / 2), 1e-3)
    steps = np.linspace(-REACH, REACH, GRID) * spread
    down, right = np.meshgrid(y + steps, x + steps, indexing="ij")
    samples = ndimage.map_coordinates(piece.astype(np.float32), [down, right], order=1).ravel()
    centred = samples - samples.mean()
    return centred / max(float(np.linalg.norm(centred)), 1e-6)


def _scaled(picture: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "_ _ 3"]:
    height, width = picture.shape[:2]
    scale = SIDE / min(height, width)
    size = round(width * scale), round(height * scale)
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BICUBIC))


def _pieces(picture: UInt8[np.ndarray, "h w 3"], least: float) -> Iterator[Bool[np.ndarray, "_ _"]]:
    """The connected pieces of a fitting size and shape that are lighter, darker or of another colour than a level."""
    red, green, blue = np.moveaxis(picture.astype(np.float32), -1, 0)
    channels = {"light": 0.3 * red + 0.59 * green + 0.11 * blue, "red": red - green, "blue": blue - (red + green) / 2}
    for channel, levels in LEVELS.items():
        for level in levels:
            above = channels[channel] > level
            for mask in (above, ~above):
                yield from _components(mask, least)


def _components(mask: Bool[np.ndarray, "h w"], least: float) -> Iterator[Bool[np.ndarray, "_ _"]]:
    labels = np.empty(mask.shape, np.int32)
    ndimage.label(mask, np.ones((3, 3)), output=labels)
    most = LARGEST * min(mask.shape)
    for number, (rows, columns) in enumerate(ndimage.find_objects(labels), 1):
        height, width = rows.stop - rows.start, columns.stop - columns.start
        if min(height, width) >= least and max(height, width) <= most and max(height, width) < 2.5 * min(height, width):
            yield labels[rows, columns] == number
