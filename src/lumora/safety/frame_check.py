"""The review of frames: every frame of a video, whole and in five crops, before anybody sees it; the worst view
decides."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import UInt8

from lumora.safety.verdict import Check, Verdict, joined

CROP = 0.6
"""Side of a crop as a share of the picture's: small things fill more of it, and what one crop cuts another holds."""


class FrameReview:
    """A check of frames made of checks of single pictures. A check that fails raises, and the panel refuses."""

    def __init__(self, pictures: Sequence[Check[UInt8[np.ndarray, "h w 3"]]]):
        if not pictures:
            raise ValueError("A review without checks would allow everything: give at least one.")
        self.pictures = tuple(pictures)

    def check(self, frames: UInt8[np.ndarray, "t h w 3"], /) -> Verdict:
        """Raises ValueError for a video without frames: of nothing there is nothing to allow."""
        return joined(check.check(view) for frame in frames for view in views(frame) for check in self.pictures)


def views(frame: UInt8[np.ndarray, "h w 3"]) -> Iterator[UInt8[np.ndarray, "_ _ 3"]]:
    """The frame, its four corners and its middle."""
    yield frame
    height, width = frame.shape[:2]
    tall, wide = max(1, round(CROP * height)), max(1, round(CROP * width))
    down, right = height - tall, width - wide
    for top, left in ((0, 0), (0, right), (down, 0), (down, right), (down // 2, right // 2)):
        yield frame[top : top + tall, left : left + wide]
