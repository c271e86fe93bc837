"""The device on which networks run, and the dtype in which it computes fastest.

A CPU without bfloat16 instructions emulates them, many times slower than float32. The environment variable
LUMORA_CPU_DTYPE overrides the choice for the CPU: `float32` or `bfloat16`. Results then are those of another kind of
CPU, which is useful for tests; anything else is refused with a ValueError.
"""

from __future__ import annotations

import os

import torch

CPU_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def choose_device(name: str | torch.device | None = None) -> torch.device:
    """The device of this name; None takes a GPU if there is one."""
    return torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))


def fast_dtype(device: torch.device) -> torch.dtype:
    """bfloat16, but float32 on a CPU that lacks bfloat16 instructions (AVX512-BF16 or AMX).

    Raises ValueError for an unknown value of LUMORA_CPU_DTYPE.
    """
    if device.type != "cpu":
        return torch.bfloat16
    name = os.environ.get("LUMORA_CPU_DTYPE", "")
    if name:
        if name not in CPU_DTYPES:
            raise ValueError(f"LUMORA_CPU_DTYPE must be {' or '.join(CPU_DTYPES)}, not {name!r}.")
        return CPU_DTYPES[name]
    native = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return torch.bfloat16 if native else torch.float32


def autocast(device: torch.device) -> torch.autocast:
    """A context in which matrix products and convolutions are computed in `fast_dtype`."""
    return torch.autocast(device.type, torch.bfloat16, enabled=fast_dtype(device) == torch.bfloat16)
