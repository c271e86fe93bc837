"""A perceptual distance between videos (LPIPS) with the trunk of the probe as encoder.

Distances are comparable only for the same encoder weights (`features.features_version`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from lumora.evaluate.frames import Frames
from lumora.evaluate.instruments.probe import Probe, folded, scaled, triples_of
from lumora.precision import autocast


@torch.inference_mode()
def perceptual_distances(encoder: Probe, videos: Sequence[Frames], reference: Frames) -> Float[np.ndarray, "n t"]:
    """The distance of each frame of N videos to the same frame of the reference: from 0, equal, to 2.

    Activations are normalized to unit length at each position; squared differences are summed over channels and
    averaged over positions, then over layers: LPIPS (arXiv:1801.03924, equation 1) with all weights 1. The encoder sees
    each frame with its differences to the neighboring frames, so flicker and motion count too.
    """
    triples = torch.cat([_triples(video) for video in (reference, *videos)])
    with autocast(triples.device):
        activations = (F.normalize(layer.float(), dim=1) for layer in _activations(encoder.eval(), triples))
        layers = [_squared_difference(layer, len(videos)) for layer in activations]
    return torch.stack(layers).mean(dim=0).numpy()


def _triples(video: Frames) -> Float[Tensor, "t H W _"]:
    """Each frame with its neighbors; the first and the last frame are repeated."""
    numbers = np.arange(-1, len(video) + 1).clip(0, len(video) - 1)
    return triples_of(scaled(torch.from_numpy(video[numbers]))[None], step=1)[0]


def _activations(encoder: Probe, triples: Float[Tensor, "n h w _"]) -> Iterator[Float[Tensor, "n d _ _"]]:
    """The activations of each layer of the trunk."""
    x = folded(triples)
    for layer in encoder.trunk:
        x = layer(x)
        if isinstance(layer, nn.ReLU):
            yield x


def _squared_difference(layer: Float[Tensor, "_ d h w"], num_videos: int) -> Float[Tensor, "n t"]:
    """Squared differences of the videos to the reference, the first in the batch; the mean over positions."""
    reference, *videos = layer.chunk(1 + num_videos)
    return torch.stack([(video - reference).square().sum(dim=1).mean(dim=(1, 2)) for video in videos])
