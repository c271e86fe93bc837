"""A causal video codec of 2D convolutions.

A group of 4 frames enters as one image of 12 channels, and the groups are folded into the batch. So every layer is a
bfloat16 channels-last `conv2d`, which CPUs compute near their peak. The encoder sees each group alone. The decoder also
sees its features of the previous latent frame (the memory block of TAEHV, github.com/madebyollin/taehv), so it can
decode a stream. Both have a parallel linear path, which `codec.linear` sets to the best linear codec before training.
It is not trained; the networks learn the residual.

Folded tensors are time-major: row k · batch + b is latent frame k of clip b, so the previous frames are a slice.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import TypeAlias

import torch
import torch.nn.functional as F
from einops import rearrange, reduce
from jaxtyping import Float
from torch import Tensor, nn

from lumora.config import CodecConfig

PATCH = 4
"""Side in pixels of the patches that are folded into channels at the input and output."""

Memory: TypeAlias = list[Tensor]
"""The decoder's features of the previous latent frame: one map (B, C, h, w) for each memory block."""


class Codec(nn.Module):
    """Pixels (B, 3, T, H, W) in [−1, 1] to latents (B, C, t, h, w) and back, T = 1 + temporal_compression · (t − 1).

    Latents have mean 0. In training each channel has variance 1 over many clips, so added noise has a known size
    relative to the signal, which limits the information in a latent (a VAE with fixed posterior deviation: LatentLM's
    σ-VAE, arXiv:2412.08635). After `codec.basis.align_to_pixel_metric` the variance is 1 on average over the channels.
    """

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        _check(config)
        self.config = config
        self.encoder = Encoder(config)
        self.standardize = ChannelNorm(config.latent_channels)
        self.decoder = Decoder(config)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def encode(self, pixels: Float[Tensor, "b 3 T H W"]) -> Float[Tensor, "b c t h w"]:
        """Latents of mean 0. Height and width are padded to multiples of `spatial_compression` by repeating the edge.

        Raises ValueError unless T = 1 + temporal_compression · n.
        """
        time, space, frames = self.config.temporal_compression, self.config.spatial_compression, pixels.shape[2]
        if frames % time != 1 % time:
            raise ValueError(
                f"The codec takes 1 + {time}·n frames, for example {frames // time * time + 1}; not {frames}."
            )
        latent = self.standardize(self.encoder(group_frames(pixels, time, space)).float())
        return rearrange(latent, "(t b) c h w -> b c t h w", b=pixels.shape[0])

    def decode(
        self, latent: Float[Tensor, "b c t h w"], size: tuple[int, int] | None = None, clamp: bool = False
    ) -> Float[Tensor, "b 3 T H W"]:
        """The inverse of `encode`. `size` (height, width) removes the padding, `clamp` limits pixels to [−1, 1]."""
        pixels, _ = self._decode(latent, None)
        return _finish(pixels[:, :, self.config.temporal_compression - 1 :], size, clamp)

    def stream(
        self, latents: Iterable[Float[Tensor, "b c _ h w"]], size: tuple[int, int] | None = None, clamp: bool = False
    ) -> Iterator[Float[Tensor, "b 3 _ H W"]]:
        """Decodes consecutive pieces of a latent one by one. Their concatenation equals the result of `decode`."""
        memory: Memory | None = None
        for latent in latents:
            skipped = self.config.temporal_compression - 1 if memory is None else 0
            pixels, memory = self._decode(latent, memory)
            yield _finish(pixels[:, :, skipped:], size, clamp)

    def _decode(self, latent: Tensor, memory: Memory | None) -> tuple[Tensor, Memory]:
        """All `temporal_compression` frames of every latent frame, and the memory for the next call."""
        batch = latent.shape[0]
        groups, features = self.decoder(rearrange(latent, "b c t h w -> (t b) c h w"), batch, memory)
        return rearrange(groups.float(), "(t b) (f c) h w -> b c (t f) h w", b=batch, c=3), features


