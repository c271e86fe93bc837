"""A causal video codec that computes with two-dimensional convolutions only.

Time is folded into channels at the door (a group of 4 frames enters as one picture of 12 channels) and into the batch
after that, so that every layer is a bf16, channels-last `conv2d`: the one kind of convolution that CPUs, too, run near
their peak. The encoder sees each group alone; the decoder also sees its own features of the latent frame before (the
memory block of TAEHV, github.com/madebyollin/taehv), which is what makes it stream. Around both lies a linear path that
`codec.linear` sets to the best linear codec before training, and that then stays: the networks learn what it lacks.

Folded tensors are time-major: row `k * batch + b` is latent frame k of clip b, so that "the frame before" is a slice.
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
"""Pixels (in height and in width) that enter and leave as channels."""

Memory: TypeAlias = list[Tensor]
"""What a decoder keeps of the latent frame before: one (B, C, h, w) feature map for each of its memory blocks."""


class Codec(nn.Module):
    """Pixels (B, 3, T, H, W) in [−1, 1] to latents (B, C, t, h, w) and back, with T = 1 + time·(t − 1).

    Latents have mean 0 and, over many clips, variance 1: in training each channel, so that noise added to them has a
    known size relative to the signal, which bounds what a latent can carry (a VAE with a fixed posterior deviation:
    LatentLM's σ-VAE, arXiv:2412.08635); after it on average, with more for what shows more (see `codec.basis`).
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
        """Raises ValueError unless T = 1 + time·n. Edges are repeated up to the next multiple of `space`."""
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
        """The inverse of `encode`; `size` (height, width) crops what encoding padded, `clamp` limits it to [−1, 1]."""
        pixels, _ = self._decode(latent, None)
        return _finish(pixels[:, :, self.config.temporal_compression - 1 :], size, clamp)

    def stream(
        self, latents: Iterable[Float[Tensor, "b c _ h w"]], size: tuple[int, int] | None = None, clamp: bool = False
    ) -> Iterator[Float[Tensor, "b 3 _ H W"]]:
        """Decode consecutive pieces of a latent as they come, remembering one piece; joined they equal `decode`."""
        memory: Memory | None = None
        for latent in latents:
            skipped = self.config.temporal_compression - 1 if memory is None else 0
            pixels, memory = self._decode(latent, memory)
            yield _finish(pixels[:, :, skipped:], size, clamp)

    def _decode(self, latent: Tensor, memory: Memory | None) -> tuple[Tensor, Memory]:
        """All `time` frames of every latent frame, and what the next one needs to know."""
        batch = latent.shape[0]
        groups, kept = self.decoder(rearrange(latent, "b c t h w -> (t b) c h w"), batch, memory)
        return rearrange(groups.float(), "(t b) (f c) h w -> b c (t f) h w", b=batch, c=3), kept


class Encoder(nn.Module):
    """A group of frames, stacked as channels, to one latent frame that is not yet standardised."""

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        widths = config.encoder_channels
        self.enter = conv(3 * config.temporal_compression * PATCH**2, widths[0])
        self.stages = nn.ModuleList(_stage(width, config.num_res_blocks) for width in widths)
        self.downs = nn.ModuleList(Downsample(a, b) for a, b in pairwise(widths))
        self.leave = conv(widths[-1], config.latent_channels)
        self.linear = _still(
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
    """A latent frame, and what is remembered of the one before, to a group of frames stacked as channels."""

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        widths = config.decoder_channels
        self.enter = conv(config.latent_channels, widths[0])
        self.memories = nn.ModuleList(MemoryBlock(width) for width in widths)
        self.stages = nn.ModuleList(_stage(width, config.num_res_blocks) for width in widths)
        self.ups = nn.ModuleList(Upsample(a, b) for a, b in pairwise(widths))
        self.leave = conv(widths[-1], 3 * config.temporal_compression * PATCH**2, zero=True)
        self.linear = _still(
            nn.Conv2d(config.latent_channels, 3 * config.temporal_compression * config.spatial_compression**2, 1)
        )
        self.space = config.spatial_compression

    def forward(
        self, latent: Float[Tensor, "n c h w"], batch: int, memory: Memory | None = None
    ) -> tuple[Float[Tensor, "n f H W"], Memory]:
        """`latent` is folded time-major from clips of number `batch`; `memory` None is the start of the clips."""
        latent = latent.to(self.enter.weight.dtype).contiguous(memory_format=torch.channels_last)
        x = self.enter(latent)
        kept: Memory = []
        for i, (remember, stage) in enumerate(zip(self.memories, self.stages, strict=True)):
            x = self.ups[i - 1](x) if i else x
            kept.append(x[-batch:])
            past = torch.zeros_like(kept[i]) if memory is None else memory[i]
            x = stage(remember(x, torch.cat([past, x[:-batch]])))
        detail = F.pixel_shuffle(self.leave(F.silu(x)), PATCH)
        return detail + F.pixel_shuffle(self.linear(latent), self.space), kept


class ChannelNorm(nn.Module):
    """Each channel to mean 0 and variance 1, by statistics that are averaged over many batches of training.

    Never by a batch's own: that is a few clips, and what they have in common (a night, a beach) is not to be removed.
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
            self._watch(x.detach())
        # Copies, because the buffers change before the gradient is taken.
        mean, std = self.mean.to(x, copy=True), self.std.to(x, copy=True)
        return (x - mean[:, None, None]) / std[:, None, None]

    def _watch(self, x: Tensor) -> None:
        mean = reduce(x, "n c h w -> c", "mean")
        square = reduce((x - self.mean[:, None, None]) ** 2, "n c h w -> c", "mean")
        self.mean.lerp_(mean.to(self.mean), self.momentum)
        self.std.copy_((self.std**2).lerp(square.to(self.std), self.momentum).sqrt())


class ResBlock(nn.Module):
    """x + conv(silu(conv(silu(x)))); the last convolution starts at zero, so depth costs nothing at first."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = conv(width, width)
        self.last = conv(width, width, zero=True)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.last(F.silu(self.first(F.silu(x))))


class MemoryBlock(nn.Module):
    """A residual block that also sees the same features of the latent frame before."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = conv(2 * width, width)
        self.last = conv(width, width, zero=True)

    def forward(self, x: Tensor, past: Tensor) -> Tensor:
        return x + self.last(F.silu(self.first(F.silu(torch.cat([x, past], dim=1)))))


class Downsample(nn.Module):
    """Half the height and width. A convolution learns what the fixed shortcut lacks (DC-AE, arXiv:2410.10733)."""

    def __init__(self, width: int, out: int) -> None:
        super().__init__()
        self.conv = conv(width, out, stride=2)
        self.mean_of = 4 * width // out

    def forward(self, x: Tensor) -> Tensor:
        shortcut = F.pixel_unshuffle(x, 2)
        return self.conv(x) + reduce(shortcut, "n (c g) h w -> n c h w", "mean", g=self.mean_of)


class Upsample(nn.Module):
    """Twice the height and width: the mirror image of `Down`."""

    def __init__(self, width: int, out: int) -> None:
        super().__init__()
        self.conv = conv(width, 4 * out)
        self.copies = 4 * out // width

    def forward(self, x: Tensor) -> Tensor:
        return F.pixel_shuffle(self.conv(x) + x.repeat_interleave(self.copies, dim=1), 2)


def group_frames(pixels: Float[Tensor, "b 3 T H W"], time: int, space: int) -> Float[Tensor, "n f h w"]:
    """Groups of `time` frames (the first picture repeated), stacked as channels, padded to multiples of `space`."""
    first = pixels[:, :, :1].expand(-1, -1, time - 1, -1, -1)
    groups = rearrange(torch.cat([first, pixels], dim=2), "b c (t f) h w -> (t b) (f c) h w", f=time)
    return F.pad(groups, (0, -pixels.shape[4] % space, 0, -pixels.shape[3] % space), mode="replicate")


def conv(width: int, out: int, stride: int = 1, zero: bool = False) -> nn.Conv2d:
    """A 3×3 convolution that keeps the size, padded with zeros; variance-preserving for a silu's output, or zero."""
    layer = nn.Conv2d(width, out, 3, stride=stride, padding=1)
    if zero:
        nn.init.zeros_(layer.weight)
    else:
        nn.init.kaiming_normal_(layer.weight, nonlinearity="linear")
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return layer


def bias_of(layer: nn.Conv2d) -> Tensor:
    """All convolutions of a codec have one."""
    assert layer.bias is not None
    return layer.bias


def _still(layer: nn.Conv2d) -> nn.Conv2d:
    """Zero, and not trained: a gradient step that suits the networks is far too coarse for a closed-form optimum."""
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
                f"{name} has {len(widths)} stages, which compress {PATCH}·2^{len(widths) - 1} times in space, "
                f"not {config.spatial_compression} times."
            )
    for a, b in pairwise(config.encoder_channels):
        if (4 * a) % b:
            raise ValueError(f"encoder_channels: {b} must divide 4·{a}.")
    for a, b in pairwise(config.decoder_channels):
        if (4 * b) % a:
            raise ValueError(f"decoder_channels: {a} must divide 4·{b}.")
