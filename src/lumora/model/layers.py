"""The parts of the transformer. Activations are (tokens, width) of one packed sequence; attention alone sees samples.

Three operations have hand-written gradients: PyTorch's own take, on a CPU in bfloat16, up to thirty forward passes.
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
TIME_WAVES = 64
"""Frequencies of the time embedding."""
SHORT = 1024
"""Up to so many tokens, attention on a CPU is two plain matrix products. In bfloat16 they take 0.3 (104 tokens) to 0.8
(1,328) times as long as PyTorch's fused kernel, forward and backward; but their memory grows with the square."""

SECONDS_PERIODS = (0.4, 120.0)
PLACE_PERIODS = (0.125, 8.0)
"""Shortest and longest wavelength of the rotary embedding, in seconds and in half sides of the picture."""


class Block(nn.Module):
    """Attention, then SwiGLU (arXiv:2002.05202), each modulated and gated by the frame: AdaLN-single.

    The modulation of a frame is the network's shared one plus this block's `table` (PixArt-α, arXiv:2310.00426).
    """

    def __init__(self, width: int, head_width: int, hidden: int) -> None:
        super().__init__()
        self.head_width = head_width
        self.table = nn.Parameter(torch.zeros(6, width))
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.gain = nn.Parameter(torch.ones(2, 1, head_width))
        self.out = nn.Linear(width, width, bias=False)
        self.up = nn.Linear(width, 2 * hidden, bias=False)
        self.down = nn.Linear(hidden, width, bias=False)

    def forward(
        self,
        x: Float[Tensor, "n d"],
        modulation: Float[Tensor, "frames 6 d"],
        frame: Int[Tensor, " n"],
        rotation: Float[Tensor, "2 n 1 half_head"],
        layout: AttentionLayout,
    ) -> Float[Tensor, "n d"]:
        """`frame` is each token's row of `modulation`; `rotation` the cosine and sine of its position."""
        rows = (modulation + self.table).to(x.dtype).unbind(1)
        shift, scale, gate = rows[:3]
        x = gated(x, self.attention(modulated(x, shift, scale, frame), rotation, layout), gate, frame)
        shift, scale, gate = rows[3:]
        return gated(x, self.down(swiglu(self.up(modulated(x, shift, scale, frame)))), gate, frame)

    def attention(
        self, x: Float[Tensor, "n d"], rotation: Float[Tensor, "2 n 1 half_head"], layout: AttentionLayout
    ) -> Float[Tensor, "n d"]:
        qkv = rearrange(self.qkv(x), "n (three head e) -> n three head e", three=3, e=self.head_width)
        qk, v = qkv.split([2, 1], dim=1)
        q, k = rotate(rms_norm(qk, self.gain.to(qk.dtype)), rotation).unbind(1)
        attended = packed_attention(q, k, v.squeeze(1), layout)
        return self.out(rearrange(attended, "n head e -> n (head e)"))


def hidden_width(width: int) -> int:
    """Of a block's SwiGLU: 8/3 of the width, so as many parameters as a plain layer of 4 times, in steps of 64."""
    return 64 * math.ceil(width * 8 / 3 / 64)


class TimeEmbedding(nn.Module):
    """A flow time in [0, 1] as a vector: sines and cosines, then two layers (DDPM, arXiv:2006.11239)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.up = nn.Linear(2 * TIME_WAVES, width)
        self.out = nn.Linear(width, width)

    def forward(self, times: Float[Tensor, " n"]) -> Float[Tensor, "n d"]:
        angles = times.float()[:, None] * torch.logspace(0, 3, TIME_WAVES, device=times.device)
        waves = torch.cat([angles.cos(), angles.sin()], dim=-1).to(self.up.weight.dtype)
        return self.out(F.silu(self.up(waves)))


class Positions:
    """Factorised 3D rotary embedding (RoFormer, arXiv:2104.09864) of (seconds, y, x).

    Time is in seconds, so any frame rate and stride means the same motion. Places count from the picture's middle in
    half sides (of a square of equal area), so any size shows the same scene. A third of the angles turns with each.
    """

    def __init__(self, head_width: int) -> None:
        self.angles, self.place = head_width // 2, head_width // 6

    def __call__(self, positions: Float[Tensor, "n 3"]) -> Float[Tensor, "2 n half_head"]:
        """Cosine and sine of every angle. Words are at 0: the picture's middle, at the start."""
        seconds, y, x = positions.float()[:, :, None].unbind(1)
        time = frequencies(SECONDS_PERIODS, self.angles - 2 * self.place, positions.device)
        place = frequencies(PLACE_PERIODS, self.place, positions.device)
        angles = torch.cat([seconds * time, y * place, x * place], dim=-1)
        return torch.stack([angles.cos(), angles.sin()])


