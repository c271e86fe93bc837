"""What the codec is trained for, and one step of that training."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from lumora.codec.autoencoder import Codec


@dataclass(frozen=True)
class CodecLossConfig:
    """Weights of the terms of `codec_loss`, and how the latent is disturbed in training."""

    gradient: float = 0.1
    temporal: float = 0.1
    equivariance: float = 0.0
    """Scale equivariance (arXiv:2502.14831): half the latent's size must decode to half the picture's size.
    Off: it cost 0.15 dB at 0.1 in a small trial, and the linear start is meant to give latents that spectrum too."""
    foreground_weight: float = 10.0
    """Extra weight of pixels that a subject covers: few, and all that matters. Other moving ones get 0.4 of it."""
    noise: float = 0.1
    """Standard deviation of the noise on the unit-variance latent: room for the transformer's errors."""


def codec_loss(
    reconstruction: Float[Tensor, "b 3 T H W"],
    pixels: Float[Tensor, "b 3 T H W"],
    config: CodecLossConfig,
    subject: Bool[Tensor, "b T H W"] | None = None,
) -> tuple[Float[Tensor, ""], dict[str, Float[Tensor, ""]]]:
    """The weighted sum of the terms that compare pixels, and the terms themselves.

    All terms are linear filters of the one error picture: itself (Charbonnier, √(e² + ε²): Lai et al., CVPR 2017), its
    differences in space (the detail bands of an undecimated Haar wavelet; they punish blur, which the first term
    forgives), and its differences in time (flicker and lost motion).
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
    """Encode, disturb, decode, compare: the loss to differentiate, and its detached terms with the PSNR in decibels.

    The caller chooses the precision (autocast); height and width are multiples of `space`.
    """
    config = config or CodecLossConfig()
    latent = codec.encode(pixels)
    noise = torch.randn(latent.shape, generator=generator, device=generator.device).to(latent)
    noisy = latent + config.noise * noise
    reconstruction = codec.decode(noisy)
    loss, terms = codec_loss(reconstruction, pixels, config, subject)
    if config.equivariance and min(latent.shape[-2:]) >= 4:
        smaller = codec.decode(_half(noisy))
        terms["equivariance"] = (smaller - _half(pixels)).abs().mean()
        loss = loss + config.equivariance * terms["equivariance"]
    terms["psnr"] = -10 * torch.log10(((reconstruction - pixels) ** 2).mean() / 4)
    return loss, {name: value.detach() for name, value in terms.items()}


def pixel_weights(
    pixels: Float[Tensor, "b 3 T H W"], subject: Bool[Tensor, "b T H W"] | None, strength: float
) -> Float[Tensor, "b 1 T H W"]:
    """In proportion to 1 + strength where a pixel belongs to a subject, 1 + 0.4 · strength where another one changes, 1
    elsewhere; of mean 1."""
    with torch.no_grad():
        change = pixels.diff(dim=2, prepend=pixels[:, :, :1]).abs().amax(dim=1, keepdim=True)
        # A moving pixel is one that differs from the frame before or after by a twentieth of the range or so.
        chosen = (change / 0.1).clamp(max=1)
        chosen = 0.4 * torch.maximum(chosen, F.pad(chosen[:, :, 1:], (0, 0, 0, 0, 0, 1)))
        if subject is not None:
            chosen = torch.maximum(chosen, subject[:, None].to(chosen))
        weight = 1 + strength * chosen
        return weight / weight.mean()


def _mean(values: Tensor, weight: Tensor) -> Tensor:
    return (values * weight).mean()


def _half(x: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b c t h/2 w/2"]:
    return F.avg_pool3d(x, (1, 2, 2))
