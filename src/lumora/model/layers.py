"""Layers of the transformer. Activations are (tokens, width) of one packed sequence; only attention separates samples.

Three operations have hand-written gradients: on a CPU in bfloat16 those of PyTorch take up to 30 times as long as the
forward pass.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.autograd import Function

from lumora.model.packing import AttentionLayout

EPSILON = 1e-6
TIME_FREQUENCIES = 64
"""Number of frequencies of the time embedding."""
MAX_UNFUSED_TOKENS = 1024
"""Up to this length, attention on a CPU is two matrix products. In bfloat16 they take 0.3 (104 tokens) to 0.8 (1,328)
times as long as PyTorch's fused kernel, forward and backward, but their memory grows with the square of the length."""

TIME_PERIODS = (0.4, 120.0)
SPACE_PERIODS = (0.125, 8.0)
"""Shortest and longest period of the rotary embedding, in seconds and in half sides of the picture."""


class Block(nn.Module):
    """Attention, then SwiGLU (arXiv:2002.05202), each with shift, scale and gate: adaLN-single.

    The modulation is that of the network plus this block's `scale_shift_table` (PixArt-α, arXiv:2310.00426).
    """

    def __init__(self, width: int, head_dim: int, hidden: int) -> None:
        super().__init__()
        self.head_dim = head_dim
        self.scale_shift_table = nn.Parameter(torch.zeros(6, width))
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.qk_norm_weight = nn.Parameter(torch.ones(2, 1, head_dim))
        self.out = nn.Linear(width, width, bias=False)
        self.up = nn.Linear(width, 2 * hidden, bias=False)
        self.down = nn.Linear(hidden, width, bias=False)

    def forward(
        self,
        x: Float[Tensor, "n d"],
        modulation: Float[Tensor, "rows 6 d"],
        row: Int[Tensor, " n"],
        rotation: Float[Tensor, "2 n 1 half_head"],
        layout: AttentionLayout,
    ) -> Float[Tensor, "n d"]:
        """`row` is each token's row of `modulation`, `rotation` the cosines and sines of its position."""
        parts = (modulation + self.scale_shift_table).to(x.dtype).unbind(1)
        shift, scale, gate = parts[:3]
        x = add_gated(x, self.attention(modulate(x, shift, scale, row), rotation, layout), gate, row)
        shift, scale, gate = parts[3:]
        return add_gated(x, self.down(swiglu(self.up(modulate(x, shift, scale, row)))), gate, row)

    def attention(
        self, x: Float[Tensor, "n d"], rotation: Float[Tensor, "2 n 1 half_head"], layout: AttentionLayout
    ) -> Float[Tensor, "n d"]:
        qkv = rearrange(self.qkv(x), "n (three head e) -> n three head e", three=3, e=self.head_dim)
        qk, v = qkv.split([2, 1], dim=1)
        q, k = rotate(rms_norm(qk, self.qk_norm_weight.to(qk.dtype)), rotation).unbind(1)
        attended = packed_attention(q, k, v.squeeze(1), layout)
        return self.out(rearrange(attended, "n head e -> n (head e)"))


def mlp_width(width: int) -> int:
    """Hidden width of a block's SwiGLU: 8/3 of the block's width, rounded up to a multiple of 64.

    It has as many parameters as a layer without gate of 4 times the width.
    """
    return 64 * math.ceil(width * 8 / 3 / 64)


