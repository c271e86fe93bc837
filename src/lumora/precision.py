"""Which numbers a device computes with fastest: a processor without instructions for bfloat16 emulates it, many times
slower than float32."""

from __future__ import annotations

import torch


def fast_dtype(device: torch.device) -> torch.dtype:
    """bfloat16, but float32 on a CPU that has no instructions for it."""
    if device.type == "cpu" and not (torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()):
        return torch.float32
    return torch.bfloat16


def autocast(device: torch.device) -> torch.autocast:
    """Matrix products and convolutions inside are computed in `fast_dtype`."""
    return torch.autocast(device.type, torch.bfloat16, enabled=fast_dtype(device) == torch.bfloat16)
