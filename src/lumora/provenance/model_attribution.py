"""Traces that the model's codec leaves in every video it decodes: was a video made by this model, here or elsewhere?

An autoencoder reconstructs its own output better than other images (Ricker, Lukovnikov and Fischer, "AEROBLADE",
arXiv:2401.17879). The error of a reconstruction depends on the content, so the trace consists of two ratios in which
that dependence cancels. `passes` compares a second pass through the codec with the first: a foreign video loses much
in the first pass and little in the second. `grid` compares a pass that is shifted by a few pixels against the codec's
grid of squares with one on the grid: a foreign video is not aligned to any such grid. Blurred or empty frames can show
the first trace and the squares of other codecs the second, so the weaker of both counts.

This attributes a video to the *model*. It tells neither who ran the model nor which video it is, and the few foreign
videos measured cannot show a small p-value. So a trace never makes the answer of `detect` "ours"; it only prevents
"not ours".
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from lumora.codec import Codec
from lumora.media.video import Video

TRACE_FRAMES, TRACE_SIDE = 17, 128
"""Only the first frames are used, and of these the central part, at most this many pixels a side."""
GRID_SHIFT = (2, 5)
"""Shift against the grid in pixels, down and across: no fraction of a square that other codecs use as well."""
FOREIGN_PASSES, FOREIGN_GRID = (-1.8, 0.35), (0.01, 0.03)
"""Mean and standard deviation of both ratios over foreign videos."""
MIN_P_VALUE = 1 / 301
"""The smallest p-value that 300 foreign clips can show."""
MIN_ERROR = (2 / 255) ** 2
"""Added to the mean square errors, for pixels from −1 to 1: one level of 8 bits. Where errors are smaller, as in a
black video, their ratio says nothing."""


@dataclass(frozen=True)
class CodecTrace:
    """Natural logarithms of ratios of mean square errors: about −1.9 and 0 for foreign videos, −0.6 and 0.4 for
    ours."""

    passes: float
    """The second pass through the codec to the first."""
    grid: float
    """A pass off the grid to one on it."""

    @cached_property
    def z_score(self) -> float:
        """How many standard deviations of foreign videos the weaker ratio lies above their mean."""
        ratios = ((self.passes, *FOREIGN_PASSES), (self.grid, *FOREIGN_GRID))
        return min((value - mean) / deviation for value, mean, deviation in ratios)

    @property
    def p_value(self) -> float:
        """Upper bound of the rate at which foreign videos have such a trace."""
        return trace_p_value(self.z_score)


def trace_of(video: Video, codec: Codec) -> CodecTrace | None:
    """The trace in a video of at least four squares of the codec's grid a side; None for a smaller one.

    Of a larger video than `central_part` gives, only that part is used.
    """
    pixels, square = _pixels(video, codec), codec.config.spatial_compression
    height, width = (side // square * square - square for side in pixels.shape[-2:])
    if min(height, width) < 3 * square:
        return None
    with torch.inference_mode():
        once = _reconstruct(codec, pixels)
        down, across = GRID_SHIFT
        part = (..., slice(down, down + height), slice(across, across + width))
        inner = (..., slice(square, -square), slice(square, -square))  # errors are larger at the borders
        off_grid = _reconstruct(codec, pixels[part]) - pixels[part]
        return CodecTrace(
            passes=_log_ratio(_reconstruct(codec, once) - once, once - pixels),
            grid=_log_ratio(off_grid[inner], (once - pixels)[part][inner]),
        )


def central_part(frame: UInt8[np.ndarray, "h w 3"], square: int) -> UInt8[np.ndarray, "part_h part_w 3"]:
    """The part of a frame that `trace_of` uses: whole squares of the codec's grid around the center."""
    for axis in (0, 1):
        limit = TRACE_SIDE // square * square
        begin = max(0, frame.shape[axis] - limit) // 2 // square * square
        frame = frame.take(range(begin, min(begin + limit, frame.shape[axis])), axis)
    return frame


def trace_p_value(z_score: float) -> float:
    """Upper bound of the rate at which foreign videos have a z-score this high.

    The line lies above the measured rates of 300 foreign clips (the simulated world and films) as lumora would publish
    them, and of 150 of them after H.264 at CRF 28. Of the first, 5 % have a z-score of at least .36, 1 % of .93, and
    the highest is 1.84; of the others, 5 % have .62, 1 % have 1.31, and the highest is 1.83.
    """
    return max(MIN_P_VALUE, 10 ** -(max(z_score, 0.0) / 0.8))


def _pixels(video: Video, codec: Codec) -> Float[Tensor, "1 3 t h w"]:
    """The central part of as many of the first frames as the codec takes, from −1 to 1."""
    step, square = codec.config.temporal_compression, codec.config.spatial_compression
    count = (min(TRACE_FRAMES, len(video.frames)) - 1) // step * step + 1
    frames = np.stack([central_part(frame, square) for frame in video.frames[:count]])
    device = next(codec.parameters()).device
    return torch.from_numpy(frames).to(device).permute(3, 0, 1, 2)[None].float() / 127.5 - 1


def _reconstruct(codec: Codec, pixels: Float[Tensor, "1 3 t h w"]) -> Float[Tensor, "1 3 t h w"]:
    height, width = pixels.shape[-2:]
    return codec.decode(codec.encode(pixels), size=(height, width), clamp=True)


def _log_ratio(numerator: Tensor, denominator: Tensor) -> float:
    errors = (float(difference.square().mean()) + MIN_ERROR for difference in (numerator, denominator))
    return math.log(next(errors)) - math.log(next(errors))
