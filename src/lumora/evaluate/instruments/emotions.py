"""Emotions, read from the faces of those whom the tables find: the outlines of a head, by a linear map for each kind.

Of everybody's square cut-out, resized, the upper part becomes a grid of histograms of gradients (HOG: Dalal and Triggs,
CVPR 2005) beside coarse pixels; ridge regression turns these into scores of the emotions, which are summed over the
frames. It has a closed form, so it is learnt in seconds from few clips.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange, reduce
from jaxtyping import Float, UInt8

from lumora.evaluate.instruments.blob import BlobTrack
from lumora.world.scene import CHARACTERS, EMOTIONS

SIDE = 32
"""Pixels of a cut-out's side."""
MARGIN = 1.2
"""Side of what is cut out, in heights or widths of the thing, whichever is more."""
TOP = 0.75
"""Share of the cut-out, from above, in which the head is."""
CELL, BINS = 4, 8
"""Pixels of a histogram's side, and its directions."""
RIDGE = 10.0
"""Weight of the squares of the map."""

Heads = Float[np.ndarray, "n side side 3"]
Features = Float[np.ndarray, "n features"]


@dataclass(frozen=True)
class Faces:
    """A linear map for each kind of character."""

    maps: Float[np.ndarray, "kinds features emotions"]
    offsets: Float[np.ndarray, "kinds emotions"]

    @classmethod
    def fit(cls, examples: Iterable[tuple[str, str, Heads]]) -> Faces:
        """From kinds, emotions and heads, of clips of which these are known. Raises ValueError if one has none."""
        features: dict[str, list[Features]] = {kind: [] for kind in CHARACTERS}
        truths: dict[str, list[np.ndarray]] = {kind: [] for kind in CHARACTERS}
        for kind, emotion, heads in examples:
            both = np.concatenate([heads, heads[:, :, ::-1]])
            features[kind].append(features_of(both))
            truths[kind].append(np.tile(np.array(EMOTIONS) == emotion, (len(both), 1)))
        missing = [kind for kind in CHARACTERS if not features[kind]]
        if missing:
            raise ValueError(f"There is no face of a {' or a '.join(missing)} among these clips; take more of them.")
        fits = [_ridge(np.concatenate(features[k]), np.concatenate(truths[k]).astype(np.float64)) for k in CHARACTERS]
        return cls(np.stack([found for found, _ in fits]), np.stack([offset for _, offset in fits]))

    def save(self, path: Path) -> None:
        np.savez_compressed(path, maps=self.maps.astype(np.float16), offsets=self.offsets.astype(np.float16))

    @classmethod
    def load(cls, path: Path) -> Faces:
        with np.load(path) as content:
            return cls(content["maps"].astype(np.float32), content["offsets"].astype(np.float32))

    def read(self, frames: UInt8[np.ndarray, "t h w 3"], track: BlobTrack) -> dict[str, str]:
        """The emotion of the thing that was followed, by the kind of character that it may be; empty where it was never
        found."""
        heads = heads_of(frames, track)
        if not len(heads):
            return {}
        scores = features_of(heads).mean(axis=0) @ self.maps + self.offsets
        return {kind: EMOTIONS[int(row.argmax())] for kind, row in zip(CHARACTERS, scores, strict=True)}


def heads_of(frames: UInt8[np.ndarray, "t h w 3"], track: BlobTrack) -> Heads:
    """Square cut-outs of what is followed, from 0 to 1, one for each frame in which it is found."""
    height, width = frames.shape[1:3]
    found = np.flatnonzero(track.areas)
    boxes = track.boxes[found] * [width, height, width, height]
    heads = np.empty((len(found), SIDE, SIDE, 3), np.float32)
    for place, (frame, (left, top, right, bottom)) in enumerate(zip(frames[found], boxes, strict=True)):
        side = max(2, round(MARGIN * max(right - left, bottom - top)))
        rows, columns = (round((a + b - side) / 2) + np.arange(side) for a, b in ((top, bottom), (left, right)))
        cut = frame[rows.clip(0, height - 1)[:, None], columns.clip(0, width - 1)]
        pixels = rearrange(torch.from_numpy(cut).float(), "h w c -> 1 c h w") / 255
        small = F.interpolate(pixels, size=(SIDE, SIDE), mode="bilinear", antialias=True)
        heads[place] = rearrange(small, "1 c h w -> h w c").numpy()
    return heads


def features_of(heads: Heads) -> Features:
    """Histograms of gradients, each of length 1 or less, and coarse pixels of mean 0."""
    down, across = np.gradient(heads.mean(axis=-1), axis=(1, 2))
    turn = np.arctan2(down, across) / (2 * np.pi) % 1 * BINS
    apart = np.abs((turn[..., None] - np.arange(BINS) + BINS / 2) % BINS - BINS / 2)
    votes = np.hypot(down, across)[..., None] * (1 - apart).clip(0)
    rows = round(TOP * SIDE)
    cells = reduce(votes[:, :rows], "n (h p) (w q) b -> n h w b", "mean", p=CELL, q=CELL)
    energy = np.square(cells).sum(axis=-1, keepdims=True)
    outlines = cells / np.sqrt(energy + energy.mean(axis=(1, 2), keepdims=True) + 1e-6)
    coarse = reduce(heads[:, :rows], "n (h p) (w q) c -> n h w c", "mean", p=2, q=2)
    coarse = coarse - coarse.mean(axis=(1, 2), keepdims=True)
    coarse = coarse / (2 * coarse.std(axis=(1, 2, 3), keepdims=True) + 0.05)
    return np.concatenate([outlines.reshape(len(heads), -1), coarse.reshape(len(heads), -1)], axis=1)


def _ridge(features: Features, truth: Float[np.ndarray, "n emotions"]) -> tuple[np.ndarray, np.ndarray]:
    """The map, and what is added."""
    middle, usual = features.mean(axis=0), truth.mean(axis=0)
    centred = features - middle
    squares = centred.T @ centred + RIDGE * np.eye(centred.shape[1], dtype=np.float32)
    found = np.linalg.solve(squares, centred.T @ (truth - usual).astype(np.float32))
    return found, usual - middle @ found
