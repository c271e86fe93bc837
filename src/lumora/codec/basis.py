"""The coordinates of a trained codec's latent: what noise hides first, and how much an error in each counts.

To the codec all invertible mixtures of its channels are the same. To diffusion they are not: noise is as strong in each
channel, and so is the loss. Where every channel has unit variance, most of both is about fine texture that changes a
pixel's value by little. In the metric of pixels a channel is as large as what it shows: noise takes the details first,
as it does from a picture, and the loss is the picture's.
"""

from __future__ import annotations

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from lumora.codec.autoencoder import Codec, bias_of

NUDGE = 0.05
"""By so much a channel is changed to see what it shows; small against its unit variance."""


@torch.no_grad()
def align_to_pixel_metric(codec: Codec, pixels: Float[Tensor, "b 3 T H W"], power: float) -> None:
    """Changes the coordinates of the latent, and nothing else: `codec` gives back the same pixels.

    With power 0 they are only turned, so that channels are uncorrelated, strongest first. With 1 a small distance of
    latents is, up to a common factor, the distance of their pictures; between, part of the way. The variance of the
    channels is 1 on average. Raises ValueError where `pixels` are too few to tell.
    """
    latent = codec.encode(pixels)
    rows = rearrange(latent, "b c t h w -> (b t h w) c")
    if len(rows) <= rows.shape[1]:
        raise ValueError(f"{len(rows)} places of a latent are too few for {rows.shape[1]} channels.")
    values, vectors = torch.linalg.eigh(pixel_metric(codec, latent))
    stretch = vectors * values.clamp(min=values.max() * 1e-4) ** (power / 2) @ vectors.T
    variances, axes = torch.linalg.eigh(stretch @ torch.cov(rows.T) @ stretch)
    change_basis(codec, axes.flip(-1).T @ stretch / variances.mean().sqrt())


def pixel_metric(codec: Codec, latent: Float[Tensor, "b c t h w"]) -> Float[Tensor, "c c"]:
    """G, where a small change d of one place of the latent changes its picture by about d·G·d (summed squares).

    It is the mean of JᵀJ over the clips, J being the decoder's derivative at a place in the middle.
    """
    before, rows = codec.decode(latent), []
    t, h, w = (size // 2 for size in latent.shape[2:])
    for channel in range(latent.shape[1]):
        nudged = latent.clone()
        nudged[:, channel, t, h, w] += NUDGE
        rows.append((codec.decode(nudged) - before).flatten() / NUDGE)
    jacobian = torch.stack(rows)
    return jacobian @ jacobian.T / len(latent)


@torch.no_grad()
def change_basis(codec: Codec, matrix: Float[Tensor, "c c"]) -> None:
    """From now on the latent is `matrix` times what it was; the codec is otherwise the same, without any new part."""
    encoder, decoder, statistics = codec.encoder, codec.decoder, codec.standardize
    forward = matrix / statistics.std  # of what the encoder puts out
    for layer in (encoder.leave, encoder.linear):
        layer.weight.copy_(torch.einsum("dc,ckij->dkij", forward, layer.weight))
        bias_of(layer).copy_(forward @ bias_of(layer))
    statistics.mean.copy_(forward @ statistics.mean)
    statistics.std.fill_(1.0)
    back = torch.linalg.inv(matrix)
    for layer in (decoder.enter, decoder.linear):
        layer.weight.copy_(torch.einsum("kcij,cd->kdij", layer.weight, back))
