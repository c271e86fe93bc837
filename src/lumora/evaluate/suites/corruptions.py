"""Corrupted real clips, to test how well an instrument reads videos of lower quality."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from lumora.evaluate.frames import Frames

NOISE = 8.0
"""Standard deviation in gray levels."""
BLUR = 3
"""Side of the blur kernel in pixels."""


def blurred(frames: Frames) -> Frames:
    """Box blur over BLUR × BLUR pixels."""
    weights = np.full((1, BLUR, BLUR, 1), 1 / BLUR**2, np.float32)
    return ndimage.convolve(frames.astype(np.float32), weights, mode="nearest").round().astype(np.uint8)


def noisy(frames: Frames, rng: np.random.Generator) -> Frames:
    """Independent Gaussian noise for each pixel and frame."""
    noise = NOISE * rng.standard_normal(frames.shape, np.float32)
    return (frames + noise).round().clip(0, 255).astype(np.uint8)


def corrupted(clips: Sequence[Frames]) -> dict[str, list[Frames]]:
    """The clips by corruption: `blur` and `noise`."""
    return {
        "blur": [blurred(frames) for frames in clips],
        "noise": [noisy(frames, np.random.default_rng(n)) for n, frames in enumerate(clips)],
    }
