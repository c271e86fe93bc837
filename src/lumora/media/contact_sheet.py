"""Many videos on one image: a grid of strips of frames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

from lumora.media.video import Video

GAP = 4
"""Pixels between strips."""
FONT_PIXELS, LINE_PIXELS = 11, 14
"""Height of the labels' font and of a line."""


def contact_sheet(
    videos: Sequence[Video], columns: int, pictures: int = 4, labels: Sequence[str] | None = None, height: int = 128
) -> UInt8[np.ndarray, "h w 3"]:
    """A grid of strips, each of `pictures` frames evenly spaced from the first to the last of a video.

    Strips are `height` pixels high; each label stands under its strip, in as many lines as it needs. Raises ValueError
    if there are no videos, or not as many labels as videos.
    """
    if not videos:
        raise ValueError("A contact sheet needs at least one video.")
    if labels is not None and len(labels) != len(videos):
        raise ValueError(f"{len(videos)} videos need as many labels, not {len(labels)}.")
    strips = [_strip(video, pictures, height) for video in videos]
    cell_width = max(strip.width for strip in strips)
    font = ImageFont.load_default(size=FONT_PIXELS)
    texts = [_wrapped(label, font, cell_width) for label in labels or []]
    cell_height = height + max((len(lines) for lines in texts), default=0) * LINE_PIXELS
    rows = -(-len(videos) // columns)
    sheet = Image.new("RGB", (columns * (cell_width + GAP) + GAP, rows * (cell_height + GAP) + GAP), "white")
    draw = ImageDraw.Draw(sheet)
    for index, strip in enumerate(strips):
        x, y = GAP + index % columns * (cell_width + GAP), GAP + index // columns * (cell_height + GAP)
        sheet.paste(strip, (x, y))
        for number, line in enumerate(texts[index] if texts else []):
            draw.text((x, y + height + number * LINE_PIXELS), line, "black", font)
    return np.asarray(sheet)


def _strip(video: Video, count: int, height: int) -> Image.Image:
    frames = video.frames[np.linspace(0, len(video.frames) - 1, count).round().astype(int)]
    width = max(1, round(height * frames.shape[2] / frames.shape[1]))
    strip = Image.new("RGB", (width * count, height))
    for column, frame in enumerate(frames):
        strip.paste(Image.fromarray(frame).resize((width, height), Image.Resampling.LANCZOS), (column * width, 0))
    return strip


def _wrapped(text: str, font: Any, width: int) -> list[str]:
    """`text` in lines of at most `width` pixels; a word that is longer has a line of its own."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if not lines[-1] or font.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines
