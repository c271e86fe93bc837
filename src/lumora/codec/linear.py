"""The best linear codec, in closed form: where the network's training may begin.

A codec of random weights spends many minutes of a CPU on finding what principal components know after seconds. So
encoder and decoder each have a linear path around the network: here it is set to the optimum; training does the rest.
"""

from __future__ import annotations

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from lumora.codec.autoencoder import Codec, bias_of, group_frames

ROUNDS = 12
"""Subspace iterations; the spectrum of pictures falls steeply, so few are enough."""


@torch.no_grad()
def init_linear(codec: Codec, pixels: Float[Tensor, "b 3 T H W"], generator: torch.Generator) -> None:
    """Set the linear paths of `codec`, and its statistics, from a sample of clips (a hundred or so serve).

    Over channels of unit power with equal, small noise, the code that reconstructs best gives a principal component of
    variance λ a power in proportion to √λ (Lee and Petersen, "Optimal linear coding for vector channels", IEEE Trans.
    Comm. 1976), and a rotation lets all channels carry the same. It also keeps half of the slope (in decibels) of the
    spectrum of pictures, so that noise hides details first: what diffusion wants.
    Raises ValueError where there are fewer blocks than latent channels, or they vary in fewer ways.
    """
    config = codec.config
    groups = group_frames(pixels, config.temporal_compression, config.spatial_compression)
    blocks = rearrange(
        groups, "n f (h p) (w q) -> (n h w) (f p q)", p=config.spatial_compression, q=config.spatial_compression
    )
    mean = blocks.mean(dim=0)
    components, variance = _principal(blocks - mean, config.latent_channels, generator)
    if len(blocks) < config.latent_channels or not bool((variance > 0).all()):
        raise ValueError(
            f"A linear start of {config.latent_channels} channels needs a larger or more varied sample of clips."
        )
    rotation = torch.linalg.qr(
        torch.randn(2 * (config.latent_channels,), generator=generator, device=generator.device)
    )[0]
    rotation = rotation.to(pixels.device)
    gain = variance**0.25
    to_latent = rotation @ (components / gain).T
    to_pixels = components * gain @ rotation.T

    std = ((blocks - mean) @ to_latent.T).std(dim=0)
    codec.standardize.mean.zero_()
    codec.standardize.std.copy_(std)
    enter, leave = codec.encoder.linear, codec.decoder.linear
    enter.weight.copy_(to_latent.view_as(enter.weight))
    bias_of(enter).copy_(-to_latent @ mean)
    for network in (codec.encoder, codec.decoder):
        nn.init.zeros_(network.leave.weight)  # what it adds to the optimum begins at nothing
    leave.weight.copy_((to_pixels * std).view_as(leave.weight))
    bias_of(leave).copy_(mean)


def _principal(rows: Float[Tensor, "n d"], count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """The first principal components (d, count) of centred rows and their variances (count,), by subspace iteration."""
    guess = torch.randn(rows.shape[1], count + 8, generator=generator, device=generator.device).to(rows)
    basis = torch.linalg.qr(guess)[0]
    for _ in range(ROUNDS):
        basis = torch.linalg.qr(rows.T @ (rows @ basis))[0]
    _, singular, right = torch.linalg.svd(rows @ basis, full_matrices=False)
    return basis @ right.T[:, :count], singular[:count] ** 2 / len(rows)
