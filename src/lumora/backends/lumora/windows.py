"""In which order a long video is made: some latent frames at a time, each time going on from latents that are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from lumora.config import ModelConfig

CONTEXT_LATENTS = 2
"""Latent frames that are seen of what lies before and behind: fewer tell no speed."""


@dataclass(frozen=True)
class Window:
    frames: range
    """Latent frames that are seen; those of them that aren't known yet are made."""
    shot: int
    """Whose prompt it is made of."""


def default_window_frames(config: ModelConfig, together: bool = False) -> int:
    """As many latent frames as a model was trained on, and as it can see besides; or shots that are made together."""
    return 1 + (config.trained_frames(together) - 1) // config.codec.temporal_compression + CONTEXT_LATENTS


def plan_windows(
    mask: Float[np.ndarray, " t"], ends: Sequence[int], most: int, known: int = CONTEXT_LATENTS
) -> list[Window]:
    """What is made one after the other, until nothing has a mask above 0; shots end before the latent frames `ends`.

    At most `most` latent frames at a time, and up to `known` more at the last of a gap, to see what follows. What
    comes next depends on the mask alone, so work goes on wherever it was left.
    """
    mask, planned = mask.copy(), []
    while (mask > 0).any():
        frames = _next(mask, ends, most, known)
        first = next(f for f in frames if mask[f] > 0)
        planned.append(Window(frames, next(shot for shot, end in enumerate(ends) if end > first)))
        mask[frames.start : frames.stop] = 0
    return planned


def _next(mask: Float[np.ndarray, " t"], ends: Sequence[int], most: int, known: int) -> range:
    """All if that is few enough; else some of the first unknown run: forward, or backward if only its end is known."""
    frames = len(mask)
    if frames <= most and len(ends) == 1:
        return range(frames)
    first = int(np.flatnonzero(mask > 0)[0])
    stop = next((f for f in range(first + 1, frames) if mask[f] == 0 or f in ends), frames)
    behind = next((f for f in range(stop, min(frames, stop + known)) if mask[f] > 0), min(frames, stop + known))
    if first == 0 and behind > stop:
        return range(max(0, stop - max(1, most - known)), behind)
    start = max(0, first - known)
    return range(start, behind if stop - start <= most else start + most)