class TimeEmbedding(nn.Module):
    """Embedding of a flow time in [0, 1]: sines and cosines, then two layers (DDPM, arXiv:2006.11239)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.up = nn.Linear(2 * TIME_FREQUENCIES, width)
        self.out = nn.Linear(width, width)

    def forward(self, times: Float[Tensor, " n"]) -> Float[Tensor, "n d"]:
        angles = times.float()[:, None] * torch.logspace(0, 3, TIME_FREQUENCIES, device=times.device)
        waves = torch.cat([angles.cos(), angles.sin()], dim=-1).to(self.up.weight.dtype)
        return self.out(F.silu(self.up(waves)))


class RotaryEmbedding:
    """Factorized 3D rotary embedding (RoFormer, arXiv:2104.09864) of (seconds, y, x).

    Time is in seconds, so motion means the same at any frame rate. y and x are relative to the middle of the picture in
    half sides of a square of equal area, so a scene means the same at any size. Each coordinate gets a third of the
    angles.
    """

    def __init__(self, head_dim: int) -> None:
        self.num_angles, self.space_angles = head_dim // 2, head_dim // 6
        """Angles of all coordinates, and of each of y and x."""

    def __call__(self, positions: Float[Tensor, "n 3"]) -> Float[Tensor, "2 n half_head"]:
        """Cosines and sines of all angles."""
        seconds, y, x = positions.float()[:, :, None].unbind(1)
        time = frequencies(TIME_PERIODS, self.num_angles - 2 * self.space_angles, positions.device)
        space = frequencies(SPACE_PERIODS, self.space_angles, positions.device)
        angles = torch.cat([seconds * time, y * space, x * space], dim=-1)
        return torch.stack([angles.cos(), angles.sin()])


def frequencies(periods: tuple[float, float], count: int, device: torch.device) -> Float[Tensor, " count"]:
    """Angular frequencies with logarithmically spaced periods, from the shortest to the longest."""
    shortest, longest = (math.log10(period) for period in periods)
    return 2 * math.pi / torch.logspace(shortest, longest, count, device=device)


def modulate(
    x: Float[Tensor, "n d"],
    shift: Float[Tensor, "rows d"],
    scale: Float[Tensor, "rows d"],
    row: Int[Tensor, " n"],
) -> Float[Tensor, "n d"]:
    """layer_norm(x) · (1 + scale) + shift, with each token's row of scale and shift."""
    with torch.autocast(x.device.type, enabled=False):  # On a GPU autocast would compute it in float32.
        normalized = F.layer_norm(x, x.shape[-1:])
    return normalized * gather_rows(1 + scale, row) + gather_rows(shift, row)


def add_gated(
    x: Float[Tensor, "n d"], update: Float[Tensor, "n d"], gate: Float[Tensor, "rows d"], row: Int[Tensor, " n"]
) -> Float[Tensor, "n d"]:
    """x + gate · update, with each token's row of the gate."""
    return x + update * gather_rows(gate, row)


def gather_rows(rows: Float[Tensor, "rows d"], index: Int[Tensor, " n"]) -> Float[Tensor, "n d"]:
    """rows[index]; on a CPU its gradient is 20 times as fast as that of indexing."""
    return rows.index_select(0, index)


@cache
def varlen_kernel() -> Callable[..., Any] | None:
    """PyTorch's CUDA kernel for packed sequences, since 2.10. The import is late because it takes as long as all
    others."""
    try:
        from torch.nn.attention.varlen import varlen_attn
    except ImportError:
        return None
    return varlen_attn


def packed_attention(
    q: Float[Tensor, "n head e"], k: Float[Tensor, "n head e"], v: Float[Tensor, "n head e"], layout: AttentionLayout
) -> Float[Tensor, "n head e"]:
    """Attention within each sequence: one kernel on a GPU; a batch for each group of equal sequences on a CPU and where
    shots have captions of their own."""
    varlen_attn = varlen_kernel() if q.is_cuda and q.dtype != torch.float32 and not layout.masked else None
    if varlen_attn is not None:
        ends, longest = layout.cumulative(q.device), layout.longest
        attended = varlen_attn(q.contiguous(), k.contiguous(), v.contiguous(), ends, ends, longest, longest)
        assert isinstance(attended, Tensor)
        return attended
    sizes = [count * length for count, length in layout.groups]
    parts, masks = [], layout.masks(q.device)
    for (count, _), mask, *group in zip(
        layout.groups, masks, q.split(sizes), k.split(sizes), v.split(sizes), strict=True
    ):
        batch = [rearrange(part, "(b l) head e -> b head l e", b=count) for part in group]
        attended = dense_attention(batch[0], batch[1], batch[2], mask)
        parts.append(rearrange(attended, "b head l e -> (b l) head e"))
    return torch.cat(parts)


