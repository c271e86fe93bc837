"""A change of basis of a trained codec's latents that makes distances of latents those of pixels.

For the codec all invertible mixtures of its channels are equivalent. For diffusion they are not, because noise and loss
have the same weight in each channel. If every channel has unit variance, most of both concerns fine texture that
changes pixels by little. In the pixel metric a channel's scale is that of the change it makes in the pixels: noise
removes details first, and the loss is that of the pixels.
"""

from __future__ import annotations

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from lumora.codec.autoencoder import Codec, bias_of

STEP = 0.05
"""Step of the finite differences, small relative to a channel's unit variance."""


@torch.no_grad()
def align_to_pixel_metric(codec: Codec, pixels: Float[Tensor, "b 3 T H W"], power: float) -> None:
    """Changes the basis of the latents in place; decoded pixels stay the same.

    `power` 0 makes channels uncorrelated, with descending variance. `power` 1 also makes small distances of latents
    proportional to the distances of their pixels; values between interpolate. The variance is 1 on average over the
    channels. Raises ValueError if `pixels` have fewer latent positions than channels.
    """
    latent = codec.encode(pixels)
    rows = rearrange(latent, "b c t h w -> (b t h w) c")
    if len(rows) <= rows.shape[1]:
        raise ValueError(f"{len(rows)} latent positions are too few for {rows.shape[1]} channels.")
    values, vectors = torch.linalg.eigh(pixel_metric(codec, latent))
    stretch = vectors * values.clamp(min=values.max() * 1e-4) ** (power / 2) @ vectors.T
    variances, axes = torch.linalg.eigh(stretch @ torch.cov(rows.T) @ stretch)
    change_basis(codec, axes.flip(-1).T @ stretch / variances.mean().sqrt())


def pixel_metric(codec: Codec, latent: Float[Tensor, "b c t h w"]) -> Float[Tensor, "c c"]:
    """G such that a small change d at one latent position changes the pixels by about dᵀGd (sum of squares).

    It is the mean of JᵀJ over the clips, where J is the decoder's Jacobian at the position in the middle.
    """
    before, rows = codec.decode(latent), []
    t, h, w = (size // 2 for size in latent.shape[2:])
    for channel in range(latent.shape[1]):
        shifted = latent.clone()
        shifted[:, channel, t, h, w] += STEP
        rows.append((codec.decode(shifted) - before).flatten() / STEP)
    jacobian = torch.stack(rows)
    return jacobian @ jacobian.T / len(latent)


@torch.no_grad()
def change_basis(codec: Codec, matrix: Float[Tensor, "c c"]) -> None:
    """Multiplies the latents by `matrix`, in the weights of the first and last layers; decoded pixels stay the same."""
    encoder, decoder, statistics = codec.encoder, codec.decoder, codec.standardize
    forward = matrix / statistics.std  # applies to the encoder's output
    for layer in (encoder.leave, encoder.linear):
        layer.weight.copy_(torch.einsum("dc,ckij->dkij", forward, layer.weight))
        bias_of(layer).copy_(forward @ bias_of(layer))
    statistics.mean.copy_(forward @ statistics.mean)
    statistics.std.fill_(1.0)
    back = torch.linalg.inv(matrix)
    for layer in (decoder.enter, decoder.linear):
        layer.weight.copy_(torch.einsum("kcij,cd->kdij", layer.weight, back))
