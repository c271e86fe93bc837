"""How unlike videos look, place by place and frame by frame, to the trunk of the probe: an encoder of our own that was
taught to tell things, places and motion, and is fixed by its weights (`features.version` names them)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from lumora.evaluate.instruments.probe import Probe, folded, scaled, triples_of
from lumora.precision import autocast


@torch.inference_mode()
def perceptual_distances(
    encoder: Probe, videos: Sequence[UInt8[np.ndarray, "t h w 3"]], true: UInt8[np.ndarray, "t h w 3"]
) -> Float[np.ndarray, "n t"]:
    """Of each frame of each video to the same frame of the true one: from 0, the same, to 2.

    A layer's activations are scaled to unit length at every place; squared differences are summed over channels and
    averaged over places, then over layers: LPIPS (arXiv:1801.03924, equation 1) with all weights 1. The encoder sees a
    frame with what changes before and after it, so what flickers or moves otherwise is told too.
    """
    seen = torch.cat([_triples(video) for video in (true, *videos)])
    with autocast(seen.device):
        layers = [_apart(F.normalize(layer.float(), dim=1), len(videos)) for layer in _layers(encoder.eval(), seen)]
    return torch.stack(layers).mean(dim=0).numpy()


def _triples(video: UInt8[np.ndarray, "t h w 3"]) -> Float[Tensor, "t H W _"]:
    """Every frame with its neighbours; nothing changes before the first and after the last."""
    numbers = np.arange(-1, len(video) + 1).clip(0, len(video) - 1)
    return triples_of(scaled(torch.from_numpy(video[numbers]))[None], step=1)[0]


def _layers(encoder: Probe, triples: Float[Tensor, "n h w _"]) -> Iterator[Float[Tensor, "n d _ _"]]:
    """What each layer of the trunk makes of them."""
    x = folded(triples)
    for layer in encoder.trunk:
        x = layer(x)
        if isinstance(layer, nn.ReLU):
            yield x


def _apart(layer: Float[Tensor, "_ d h w"], videos: int) -> Float[Tensor, "n t"]:
    """Squared differences of the videos to the first one, the mean over places."""
    true, *others = layer.chunk(1 + videos)
    return torch.stack([(other - true).square().sum(dim=1).mean(dim=(1, 2)) for other in others])