class Encoder(nn.Module):
    """Groups of frames, stacked as channels, to latent frames before standardization."""

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        widths = config.encoder_channels
        self.enter = conv(3 * config.temporal_compression * PATCH**2, widths[0])
        self.stages = nn.ModuleList(_stage(width, config.num_res_blocks) for width in widths)
        self.downs = nn.ModuleList(Downsample(a, b) for a, b in pairwise(widths))
        self.leave = conv(widths[-1], config.latent_channels)
        self.linear = _frozen_zero(
            nn.Conv2d(
                3 * config.temporal_compression,
                config.latent_channels,
                config.spatial_compression,
                stride=config.spatial_compression,
            )
        )

    def forward(self, groups: Float[Tensor, "n f H W"]) -> Float[Tensor, "n c h w"]:
        groups = groups.to(self.enter.weight.dtype)
        x = rearrange(groups, "n f (h p) (w q) -> n h w (f p q)", p=PATCH, q=PATCH).movedim(-1, 1)  # channels last
        x = self.stages[0](self.enter(x))
        for down, stage in zip(self.downs, self.stages[1:], strict=True):
            x = stage(down(x))
        return self.leave(F.silu(x)) + self.linear(groups)


class Decoder(nn.Module):
    """Latent frames and the memory of the previous ones to groups of frames stacked as channels."""

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        widths = config.decoder_channels
        self.enter = conv(config.latent_channels, widths[0])
        self.memories = nn.ModuleList(MemoryBlock(width) for width in widths)
        self.stages = nn.ModuleList(_stage(width, config.num_res_blocks) for width in widths)
        self.ups = nn.ModuleList(Upsample(a, b) for a, b in pairwise(widths))
        self.leave = conv(widths[-1], 3 * config.temporal_compression * PATCH**2, zero=True)
        self.linear = _frozen_zero(
            nn.Conv2d(config.latent_channels, 3 * config.temporal_compression * config.spatial_compression**2, 1)
        )
        self.space = config.spatial_compression

    def forward(
        self, latent: Float[Tensor, "n c h w"], batch: int, memory: Memory | None = None
    ) -> tuple[Float[Tensor, "n f H W"], Memory]:
        """`latent` is folded time-major from `batch` clips; `memory` is None at the start of the clips."""
        latent = latent.to(self.enter.weight.dtype).contiguous(memory_format=torch.channels_last)
        x = self.enter(latent)
        features: Memory = []
        for i, (memory_block, stage) in enumerate(zip(self.memories, self.stages, strict=True)):
            x = self.ups[i - 1](x) if i else x
            features.append(x[-batch:])
            previous = torch.zeros_like(features[i]) if memory is None else memory[i]
            x = stage(memory_block(x, torch.cat([previous, x[:-batch]])))
        detail = F.pixel_shuffle(self.leave(F.silu(x)), PATCH)
        return detail + F.pixel_shuffle(self.linear(latent), self.space), features


class ChannelNorm(nn.Module):
    """Normalizes each channel to mean 0 and variance 1 with running averages of its statistics over training batches.

    The statistics of a single batch would remove what its few clips have in common, such as night or a beach.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, channels: int, momentum: float = 0.003) -> None:
        super().__init__()
        self.momentum = momentum
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("std", torch.ones(channels))

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        if self.training:
            self._update_statistics(x.detach())
        # Copies, because the buffers change before the backward pass.
        mean, std = self.mean.to(x, copy=True), self.std.to(x, copy=True)
        return (x - mean[:, None, None]) / std[:, None, None]

    def _update_statistics(self, x: Tensor) -> None:
        mean = reduce(x, "n c h w -> c", "mean")
        square = reduce((x - self.mean[:, None, None]) ** 2, "n c h w -> c", "mean")
        self.mean.lerp_(mean.to(self.mean), self.momentum)
        self.std.copy_((self.std**2).lerp(square.to(self.std), self.momentum).sqrt())


class ResBlock(nn.Module):
    """x + conv(silu(conv(silu(x)))). The last convolution starts at zero, so a new block is the identity."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = conv(width, width)
        self.last = conv(width, width, zero=True)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.last(F.silu(self.first(F.silu(x))))


