"""Which parts of a model lie on the GPU, and in which precision: a function of the free memory and of the catalogue.

The figures are estimates from parameter counts. They decide the order in which plans are tried; a plan that runs out of
memory is followed by the next smaller one, once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from lumora.config import Resolution

MemoryLevel: TypeAlias = Literal["full", "offload", "offload-fp8", "stream", "stream-fp8", "full-int8", "offload-int8"]
LEVELS: tuple[MemoryLevel, ...] = ("full", "offload", "offload-fp8", "stream", "stream-fp8")
"""Those that are chosen, from the fastest to the smallest."""
CHOICES: tuple[MemoryLevel, ...] = get_args(MemoryLevel)
"""Those that a user can name: int8 needs a package of its own, and was tried on a CPU only."""
_WORDS: Mapping[MemoryLevel, str] = {
    "full": "all parts on the GPU",
    "offload": "one part at a time on the GPU",
    "offload-fp8": "one part at a time on the GPU, the transformer stored in 8 bits",
    "stream": "a few layers at a time on the GPU",
    "stream-fp8": "a few layers at a time on the GPU, the transformer stored in 8 bits",
    "full-int8": "all parts on the GPU, the transformer's weights quantized to int8",
    "offload-int8": "one part at a time on the GPU, the transformer's weights quantized to int8",
}
GIB = 2**30
RESERVE_GIB = 1.0
"""For CUDA itself and for fragments."""
STREAMED_GIB = 1.5
"""Layers on the GPU while others wait, of all parts."""


@dataclass(frozen=True)
class MemoryPlan:
    level: MemoryLevel
    vae_tiling: bool
    estimated_gib: float
    """Peak on the GPU."""
    free_gib: float

    @property
    def streams(self) -> bool:
        return self.level.startswith("stream")

    @property
    def is_fp8(self) -> bool:
        return self.level.endswith("fp8")

    @property
    def is_int8(self) -> bool:
        return self.level.endswith("int8")

    def sentence(self) -> str:
        tiling = ", frames decoded in tiles" if self.vae_tiling else ""
        return (
            f"Memory plan {self.level!r}: {_WORDS[self.level]}{tiling}; about {self.estimated_gib:.1f} of "
            f"{self.free_gib:.1f} GiB."
        )

    def smaller(self) -> MemoryLevel | None:
        """The level after this one; None if it is the last."""
        if self.is_int8:
            return "offload-int8" if self.level == "full-int8" else "stream"
        following = LEVELS[LEVELS.index(self.level) + 1 :]
        return following[0] if following else None


def plan_memory(
    free_gib: float,
    parameters: Mapping[str, float],
    size: Resolution,
    num_frames: int,
    size_step: int,
    frame_step: int,
    level: MemoryLevel | None = None,
) -> MemoryPlan:
    """The fastest plan that fits into `free_gib`, or the smallest one if none does; or the given `level`.

    `parameters` are billions in each part; without them everything is assumed to fit. `size` and `num_frames` are those
    of one window.
    """
    tokens = (size.width // size_step) * (size.height // size_step) * (1 + (num_frames - 1) // frame_step)
    denoising = _denoising_gib(tokens, parameters.get("transformer", 0.0))
    decoding = _decoding_gib(size, num_frames, tiled=False), _decoding_gib(size, num_frames, tiled=True)
    if level is not None:
        return _plan(level, free_gib, parameters, denoising, decoding)
    plans = [_plan(name, free_gib, parameters, denoising, decoding) for name in LEVELS]
    return next((plan for plan in plans if plan.estimated_gib <= free_gib), plans[-1])


def _plan(
    level: MemoryLevel,
    free_gib: float,
    parameters: Mapping[str, float],
    denoising: float,
    decoding: tuple[float, float],
) -> MemoryPlan:
    """`denoising` and `decoding` (whole frames, tiles) are GiB beside the weights."""
    sizes = {part: 1e9 * count * _bytes_of(part, level) / GIB for part, count in parameters.items()}
    vae = sizes.pop("vae", 0.0)
    largest = max(sizes.values(), default=0.0)

    def peak(vae_gib: float) -> float:
        if level.startswith("full"):
            return sum(sizes.values()) + vae + max(denoising, vae_gib)
        resident = STREAMED_GIB if level.startswith("stream") else largest
        return max(resident + denoising, vae + vae_gib)

    whole, tiled = decoding
    needs_tiling = RESERVE_GIB + peak(whole) > free_gib
    estimate = RESERVE_GIB + peak(tiled if needs_tiling else whole)
    return MemoryPlan(level, needs_tiling, estimate, free_gib)


def _bytes_of(part: str, level: MemoryLevel) -> float:
    if part == "vae":
        return 4.0
    return 1.0 if level.endswith("8") and part.startswith("transformer") else 2.0


def _denoising_gib(tokens: int, billions: float) -> float:
    """Activations of a transformer: about twenty tensors of bfloat16. Its width follows from its size."""
    width = 1300 * math.sqrt(billions)
    return tokens * width * 2 * 20 / GIB


def _decoding_gib(size: Resolution, num_frames: int, tiled: bool) -> float:
    """The video in float32 and in 8 bits, and about 150 channels of four frames in float32 in the decoder."""
    pixels = size.width * size.height
    return (pixels * num_frames * 3 * 5) / GIB + (1.0 if tiled else pixels * 4 * 150 * 4 / GIB)
