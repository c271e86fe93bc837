"""The best linear codec in closed form, from which training starts.

Principal components take seconds to compute; a network with random weights needs many minutes of training to reach the
same quality. So the encoder and decoder each have a linear path in parallel to the network, which is set here.
"""

from __future__ import annotations

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from lumora.codec.autoencoder import Codec, bias_of, group_frames

ROUNDS = 12
"""Subspace iterations. Few are needed, because the spectrum of images decreases quickly."""


@torch.no_grad()
def init_linear(codec: Codec, pixels: Float[Tensor, "b 3 T H W"], generator: torch.Generator) -> None:
    """Sets the linear paths of `codec` and its statistics from a sample of about a hundred clips.

    For channels of unit power with equal, small noise, the best linear code gives a principal component of variance λ a
    power proportional to √λ (Lee and Petersen, "Optimal linear coding for vector channels", IEEE Trans. Comm. 1976),
    and a random rotation gives all channels the same power. This also keeps half of the slope (in decibels) of the
    spectrum of images, so that noise removes details first, as diffusion needs. Raises ValueError if there are fewer
    blocks than latent channels, or their covariance has a lower rank.
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
        nn.init.zeros_(network.leave.weight)  # The network's contribution starts at zero.
    leave.weight.copy_((to_pixels * std).view_as(leave.weight))
    bias_of(leave).copy_(mean)


def _principal(rows: Float[Tensor, "n d"], count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """The first principal components (d, count) of centered rows and their variances (count,), by subspace
    iteration."""
    guess = torch.randn(rows.shape[1], count + 8, generator=generator, device=generator.device).to(rows)
    basis = torch.linalg.qr(guess)[0]
    for _ in range(ROUNDS):
        basis = torch.linalg.qr(rows.T @ (rows @ basis))[0]
    _, singular, right = torch.linalg.svd(rows @ basis, full_matrices=False)
    return basis @ right.T[:, :count], singular[:count] ** 2 / len(rows)
