"""Finds hate symbols in images by template matching: only the symbols of data/symbols.toml.

An image is thresholded at several levels of brightness and color. Each connected component is centered, scaled to unit
spread and compared with drawn templates at all rotations, by normalized correlation. The symbol must stand out from its
surroundings and be seen roughly from the front; docs/safety.md says how small and how blurred it may be.
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
"""Pixels of the short side to which an image is resized."""
GRID, REACH = 24, 2.1
"""Templates have GRID × GRID samples, up to REACH standard deviations from the center to each side."""
ROTATION_STEP = 5
"""Degrees between the rotations of a template."""
THIN_STROKE, SMALL_SIDE = 0.2, 27
"""Symbols with strokes thinner than THIN_STROKE (of half a symbol's side) are also matched as drawn on SMALL_SIDE
pixels."""
MIN_CORRELATION, MAX_CORRELATION = 0.60, 0.98
"""Correlations that score 0 and 1; halfway is the operating point, which `lumora redteam` measures."""
LEVELS: dict[str, tuple[float, ...]] = {"light": (40, 75, 110, 145, 180, 215), "red": (-30, 30), "blue": (-30, 30)}
"""Thresholds of brightness (0 to 255) and of the two opponent colors (−255 to 255)."""
MIN_SIDE, MAX_SIDE = 9.0, 0.95
"""Smallest side of a component in pixels of the resized image, and largest as a share of the image's side."""
MIN_ORIGINAL_SIDE = 8
"""Smallest side of a component in pixels of the original image: fewer, scaled up, may look like anything."""


class SymbolCheck:
    """A check of single images for the category `hate`."""

    def __init__(self, policy: Policy):
        self.policy = policy

    def check(self, image: UInt8[np.ndarray, "h w 3"], /) -> Verdict:
        name, correlation = best_match(image)
        value = float(np.clip((correlation - MIN_CORRELATION) / (MAX_CORRELATION - MIN_CORRELATION), 0, 1))
        return self.policy.judge({"hate": Score(value, f"shape like {name.replace('_', ' ')}")})


def best_match(image: UInt8[np.ndarray, "h w 3"]) -> tuple[str, float]:
    """The symbol with the highest correlation to any component of the image, and that correlation."""
    names, bank = templates()
    resized = _resize(image)
    min_side = max(MIN_SIDE, MIN_ORIGINAL_SIDE * len(resized) / len(image))
    shapes = [normalize_shape(component) for component in _all_components(resized, min_side)]
    if not shapes:
        return names[0], 0.0
    correlation = np.stack(shapes) @ bank.T
    return names[int(correlation.max(0).argmax())], float(correlation.max())


def symbol_outlines() -> dict[str, Mapping[str, Any]]:
    """The strokes, circles, stroke width and maximum rotation of each symbol, as in data/symbols.toml."""
    data = tomllib.loads((DATA / "symbols.toml").read_text("utf-8"))
    return {name: outline for name, outline in data.items() if isinstance(outline, dict)}


@cache
def templates() -> tuple[list[str], Float[np.ndarray, "n d"]]:
    """The name of each template, and the templates: the symbols at all rotations, those with thin strokes also as they
    look when small, each of zero mean and unit length."""
    names: list[str] = []
    rows: list[np.ndarray] = []
    for name, outline in symbol_outlines().items():
        for degrees in range(-outline["turn"], outline["turn"] + 1, ROTATION_STEP):
            for mirrored in (False, True):
                mask = draw_symbol(outline, 144, float(degrees), mirrored)
                masks = [mask, as_seen_small(mask)] if outline["width"] < THIN_STROKE else [mask]
                names += [name] * len(masks)
                rows += map(normalize_shape, masks)
    return names, np.stack(rows)


def draw_symbol(
    outline: Mapping[str, Any], side: int, degrees: float = 0.0, mirrored: bool = False
) -> Bool[np.ndarray, "s s"]:
    """The symbol's mask on a square of `side` pixels, with a margin for rotation."""
    scale, middle = side / 2 / 1.5, side / 2
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    flip = np.array([-1.0 if mirrored else 1.0, 1.0])
    width = max(1, round(outline["width"] * scale))
    image = Image.new("L", (side, side))
    pen = ImageDraw.Draw(image)
    for stroke in outline["strokes"]:
        points = (np.array(stroke) * flip) @ turn.T * scale + middle
        pen.line([tuple(p) for p in points.tolist()], fill=255, width=width, joint="curve")
        for x, y in points.tolist():  # round ends; square ones would rotate with the line
            pen.ellipse((x - width / 2, y - width / 2, x + width / 2, y + width / 2), fill=255)
    for x, y, radius in outline["circles"]:
        (a, b), r = (np.array([x, y]) * flip) @ turn.T * scale + middle, radius * scale + width / 2
        pen.ellipse((a - r, b - r, a + r, b + r), outline=255, width=width)
    return np.asarray(image) > 127


def as_seen_small(mask: Bool[np.ndarray, "s s"]) -> Bool[np.ndarray, "t t"]:
    """The mask as it looks after being drawn on few pixels and enlarged: thin strokes merge where they meet, as the
    rays of a black sun do in its center. A pixel counts if a third of it is covered."""
    small = Image.fromarray(mask.astype(np.uint8) * 255).resize((SMALL_SIDE, SMALL_SIDE), Image.Resampling.BOX)
    return np.asarray(small.resize((4 * SMALL_SIDE, 4 * SMALL_SIDE), Image.Resampling.BICUBIC)) > 255 / 3


def normalize_shape(component: Bool[np.ndarray, "h w"]) -> Float[np.ndarray, " d"]:
    """The component sampled on the common grid, centered and scaled to unit spread; zero mean and unit length."""
    rows, columns = np.nonzero(component)
    y, x = rows.mean(), columns.mean()
    spread = max(np.sqrt(((rows - y) ** 2 + (columns - x) ** 2).mean() / 2), 1e-3)
    steps = np.linspace(-REACH, REACH, GRID) * spread
    down, right = np.meshgrid(y + steps, x + steps, indexing="ij")
    samples = ndimage.map_coordinates(component.astype(np.float32), [down, right], order=1).ravel()
    centered = samples - samples.mean()
    return centered / max(float(np.linalg.norm(centered)), 1e-6)


def _resize(image: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "_ _ 3"]:
    height, width = image.shape[:2]
    scale = SIDE / min(height, width)
    size = round(width * scale), round(height * scale)
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))


def _all_components(image: UInt8[np.ndarray, "h w 3"], min_side: float) -> Iterator[Bool[np.ndarray, "_ _"]]:
    """The connected components of suitable size and shape above or below each threshold of each channel."""
    red, green, blue = np.moveaxis(image.astype(np.float32), -1, 0)
    channels = {"light": 0.3 * red + 0.59 * green + 0.11 * blue, "red": red - green, "blue": blue - (red + green) / 2}
    for channel, levels in LEVELS.items():
        for level in levels:
            above = channels[channel] > level
            for mask in (above, ~above):
                yield from _components(mask, min_side)


def _components(mask: Bool[np.ndarray, "h w"], min_side: float) -> Iterator[Bool[np.ndarray, "_ _"]]:
    labels = np.empty(mask.shape, np.int32)
    ndimage.label(mask, np.ones((3, 3)), output=labels)
    max_side = MAX_SIDE * min(mask.shape)
    for number, (rows, columns) in enumerate(ndimage.find_objects(labels), 1):
        height, width = rows.stop - rows.start, columns.stop - columns.start
        short, long = sorted((height, width))
        if short >= min_side and long <= max_side and long < 2.5 * short:
            yield labels[rows, columns] == number