def frequencies(periods: tuple[float, float], count: int, device: torch.device) -> Float[Tensor, " count"]:
    """Angular frequencies, evenly spaced in their logarithm between the shortest and the longest period."""
    shortest, longest = (math.log10(period) for period in periods)
    return 2 * math.pi / torch.logspace(shortest, longest, count, device=device)


def modulated(
    x: Float[Tensor, "n d"],
    shift: Float[Tensor, "frames d"],
    scale: Float[Tensor, "frames d"],
    frame: Int[Tensor, " n"],
) -> Float[Tensor, "n d"]:
    """Normalised x, scaled by 1 + scale and shifted, by the frame of each token."""
    with torch.autocast(x.device.type, enabled=False):  # which on a GPU would make it float32, at twice the traffic
        normal = F.layer_norm(x, x.shape[-1:])
    return normal * gather_rows(1 + scale, frame) + gather_rows(shift, frame)


def gated(
    x: Float[Tensor, "n d"], update: Float[Tensor, "n d"], gate: Float[Tensor, "frames d"], frame: Int[Tensor, " n"]
) -> Float[Tensor, "n d"]:
    return x + update * gather_rows(gate, frame)


def gather_rows(rows: Float[Tensor, "rows d"], index: Int[Tensor, " n"]) -> Float[Tensor, "n d"]:
    """rows[index], whose gradient is twenty times as fast on a CPU."""
    return rows.index_select(0, index)


@cache
def varlen_kernel() -> Callable[..., Any] | None:
    """PyTorch's CUDA kernel for packed sequences, since 2.10. Imported late: it doubles the time that a start takes."""
    try:
        from torch.nn.attention.varlen import varlen_attn
    except ImportError:
        return None
    return varlen_attn


def packed_attention(
    q: Float[Tensor, "n head e"], k: Float[Tensor, "n head e"], v: Float[Tensor, "n head e"], layout: AttentionLayout
) -> Float[Tensor, "n head e"]:
    """Each sequence attends to itself alone: one kernel on a GPU; on a CPU, and where words of several shots are kept
    apart, a batch for each group of equal lengths."""
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
    """Softmax attention of equally long sequences, by the fastest way on this device; row i of `mask`: what i sees."""
    if q.is_cuda or q.shape[2] > SHORT:
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    scores = q * q.shape[-1] ** -0.5 @ k.transpose(-1, -2)
    scores = scores if mask is None else scores.masked_fill(~mask, -math.inf)
    return torch.softmax(scores, dim=-1) @ v


class _RmsNorm(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, gain: Tensor) -> Tensor:
        precise = torch.promote_types(x.dtype, torch.float32)
        inverse = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=precise)
        inverse = (inverse.square_() / x.shape[-1] + EPSILON).rsqrt_().to(x.dtype)
        unit = x * inverse
        ctx.save_for_backward(unit, inverse, gain)
        return unit * gain

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor]:
        (grad,) = grads
        unit, inverse, gain = ctx.saved_tensors
        product = grad * unit
        along = (product * gain).mean(dim=-1, keepdim=True)
        return torch.addcmul(grad * gain, unit, along, value=-1).mul_(inverse), product.sum(dim=0).sum(
            dim=1, keepdim=True
        )


def rms_norm(x: Float[Tensor, "n two head e"], gain: Float[Tensor, "two 1 e"]) -> Float[Tensor, "n two head e"]:
    """Root-mean-square normalisation (arXiv:1910.07467) of queries and keys, each with its own gain."""
    return _RmsNorm.apply(x, gain)  # type: ignore[no-any-return]


class _Rotate(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, rotation: Tensor) -> Tensor:
        ctx.save_for_backward(rotation)
        return _turn(x, rotation, 1)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (rotation,) = ctx.saved_tensors
        return _turn(grads[0], rotation, -1), None


def _turn(x: Tensor, rotation: Tensor, sign: int) -> Tensor:
    cosine, sine = rotation[0].unsqueeze(1), rotation[1].unsqueeze(1)
    half = x.shape[-1] // 2
    turned = torch.empty_like(x)
    first, second = x[..., :half], x[..., half:]
    torch.mul(first, cosine, out=turned[..., :half]).addcmul_(second, sine, value=-sign)
    torch.mul(second, cosine, out=turned[..., half:]).addcmul_(first, sine, value=sign)
    return turned


def rotate(
    x: Float[Tensor, "n two head e"], rotation: Float[Tensor, "2 n 1 half_head"]
) -> Float[Tensor, "n two head e"]:
    """Turns numbers i and i + e/2 by the token's angle i; dot products then see only differences of positions."""
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
