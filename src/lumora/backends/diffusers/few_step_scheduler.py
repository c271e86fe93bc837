"""The scheduler of models that were distilled to a few steps: Euler steps at fixed noise levels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from diffusers import FlowMatchEulerDiscreteScheduler  # pyright: ignore[reportPrivateImportUsage]


class FewStepScheduler(FlowMatchEulerDiscreteScheduler):
    """Steps at `noise_levels`, from 1 down, and then to 0, whatever number of steps a pipeline asks for.

    With `adds_noise` a step predicts clean latents and noises them anew to the next level, as in training by
    distribution matching (DMD, arXiv:2311.18828). The noise is drawn from `generator`, which every call sets.
    """

    generator: torch.Generator | None = None

    def __init__(self, noise_levels: Sequence[float], adds_noise: bool) -> None:
        super().__init__(stochastic_sampling=adds_noise)
        self.noise_levels = tuple(noise_levels)

    def set_timesteps(
        self,
        num_inference_steps: int | None = None,
        device: Any = None,
        sigmas: Any = None,
        mu: float | None = None,
        timesteps: Any = None,
    ) -> None:
        """The arguments but the device have no effect; pipelines pass different ones."""
        super().set_timesteps(sigmas=list(self.noise_levels), device=device)

    def step(self, *args: Any, generator: torch.Generator | None = None, **options: Any) -> Any:
        return super().step(*args, generator=generator or self.generator, **options)
