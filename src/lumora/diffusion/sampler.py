"""From noise to data along a velocity field: ordinary differential equations, solved in few steps.

All is a pure function of a denoiser `(x, t) -> velocity`, so it can be tested on fields that have a solution.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Literal, TypeAlias

from jaxtyping import Float
from torch import Tensor

from lumora.diffusion.condition import LatentState
from lumora.diffusion.guidance import Denoiser

Method: TypeAlias = Literal["ab2", "euler", "heun"]
Progress: TypeAlias = Callable[[int, int], None]
"""Called after each step with (steps done, steps in all)."""


def time_schedule(num_inference_steps: int, log_shift: float = 0.0, final_jump_time: float = 0.0) -> list[float]:
    """Times from 1 to 0 of so many steps. A positive shift of the logit (see `flow.log_shift`) spends more near noise.

    Where `leap` is positive, the last step goes from this time to 0 at once: nearer to data a network that predicts
    the clean latent adds more error of its own than it takes away noise.

    Raises ValueError for fewer than one step.
    """
    if num_inference_steps < 1:
        raise ValueError(f"Sampling needs at least 1 step, not {num_inference_steps}.")
    shift, steady = math.exp(log_shift), num_inference_steps - (final_jump_time > 0)
    even = [1 - i / max(steady, 1) for i in range(steady + 1)]
    shifted = [1 - (1 - final_jump_time) * (1 - t) / (shift * t + (1 - t)) for t in even]
    return [*shifted, 0.0] if final_jump_time else shifted


def sample(
    denoise: Denoiser,
    state: LatentState,
    times: list[float],
    method: Method = "ab2",
    progress: Progress | None = None,
) -> Float[Tensor, "*batch c t h w"]:
    """The clean latent that the state's noise flows to along `times`, descending (see `schedule`).

    Kept frames come back exactly as they are. Heun evaluates the denoiser twice a step (but for the last); Euler and
    Adams-Bashforth once.
    """
    step = {"ab2": _adams_bashforth, "euler": _euler, "heun": _heun}[method](denoise)
    x = state.keep(state.latent)
    steps = len(times) - 1
    for i, (now, then) in enumerate(pairwise(times)):
        x = state.keep(step(x, now, then))
        if progress:
            progress(i + 1, steps)
    return x


Step: TypeAlias = Callable[[Tensor, float, float], Tensor]
"""(latent, time, next time) -> latent then."""


def _euler(denoise: Denoiser) -> Step:
    """First order."""
    return lambda x, now, then: x + (then - now) * denoise(x, now)


def _heun(denoise: Denoiser) -> Step:
    """Second order: the mean of both ends' velocities. At t = 0 there is no noise to see, so no second look."""

    def step(x: Tensor, now: float, then: float) -> Tensor:
        v = denoise(x, now)
        if then > 0:
            v = (v + denoise(x + (then - now) * v, then)) / 2
        return x + (then - now) * v

    return step


def _adams_bashforth(denoise: Denoiser) -> Step:
    """Second order from one evaluation: the velocity goes on changing as it did over the last step, of whatever length.

    The first step is Euler's. So is the last: it ends on the predicted clean latent itself.
    """
    last: tuple[float, Tensor] | None = None

    def step(x: Tensor, now: float, then: float) -> Tensor:
        nonlocal last
        v = denoise(x, now)
        mean = v
        if last is not None and then > 0:
            before, v_before = last
            mean = v + (then - now) / (now - before) / 2 * (v - v_before)
        last = (now, v)
        return x + (then - now) * mean

    return step