class MemoryBlock(nn.Module):
    """A residual block that also sees the same features of the previous latent frame."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = conv(2 * width, width)
        self.last = conv(width, width, zero=True)

    def forward(self, x: Tensor, previous: Tensor) -> Tensor:
        return x + self.last(F.silu(self.first(F.silu(torch.cat([x, previous], dim=1)))))


class Downsample(nn.Module):
    """Halves height and width: a convolution plus a fixed shortcut of channel means (DC-AE, arXiv:2410.10733)."""

    def __init__(self, width: int, out: int) -> None:
        super().__init__()
        self.conv = conv(width, out, stride=2)
        self.mean_of = 4 * width // out

    def forward(self, x: Tensor) -> Tensor:
        shortcut = F.pixel_unshuffle(x, 2)
        return self.conv(x) + reduce(shortcut, "n (c g) h w -> n c h w", "mean", g=self.mean_of)


class Upsample(nn.Module):
    """Doubles height and width: a convolution plus a fixed shortcut of repeated channels, the inverse of
    `Downsample`."""

    def __init__(self, width: int, out: int) -> None:
        super().__init__()
        self.conv = conv(width, 4 * out)
        self.copies = 4 * out // width

    def forward(self, x: Tensor) -> Tensor:
        return F.pixel_shuffle(self.conv(x) + x.repeat_interleave(self.copies, dim=1), 2)


def group_frames(pixels: Float[Tensor, "b 3 T H W"], time: int, space: int) -> Float[Tensor, "n f h w"]:
    """Groups of `time` frames stacked as channels, time-major, padded to multiples of `space`.

    The first frame is repeated to fill the first group.
    """
    first = pixels[:, :, :1].expand(-1, -1, time - 1, -1, -1)
    groups = rearrange(torch.cat([first, pixels], dim=2), "b c (t f) h w -> (t b) (f c) h w", f=time)
    return F.pad(groups, (0, -pixels.shape[4] % space, 0, -pixels.shape[3] % space), mode="replicate")


def conv(width: int, out: int, stride: int = 1, zero: bool = False) -> nn.Conv2d:
    """A 3×3 convolution with zero padding. Weights start at zero, or else preserve the variance of silu outputs."""
    layer = nn.Conv2d(width, out, 3, stride=stride, padding=1)
    if zero:
        nn.init.zeros_(layer.weight)
    else:
        nn.init.kaiming_normal_(layer.weight, nonlinearity="linear")
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return layer


def bias_of(layer: nn.Conv2d) -> Tensor:
    """The bias of a convolution, which all those of a codec have."""
    assert layer.bias is not None
    return layer.bias


def _frozen_zero(layer: nn.Conv2d) -> nn.Conv2d:
    """`layer` with zero weights and without gradients: the optimizer's steps are too large for the closed-form
    optimum."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter.requires_grad_(False))
    return layer


def _stage(width: int, blocks: int) -> nn.Sequential:
    return nn.Sequential(*(ResBlock(width) for _ in range(blocks)))


def _finish(pixels: Tensor, size: tuple[int, int] | None, clamp: bool) -> Tensor:
    if size is not None:
        pixels = pixels[..., : size[0], : size[1]]
    return pixels.clamp(-1, 1) if clamp else pixels


def _check(config: CodecConfig) -> None:
    for name in ("encoder_channels", "decoder_channels"):
        widths = getattr(config, name)
        if PATCH * 2 ** (len(widths) - 1) != config.spatial_compression:
            raise ValueError(
                f"{name} has {len(widths)} stages, which is a spatial compression of {PATCH}·2^{len(widths) - 1}, "
                f"not {config.spatial_compression}."
            )
    for a, b in pairwise(config.encoder_channels):
        if (4 * a) % b:
            raise ValueError(f"encoder_channels: {b} must divide 4·{a}.")
    for a, b in pairwise(config.decoder_channels):
        if (4 * b) % a:
            raise ValueError(f"decoder_channels: {a} must divide 4·{b}.")
