"""How much of a picture lines of text cover, without reading them: a gradient filter and the shapes of its regions."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import UInt8

SIDE = 512
"""Longer side of the pictures that are looked at."""
MIN_GRADIENT = 60
"""Gray levels between a letter and what is behind it, at least."""
MIN_HEIGHT, MAX_HEIGHT = 6, 80
"""Of a line of text, in these pixels."""
MIN_ASPECT, MIN_FILL, MIN_STROKES = 2.0, 0.45, 5
"""Width by height of a line; share of its box that its region fills; changes between letter and background along it."""


def text_area(gray: UInt8[np.ndarray, "h w"]) -> float:
    """The share of the picture that boxes around lines of text cover.

    A line is a wide, filled region of strong gradients that alternates many times from left to right.
    """
    height, width = gray.shape
    scale = SIDE / max(height, width)
    size = max(1, round(scale * width)), max(1, round(scale * height))
    gray = cv2.resize(gray, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    gradient = cv2.morphologyEx(gray, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    _, strong = cv2.threshold(gradient, MIN_GRADIENT, 255, cv2.THRESH_BINARY)
    joined = cv2.morphologyEx(strong, cv2.MORPH_CLOSE, np.ones((1, 13), np.uint8))
    _, _, boxes, _ = cv2.connectedComponentsWithStats(joined)
    covered = 0
    for left, top, box_width, box_height, area in boxes[1:]:
        if not MIN_HEIGHT <= box_height <= MAX_HEIGHT or box_width < MIN_ASPECT * box_height:
            continue
        inside = strong[top : top + box_height, left : left + box_width] > 0
        if area >= MIN_FILL * box_width * box_height and _strokes(inside) >= MIN_STROKES * box_width / box_height / 2:
            covered += box_width * box_height
    return float(covered / gray.size)


def _strokes(inside: np.ndarray) -> float:
    """Changes between gradient and none in a row, in the mean over the middle rows."""
    middle = inside[len(inside) // 4 : -(len(inside) // 4) or None]
    return float(np.abs(np.diff(middle.astype(np.int8), axis=1)).sum(axis=1).mean()) if middle.size else 0.0
