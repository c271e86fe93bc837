"""The training loss of the codec, and one training step."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from lumora.codec.autoencoder import Codec


@dataclass(frozen=True)
class CodecLossConfig:
    """Weights of the terms of `codec_loss`, and the noise on latents in training."""

    gradient: float = 0.1
    temporal: float = 0.1
    foreground_weight: float = 10.0
    """Extra weight of pixels that a subject covers. Other moving pixels get 0.4 of it."""
    noise: float = 0.1
    """Standard deviation of the noise on the unit-variance latent, which makes the decoder robust to prediction
    errors."""


def codec_loss(
    reconstruction: Float[Tensor, "b 3 T H W"],
    pixels: Float[Tensor, "b 3 T H W"],
    config: CodecLossConfig,
    subject: Bool[Tensor, "b T H W"] | None = None,
) -> tuple[Float[Tensor, ""], dict[str, Float[Tensor, ""]]]:
    """The weighted sum of the pixel losses, and each of them.

    They are the Charbonnier loss √(e² + ε²) of the error e (Lai et al., CVPR 2017), and the absolute differences of e
    in space (the detail bands of an undecimated Haar wavelet, which penalize blur) and in time (which penalize flicker
    and lost motion).
    """
    error = reconstruction - pixels
    weight = pixel_weights(pixels, subject, config.foreground_weight)
    terms = {
        "charbonnier": _mean(torch.sqrt(error**2 + 1e-6), weight),
        "gradient": _mean(error.diff(dim=-1).abs(), weight[..., 1:])
        + _mean(error.diff(dim=-2).abs(), weight[..., 1:, :]),
    }
    loss = terms["charbonnier"] + config.gradient * terms["gradient"]
    if pixels.shape[2] > 1:
        terms["temporal"] = _mean(error.diff(dim=2).abs(), weight[:, :, 1:])
        loss = loss + config.temporal * terms["temporal"]
    return loss, terms


def codec_step(
    codec: Codec,
    pixels: Float[Tensor, "b 3 T H W"],
    generator: torch.Generator,
    config: CodecLossConfig | None = None,
    subject: Bool[Tensor, "b T H W"] | None = None,
) -> tuple[Float[Tensor, ""], dict[str, Float[Tensor, ""]]]:
    """Encodes, adds noise and decodes: the loss, and its detached terms with the PSNR in decibels.

    Height and width must be multiples of `spatial_compression`. The caller chooses the precision by autocast.
    """
    config = config or CodecLossConfig()
    latent = codec.encode(pixels)
    noise = torch.randn(latent.shape, generator=generator, device=generator.device).to(latent)
    reconstruction = codec.decode(latent + config.noise * noise)
    loss, terms = codec_loss(reconstruction, pixels, config, subject)
    terms["psnr"] = -10 * torch.log10(((reconstruction - pixels) ** 2).mean() / 4)
    return loss, {name: value.detach() for name, value in terms.items()}


def pixel_weights(
    pixels: Float[Tensor, "b 3 T H W"], subject: Bool[Tensor, "b T H W"] | None, strength: float
) -> Float[Tensor, "b 1 T H W"]:
    """Weights of mean 1, proportional to 1 + strength in subjects, 1 + 0.4 · strength in other moving pixels, 1
    elsewhere.
    """
    with torch.no_grad():
        change = pixels.diff(dim=2, prepend=pixels[:, :, :1]).abs().amax(dim=1, keepdim=True)
        # A pixel moves if it differs from the previous or next frame by about a twentieth of the range.
        moving = (change / 0.1).clamp(max=1)
        foreground = 0.4 * torch.maximum(moving, F.pad(moving[:, :, 1:], (0, 0, 0, 0, 0, 1)))
        if subject is not None:
            foreground = torch.maximum(foreground, subject[:, None].to(foreground))
        weight = 1 + strength * foreground
        return weight / weight.mean()


def _mean(values: Tensor, weight: Tensor) -> Tensor:
    return (values * weight).mean()
