"""Reads emotions from the faces of tracked characters, with a linear classifier for each kind of character.

The square around each character is cut out and resized; its upper part is described by histograms of oriented gradients
(HOG: Dalal and Triggs, CVPR 2005) and coarse pixels. Ridge regression maps these features to scores of the emotions,
which are averaged over the frames. It has a closed form, so training takes seconds.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange, reduce
from jaxtyping import Float

from lumora.evaluate.frames import Frames
from lumora.evaluate.instruments.blob import BlobTrack
from lumora.world.scene import CHARACTERS, EMOTIONS

SIDE = 32
"""Side of a crop in pixels."""
MARGIN = 1.2
"""Side of a crop, in heights or widths of the character, whichever is larger."""
TOP = 0.75
"""Upper share of the crop that contains the head."""
CELL, BINS = 4, 8
"""Side of a HOG cell in pixels, and number of orientations."""
RIDGE = 10.0
"""Weight of the L2 penalty."""

Crops: TypeAlias = Float[np.ndarray, "n side side 3"]
"""Square images of characters, from 0 to 1."""


@dataclass(frozen=True)
class EmotionReader:
    """A linear classifier for each kind of character."""

    maps: Float[np.ndarray, "kinds features emotions"]
    offsets: Float[np.ndarray, "kinds emotions"]

    @classmethod
    def fit(cls, examples: Iterable[tuple[str, str, Crops]]) -> EmotionReader:
        """Fits (kind, emotion, crops) examples. Raises ValueError if a kind of character has none."""
        features: dict[str, list[np.ndarray]] = {kind: [] for kind in CHARACTERS}
        truths: dict[str, list[np.ndarray]] = {kind: [] for kind in CHARACTERS}
        for kind, emotion, crops in examples:
            both = np.concatenate([crops, crops[:, :, ::-1]])
            features[kind].append(hog_features(both))
            truths[kind].append(np.tile(np.array(EMOTIONS) == emotion, (len(both), 1)))
        missing = [kind for kind in CHARACTERS if not features[kind]]
        if missing:
            raise ValueError(f"No clip shows the face of a {' or a '.join(missing)}; use more clips.")
        fits = [_ridge(np.concatenate(features[k]), np.concatenate(truths[k]).astype(np.float64)) for k in CHARACTERS]
        return cls(np.stack([weights for weights, _ in fits]), np.stack([offset for _, offset in fits]))

    def save(self, path: Path) -> None:
        np.savez_compressed(path, maps=self.maps.astype(np.float16), offsets=self.offsets.astype(np.float16))

    @classmethod
    def load(cls, path: Path) -> EmotionReader:
        with np.load(path) as content:
            return cls(content["maps"].astype(np.float32), content["offsets"].astype(np.float32))

    def read(self, frames: Frames, track: BlobTrack) -> dict[str, str]:
        """The emotion of the tracked character, by the kind of character that it may be; empty if it is never found."""
        crops = crop_character(frames, track)
        if not len(crops):
            return {}
        scores = hog_features(crops).mean(axis=0) @ self.maps + self.offsets
        return {kind: EMOTIONS[int(row.argmax())] for kind, row in zip(CHARACTERS, scores, strict=True)}


def crop_character(frames: Frames, track: BlobTrack) -> Crops:
    """Square crops around the tracked character, one for each frame in which it is found."""
    height, width = frames.shape[1:3]
    found = np.flatnonzero(track.areas)
    boxes = track.boxes[found] * [width, height, width, height]
    crops = np.empty((len(found), SIDE, SIDE, 3), np.float32)
    for index, (frame, (left, top, right, bottom)) in enumerate(zip(frames[found], boxes, strict=True)):
        side = max(2, round(MARGIN * max(right - left, bottom - top)))
        rows, columns = (round((a + b - side) / 2) + np.arange(side) for a, b in ((top, bottom), (left, right)))
        crop = frame[rows.clip(0, height - 1)[:, None], columns.clip(0, width - 1)]
        pixels = rearrange(torch.from_numpy(crop).float(), "h w c -> 1 c h w") / 255
        small = F.interpolate(pixels, size=(SIDE, SIDE), mode="bilinear", antialias=True)
        crops[index] = rearrange(small, "1 c h w -> h w c").numpy()
    return crops


def hog_features(crops: Crops) -> Float[np.ndarray, "n features"]:
    """Histograms of gradients, each of length 1 or less, and coarse pixels of mean 0."""
    down, across = np.gradient(crops.mean(axis=-1), axis=(1, 2))
    angle = np.arctan2(down, across) / (2 * np.pi) % 1 * BINS
    distance = np.abs((angle[..., None] - np.arange(BINS) + BINS / 2) % BINS - BINS / 2)
    votes = np.hypot(down, across)[..., None] * (1 - distance).clip(0)
    rows = round(TOP * SIDE)
    cells = reduce(votes[:, :rows], "n (h p) (w q) b -> n h w b", "mean", p=CELL, q=CELL)
    energy = np.square(cells).sum(axis=-1, keepdims=True)
    normalized = cells / np.sqrt(energy + energy.mean(axis=(1, 2), keepdims=True) + 1e-6)
    coarse = reduce(crops[:, :rows], "n (h p) (w q) c -> n h w c", "mean", p=2, q=2)
    coarse = coarse - coarse.mean(axis=(1, 2), keepdims=True)
    coarse = coarse / (2 * coarse.std(axis=(1, 2, 3), keepdims=True) + 0.05)
    return np.concatenate([normalized.reshape(len(crops), -1), coarse.reshape(len(crops), -1)], axis=1)


def _ridge(
    features: Float[np.ndarray, "n features"], truth: Float[np.ndarray, "n emotions"]
) -> tuple[np.ndarray, np.ndarray]:
    """Weights and offset."""
    feature_mean, truth_mean = features.mean(axis=0), truth.mean(axis=0)
    centered = features - feature_mean
    gram = centered.T @ centered + RIDGE * np.eye(centered.shape[1], dtype=np.float32)
    weights = np.linalg.solve(gram, centered.T @ (truth - truth_mean).astype(np.float32))
    return weights, truth_mean - feature_mean @ weights
