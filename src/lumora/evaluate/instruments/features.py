"""Feature vectors of clips from the trunk of the probe, and the Fréchet distance between sets of them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from einops import rearrange, reduce
from jaxtyping import Float

from lumora.evaluate.frames import Frames
from lumora.evaluate.instruments.probe import GRID, Probe, prepare_all, triples_of
from lumora.precision import autocast

COARSE = 4
"""Cells in time, height and width of the layout features."""


@dataclass(frozen=True)
class ClipFeatures:
    """Features of N clips."""

    pooled: Float[np.ndarray, "n d"]
    """The mean over space and time."""
    layout: Float[np.ndarray, "n k"]
    """Means over a coarse grid in time and space."""

    def __getitem__(self, clips: slice) -> ClipFeatures:
        return ClipFeatures(self.pooled[clips], self.layout[clips])


def features_version(encoder: Probe) -> str:
    """A hash of the encoder's weights. Distances are comparable only between features of the same version."""
    digest = hashlib.sha256()
    for name, weight in encoder.trunk.state_dict().items():
        digest.update(name.encode() + weight.float().numpy().tobytes())
    return digest.hexdigest()[:12]


@torch.inference_mode()
def clip_features(encoder: Probe, clips: Sequence[Frames], batch_size: int = 16) -> ClipFeatures:
    """Features of at least one clip. Clips may differ in size; another batch size gives other rounding errors."""
    pooled, layout = [], []
    for first in range(0, len(clips), batch_size):
        batch = clips[first : first + batch_size]
        frames = prepare_all([torch.from_numpy(np.ascontiguousarray(clip)) for clip in batch])
        with autocast(frames.device):
            grid = encoder.eval().grid(triples_of(frames)).float()
        pooled.append(grid.mean((1, 2)))
        cells = rearrange(grid, "b s (h w) d -> b s h w d", h=GRID)
        layout.append(reduce(cells, "b (s x) (h y) (w z) d -> b (s h w d)", "mean", s=COARSE, h=COARSE, w=COARSE))
    return ClipFeatures(torch.cat(pooled).double().numpy(), torch.cat(layout).numpy())


def frechet_distance(a: Float[np.ndarray, "n d"], b: Float[np.ndarray, "m d"]) -> float:
    """|μ₁ − μ₂|² + tr(Σ₁ + Σ₂ − 2 (Σ₁ Σ₂)^½) of two sets of vectors, assumed to be normally distributed (Heusel et al.,
    arXiv:1706.08500, equation 6). It is biased upwards for small sets, so compare only sets of equal size. NaN for
    fewer than two vectors."""
    if min(len(a), len(b)) < 2:
        return float("nan")
    cov_a, cov_b = (np.cov(x, rowvar=False) for x in (a, b))
    values, vectors = np.linalg.eigh(cov_a)
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    # Σ₁ Σ₂ has the eigenvalues of the symmetric Σ₁^½ Σ₂ Σ₁^½.
    trace_of_root = np.sqrt(np.linalg.eigvalsh(root @ cov_b @ root).clip(0)).sum()
    return float(((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(cov_a) + np.trace(cov_b) - 2 * trace_of_root)
