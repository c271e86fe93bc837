"""The order in which a long segment is sampled: windows of latent frames, each of which continues known latents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from lumora.config import ModelConfig

CONTEXT_LATENTS = 2
"""Known latent frames that a window sees before and after what it generates; one alone shows no velocity."""


@dataclass(frozen=True)
class Window:
    frames: range
    """Latent frames in the window; those that are not known yet are generated."""
    shot: int
    """Index of the shot whose prompt is used."""


def default_window_frames(config: ModelConfig, multi_shot: bool = False) -> int:
    """Latent frames of the clips that a model was trained on, plus the context."""
    return 1 + (config.trained_frames(multi_shot) - 1) // config.codec.temporal_compression + CONTEXT_LATENTS


def plan_windows(
    denoise_mask: Float[np.ndarray, " t"], shot_ends: Sequence[int], max_frames: int, context: int = CONTEXT_LATENTS
) -> list[Window]:
    """Windows in the order in which they are sampled, until no latent frame has a mask above 0.

    A window has at most `max_frames` latent frames, and up to `context` more at the end of a gap, to see what follows.
    The next window depends on the mask alone, so interrupted work continues anywhere.
    """
    mask, windows = denoise_mask.copy(), []
    while (mask > 0).any():
        frames = _next_window(mask, shot_ends, max_frames, context)
        first = next(frame for frame in frames if mask[frame] > 0)
        windows.append(Window(frames, next(shot for shot, end in enumerate(shot_ends) if end > first)))
        mask[frames.start : frames.stop] = 0
    return windows


def _next_window(mask: Float[np.ndarray, " t"], shot_ends: Sequence[int], max_frames: int, context: int) -> range:
    """All latent frames if there are few enough; else a part of the first unknown run: its beginning, or its end if
    only what follows is known."""
    num_frames = len(mask)
    if num_frames <= max_frames and len(shot_ends) == 1:
        return range(num_frames)
    first = int(np.flatnonzero(mask > 0)[0])
    stop = next((f for f in range(first + 1, num_frames) if mask[f] == 0 or f in shot_ends), num_frames)
    context_stop = min(num_frames, stop + context)
    context_stop = next((f for f in range(stop, context_stop) if mask[f] > 0), context_stop)
    if first == 0 and context_stop > stop:
        return range(max(0, stop - max(1, max_frames - context)), context_stop)
    start = max(0, first - context)
    return range(start, context_stop if stop - start <= max_frames else start + max_frames)
