"""How good the pictures are, whatever they show: beside real renders of the same prompts, and beside what differs
between real renders of one and another seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from einops import reduce
from jaxtyping import Float, UInt8
from scipy import ndimage

from lumora.evaluate.instruments.features import Features, frechet_distance
from lumora.evaluate.metrics.estimates import Estimate, Table, estimate, mean, ratio

COARSE = 4
"""Pixels across the squares whose changes are taken for motion: smaller ones change when a picture flickers."""
STILL = 0.3
"""Grey levels a frame below which a real clip is taken to stand still: nothing can be said of its motion."""


@dataclass(frozen=True)
class ImageStatistics:
    """What N clips look like, in grey levels."""

    sharpness: Float[np.ndarray, " n"]
    """Mean Laplacian, without its sign."""
    flicker: Float[np.ndarray, " n"]
    """Mean second difference in time: what goes to and fro."""
    motion: Float[np.ndarray, " n"]
    """Mean first difference of coarse pictures."""

    @classmethod
    def of(cls, videos: Sequence[UInt8[np.ndarray, "t h w 3"]]) -> ImageStatistics:
        rows = np.array([_look(video) for video in videos]).reshape(-1, 3)
        return cls(*rows.T)


def _look(video: UInt8[np.ndarray, "t h w 3"]) -> tuple[float, float, float]:
    grey = video.mean(axis=-1, dtype=np.float32)
    height, width = (n // COARSE * COARSE for n in grey.shape[1:])
    coarse = reduce(grey[:, :height, :width], "t (h p) (w q) -> t h w", "mean", p=COARSE, q=COARSE)
    laplacian = ndimage.convolve(grey, np.array([[[0, 1, 0], [1, -4, 1], [0, 1, 0]]], np.float32), mode="nearest")
    measured = (laplacian, np.diff(grey, 2, axis=0), np.diff(coarse, axis=0))
    return tuple(float(np.abs(part).mean()) if part.size else 0.0 for part in measured)  # type: ignore[return-value]


def compare(columns: dict[str, tuple[Features, ImageStatistics]], real: tuple[Features, ImageStatistics]) -> Table:
    """Each column's clips beside the real ones, one by one of the same prompts.

    `distance` is Fréchet's; `sharpness`, `flicker` and `motion` are ratios, 1 where they are as in real clips; `moves
    as much` is the mean of the smaller over the larger motion of each two clips, 0 for a video that stands still.
    """
    return {name: _column(*column, *real) for name, column in columns.items()}


def _column(
    features: Features, looks: ImageStatistics, real_features: Features, real: ImageStatistics
) -> dict[str, Estimate]:
    moving = real.motion > STILL
    pair = np.stack([looks.motion, real.motion])[:, moving]
    return {
        "distance": estimate(frechet_distance, features.gist, real_features.gist),
        "sharpness": estimate(ratio, looks.sharpness, real.sharpness),
        "flicker": estimate(ratio, looks.flicker, real.flicker),
        "motion": estimate(ratio, looks.motion, real.motion),
        "moves as much": estimate(mean, pair.min(axis=0) / pair.max(axis=0)),
    }


def diversity(made: Sequence[Features], real: Sequence[Features]) -> Estimate:
    """How unlike videos of one prompt are, over how unlike real clips are of which it is true: the ratio of the mean
    distances between two layouts. Each item holds several clips of one prompt."""
    return estimate(ratio, np.array([_spread(some) for some in made]), np.array([_spread(some) for some in real]))


def _spread(features: Features) -> float:
    """Mean distance between two of the clips."""
    apart = distances(features, features)
    return float(apart[np.triu_indices(len(apart), 1)].mean())


def distances(a: Features, b: Features) -> Float[np.ndarray, "n m"]:
    """Between the layouts of clips."""
    squares = (a.layout**2).sum(1)[:, None] + (b.layout**2).sum(1) - 2 * a.layout @ b.layout.T
    return np.sqrt(squares.clip(0))
