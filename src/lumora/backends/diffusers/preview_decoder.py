"""Previews: one latent frame of the current estimate, decoded by the model's own decoder every few seconds."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from lumora.backends.diffusers.families import Family
from lumora.backends.diffusers.pipeline_calls import wan_latent_statistics

PREVIEW_SECONDS = 5.0
"""Between two previews; decoding one latent frame takes a part of a second on a GPU."""


@dataclass
class PreviewDecoder:
    """Called after steps; shows a frame of the families whose latents are not packed."""

    pipe: Any
    family: Family
    show: Callable[[UInt8[np.ndarray, "h w 3"]], None]
    _shown_at: float = field(default_factory=time.monotonic)

    def __call__(self, done: int, latents: Tensor) -> None:
        if latents.ndim != 5 or time.monotonic() - self._shown_at < PREVIEW_SECONDS:
            return
        self._shown_at = time.monotonic()
        self.show(self._decoded(self._clean_estimate(latents)))

    def _clean_estimate(self, latents: Tensor) -> Tensor:
        """What a multistep scheduler predicted of the clean latents; of others, the noisy ones."""
        outputs = getattr(self.pipe.scheduler, "model_outputs", [None])
        return latents if outputs[-1] is None else outputs[-1]

    @torch.no_grad()
    def _decoded(self, latents: Tensor) -> UInt8[np.ndarray, "h w 3"]:
        vae = self.pipe.vae
        if self.family.name.startswith("wan"):
            mean, std = wan_latent_statistics(vae, latents)
            latents = latents * std + mean
        else:
            latents = latents.transpose(1, 2) / vae.config.scaling_factor
        middle = latents.shape[2] // 2
        pixels = vae.decode(latents[:, :, middle : middle + 1].to(vae.device, vae.dtype), return_dict=False)[0]
        frame = (127.5 * (pixels[0, :, 0].float() + 1)).round().clamp(0, 255).byte()
        return frame.permute(1, 2, 0).cpu().numpy()