def dense_attention(
    q: Float[Tensor, "b head l e"],
    k: Float[Tensor, "b head l e"],
    v: Float[Tensor, "b head l e"],
    mask: Bool[Tensor, "l l"] | None = None,
) -> Float[Tensor, "b head l e"]:
    """Softmax attention of sequences of equal length, by the fastest method on this device.

    `mask[i, j]` is true where token i attends to token j.
    """
    if q.is_cuda or q.shape[2] > MAX_UNFUSED_TOKENS:
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    scores = q * q.shape[-1] ** -0.5 @ k.transpose(-1, -2)
    scores = scores if mask is None else scores.masked_fill(~mask, -math.inf)
    return torch.softmax(scores, dim=-1) @ v


class _RmsNorm(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        precise = torch.promote_types(x.dtype, torch.float32)
        inverse = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=precise)
        inverse = (inverse.square_() / x.shape[-1] + EPSILON).rsqrt_().to(x.dtype)
        unit = x * inverse
        ctx.save_for_backward(unit, inverse, weight)
        return unit * weight

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor]:
        (grad,) = grads
        unit, inverse, weight = ctx.saved_tensors
        product = grad * unit
        along = (product * weight).mean(dim=-1, keepdim=True)
        return torch.addcmul(grad * weight, unit, along, value=-1).mul_(inverse), product.sum(dim=0).sum(
            dim=1, keepdim=True
        )


def rms_norm(x: Float[Tensor, "n two head e"], weight: Float[Tensor, "two 1 e"]) -> Float[Tensor, "n two head e"]:
    """Root-mean-square normalization (arXiv:1910.07467) of queries and keys, each with its own weight."""
    return _RmsNorm.apply(x, weight)  # type: ignore[no-any-return]


class _Rotate(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, rotation: Tensor) -> Tensor:
        ctx.save_for_backward(rotation)
        return _rotate_pairs(x, rotation, 1)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (rotation,) = ctx.saved_tensors
        return _rotate_pairs(grads[0], rotation, -1), None


def _rotate_pairs(x: Tensor, rotation: Tensor, sign: int) -> Tensor:
    cosine, sine = rotation[0].unsqueeze(1), rotation[1].unsqueeze(1)
    half = x.shape[-1] // 2
    rotated = torch.empty_like(x)
    first, second = x[..., :half], x[..., half:]
    torch.mul(first, cosine, out=rotated[..., :half]).addcmul_(second, sine, value=-sign)
    torch.mul(second, cosine, out=rotated[..., half:]).addcmul_(first, sine, value=sign)
    return rotated


def rotate(
    x: Float[Tensor, "n two head e"], rotation: Float[Tensor, "2 n 1 half_head"]
) -> Float[Tensor, "n two head e"]:
    """Rotates components i and i + e/2 by the token's angle i, so dot products depend only on differences of
    positions."""
    return _Rotate.apply(x, rotation)  # type: ignore[no-any-return]


class _SwiGlu(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        gate, value = x.chunk(2, dim=-1)
        silu = F.silu(gate)
        ctx.save_for_backward(x, silu)
        return silu * value

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        (grad,) = grads
        x, silu = ctx.saved_tensors
        gate, value = x.chunk(2, dim=-1)
        result = torch.empty_like(x)
        grad_gate, grad_value = result.chunk(2, dim=-1)
        torch.ops.aten.silu_backward(grad * value, gate, grad_input=grad_gate)
        torch.mul(grad, silu, out=grad_value)
        return result


def swiglu(x: Float[Tensor, "n two_hidden"]) -> Float[Tensor, "n hidden"]:
    """silu(first half) · second half."""
    return _SwiGlu.apply(x)  # type: ignore[no-any-return]
