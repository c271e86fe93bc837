"""The check of frames: every frame of a video, whole and in five crops; the highest score decides."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import UInt8

from lumora.safety.verdict import Check, Verdict, combine_verdicts

CROP_SIZE = 0.6
"""Side of a crop as a share of the frame's. Small objects fill more of a crop, and the crops overlap."""


class FrameCheck:
    """Applies checks of single images to every view of every frame."""

    def __init__(self, image_checks: Sequence[Check[UInt8[np.ndarray, "h w 3"]]]):
        if not image_checks:
            raise ValueError("A frame check without image checks would allow everything; give at least one.")
        self.image_checks = tuple(image_checks)

    def check(self, frames: UInt8[np.ndarray, "t h w 3"], /) -> Verdict:
        """Raises ValueError for a video without frames."""
        if not len(frames):
            raise ValueError("The video has no frames.")
        return combine_verdicts(
            check.check(view) for frame in frames for view in views(frame) for check in self.image_checks
        )


def views(frame: UInt8[np.ndarray, "h w 3"]) -> Iterator[UInt8[np.ndarray, "_ _ 3"]]:
    """The frame, its four corners and its center."""
    yield frame
    height, width = frame.shape[:2]
    crop_height, crop_width = max(1, round(CROP_SIZE * height)), max(1, round(CROP_SIZE * width))
    bottom, right = height - crop_height, width - crop_width
    for top, left in ((0, 0), (0, right), (bottom, 0), (bottom, right), (bottom // 2, right // 2)):
        yield frame[top : top + crop_height, left : left + crop_width]
