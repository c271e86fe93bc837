"""Real clips made worse: an instrument that is to judge what a model makes must read these too."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8
from scipy import ndimage

NOISE = 8.0
"""Standard deviation, in grey levels."""
BLUR = 3
"""Pixels, of a square."""

Frames = UInt8[np.ndarray, "t h w 3"]


def blurred(frames: Frames) -> Frames:
    """Means over squares of BLUR pixels."""
    weights = np.full((1, BLUR, BLUR, 1), 1 / BLUR**2, np.float32)
    return ndimage.convolve(frames.astype(np.float32), weights, mode="nearest").round().astype(np.uint8)


def noisy(frames: Frames, rng: np.random.Generator) -> Frames:
    """With noise that differs from pixel to pixel and frame to frame."""
    noise = NOISE * rng.standard_normal(frames.shape, np.float32)
    return (frames + noise).round().clip(0, 255).astype(np.uint8)


def degraded(clips: Sequence[Frames]) -> dict[str, list[Frames]]:
    """By the name of what was done."""
    return {
        "blur": [blurred(frames) for frames in clips],
        "noise": [noisy(frames, np.random.default_rng(n)) for n, frames in enumerate(clips)],
    }
