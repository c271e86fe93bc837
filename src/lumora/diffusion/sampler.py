"""Solvers of the ordinary differential equation from noise (t = 1) to data (t = 0).

They are functions of a denoiser `(x, t) -> velocity`, so they are tested on velocity fields with known solutions.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from jaxtyping import Float
from torch import Size, Tensor

from lumora.config import ModelConfig
from lumora.diffusion.condition import LatentState
from lumora.diffusion.defaults import JUMP_T_FEW_STEPS
from lumora.diffusion.flow import log_shift
from lumora.diffusion.guidance import Denoiser
from lumora.model.token_layout import num_video_tokens

Method: TypeAlias = Literal["ab2", "euler", "heun"]
StepProgress: TypeAlias = Callable[[int, int], None]
"""Called after each step with (steps done, total steps)."""


@dataclass(frozen=True)
class SamplerState:
    """A point of a path from noise to data, with all that the next step depends on."""

    num_steps: int
    """Steps that were made."""
    latent: Float[Tensor, "*batch c t h w"]
    velocity: Float[Tensor, "*batch c t h w"] | None = None
    """At the beginning of the last step; None before the first."""


def time_schedule(num_inference_steps: int, log_shift: float = 0.0, final_jump_time: float = 0.0) -> list[float]:
    """`num_inference_steps` + 1 times from 1 to 0, descending.

    Uniform times u are shifted by logit t = logit u + `log_shift` (see `flow.log_shift`), so a positive shift puts more
    steps near noise. If `final_jump_time` > 0, the last step goes from this time to 0: for smaller times a network that
    predicts the clean latent adds more error than it removes.
    Raises ValueError for fewer than one step.
    """
    if num_inference_steps < 1:
        raise ValueError(f"Sampling needs at least 1 step, not {num_inference_steps}.")
    shift, intervals = math.exp(log_shift), num_inference_steps - (final_jump_time > 0)
    uniform = [1 - i / max(intervals, 1) for i in range(intervals + 1)]
    shifted = [1 - (1 - final_jump_time) * (1 - u) / (shift * u + (1 - u)) for u in uniform]
    return [*shifted, 0.0] if final_jump_time else shifted


def sampling_times(
    model: ModelConfig,
    latent_size: Size | tuple[int, int, int],
    num_inference_steps: int,
    jump_time: float = 0.0,
    is_few_step: bool = False,
) -> list[float]:
    """The `time_schedule` of a model for latents of size (t, h, w).

    `jump_time` is the time from which what is known of the clip lets sampling jump to the clean latent; 0 if there is
    none. Raises ValueError for fewer than one step.
    """
    tokens = num_video_tokens(latent_size, model.transformer.patch_size[1])
    jump_time = max(jump_time, JUMP_T_FEW_STEPS if is_few_step else model.flow.t_min)
    if model.high_noise is not None:  # its predictions lack detail
        jump_time = min(jump_time, model.high_noise.boundary)
    return time_schedule(num_inference_steps, log_shift(tokens, model.flow), jump_time)


def sample(
    denoise: Denoiser,
    state: LatentState,
    times: list[float],
    method: Method = "ab2",
    progress: StepProgress | None = None,
    start: SamplerState | None = None,
    on_state: Callable[[SamplerState], None] | None = None,
) -> Float[Tensor, "*batch c t h w"]:
    """The clean latent at the end of the path that begins at `state`, along the descending `times`.

    Conditioned frames are returned exactly as given. Heun evaluates the denoiser twice per step, except in the last;
    Euler and Adams-Bashforth evaluate it once. `on_state` receives the state after each step, before `progress`; with
    one of them as `start`, the same path continues there.
    """
    step = {"ab2": _adams_bashforth, "euler": _euler, "heun": _heun}[method]
    point = start or SamplerState(0, state.restore_clean(state.latent))
    for done in range(point.num_steps + 1, len(times)):
        latent, velocity = step(denoise, point, times)
        point = SamplerState(done, state.restore_clean(latent), velocity)
        if on_state:
            on_state(point)
        if progress:
            progress(done, len(times) - 1)
    return point.latent


def _euler(denoise: Denoiser, point: SamplerState, times: list[float]) -> tuple[Tensor, Tensor]:
    """First order: x + Δt · v(x, t)."""
    t, t_next = times[point.num_steps : point.num_steps + 2]
    v = denoise(point.latent, t)
    return point.latent + (t_next - t) * v, v


def _heun(denoise: Denoiser, point: SamplerState, times: list[float]) -> tuple[Tensor, Tensor]:
    """Second order: the mean of the velocities at both ends. At t = 0 there is no noise left, so that step is
    Euler's."""
    t, t_next = times[point.num_steps : point.num_steps + 2]
    v = denoise(point.latent, t)
    if t_next > 0:
        v = (v + denoise(point.latent + (t_next - t) * v, t_next)) / 2
    return point.latent + (t_next - t) * v, v


def _adams_bashforth(denoise: Denoiser, point: SamplerState, times: list[float]) -> tuple[Tensor, Tensor]:
    """Second order with one evaluation per step: extrapolates the velocity linearly from the last two, for any step
    sizes.

    The first step is Euler's. So is the last one, which ends exactly at the predicted clean latent.
    """
    t, t_next = times[point.num_steps : point.num_steps + 2]
    v = denoise(point.latent, t)
    mean = v
    if point.velocity is not None and t_next > 0:
        t_last = times[point.num_steps - 1]
        mean = v + (t_next - t) / (t - t_last) / 2 * (v - point.velocity)
    return point.latent + (t_next - t) * mean, v
