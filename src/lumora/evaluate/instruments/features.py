"""Clips as vectors: what the trunk of the probe makes of them, an encoder of our own that is fixed by its weights."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from einops import rearrange, reduce
from jaxtyping import Float, UInt8

from lumora.evaluate.instruments.probe import GRID, Probe, prepare_all, triples_of
from lumora.precision import autocast

COARSE = 4
"""Steps in time, rows and columns in which the layout of a clip is told."""


@dataclass(frozen=True)
class Features:
    """Of N clips."""

    gist: Float[np.ndarray, "n d"]
    """What is in them: the mean over places and times."""
    layout: Float[np.ndarray, "n k"]
    """What is where and when, coarsely."""

    def __getitem__(self, clips: slice) -> Features:
        return Features(self.gist[clips], self.layout[clips])


def version(encoder: Probe) -> str:
    """A name for these weights: distances in the features of one version don't compare with those of another."""
    digest = hashlib.sha256()
    for name, weight in encoder.trunk.state_dict().items():
        digest.update(name.encode() + weight.float().numpy().tobytes())
    return digest.hexdigest()[:12]


@torch.inference_mode()
def features_of(encoder: Probe, videos: Sequence[UInt8[np.ndarray, "t h w 3"]], batch: int = 16) -> Features:
    """Of at least one clip; they may differ in size, but not the number of clips at a time, which decides rounding."""
    gist, layout = [], []
    for first in range(0, len(videos), batch):
        frames = prepare_all([torch.from_numpy(np.ascontiguousarray(v)) for v in videos[first : first + batch]])
        with autocast(frames.device):
            grid = encoder.eval().grid(triples_of(frames)).float()
        gist.append(grid.mean((1, 2)))
        places = rearrange(grid, "b s (h w) d -> b s h w d", h=GRID)
        layout.append(reduce(places, "b (s x) (h y) (w z) d -> b (s h w d)", "mean", s=COARSE, h=COARSE, w=COARSE))
    return Features(torch.cat(gist).double().numpy(), torch.cat(layout).numpy())


def frechet_distance(a: Float[np.ndarray, "n d"], b: Float[np.ndarray, "m d"]) -> float:
    """|μ₁ − μ₂|² + tr(Σ₁ + Σ₂ − 2 (Σ₁ Σ₂)^½) of two sets of vectors, taken for normally distributed: Heusel et al.,
    arXiv:1706.08500, equation 6. It is too large for few vectors, so compare sets of equal size alone; NaN for fewer
    than two."""
    if min(len(a), len(b)) < 2:
        return float("nan")
    first, second = (np.cov(x, rowvar=False) for x in (a, b))
    values, axes = np.linalg.eigh(first)
    root = (axes * np.sqrt(values.clip(0))) @ axes.T
    # Σ₁ Σ₂ has the eigenvalues of the symmetric Σ₁^½ Σ₂ Σ₁^½.
    shared = np.sqrt(np.linalg.eigvalsh(root @ second @ root).clip(0)).sum()
    return float(((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(first) + np.trace(second) - 2 * shared)
