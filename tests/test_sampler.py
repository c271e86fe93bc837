"""Tests of the solvers and their time schedules, on flows with known solutions."""

import math
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from lumora.config import HighNoiseConfig, ModelConfig
from lumora.diffusion.condition import LatentState, keep_nothing
from lumora.diffusion.defaults import JUMP_T_FEW_STEPS
from lumora.diffusion.flow import velocity
from lumora.diffusion.sampler import Method, SamplerState, sample, sampling_times, time_schedule
from lumora.presets import tiny

DATA_STD = 0.4
"""Standard deviation of the Gaussian data in the analytic flow."""


def free_state(noise: Tensor) -> LatentState:
    frames = noise.shape[-3]
    mask = keep_nothing(frames).expand(*noise.shape[:-4], frames)
    return LatentState(noise, torch.zeros_like(noise), mask, torch.zeros_like(mask))


def gaussian_velocity(x: Tensor, t: float) -> Tensor:
    """Velocity of the flow between N(0, DATA_STD²) and N(0, 1): x_t has variance s² = (1−t)²·DATA_STD² + t², so
    dx/dt = x · (ln s)′."""
    return x * (t - (1 - t) * DATA_STD**2) / ((1 - t) ** 2 * DATA_STD**2 + t**2)


def sampling_error(method: Method, steps: int) -> float:
    """Largest error against the exact solution, which is DATA_STD · noise."""
    noise = torch.randn(2, 3, 2, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    clean = sample(gaussian_velocity, free_state(noise), time_schedule(steps), method)
    return float((clean / noise - DATA_STD).abs().max())


@given(st.integers(1, 60), st.floats(-1, 2))
def test_time_schedules_descend_from_1_to_0(steps: int, shift: float):
    times = time_schedule(steps, shift)
    assert times[0] == 1 and times[-1] == 0 and len(times) == steps + 1
    assert all(t > t_next for t, t_next in pairwise(times))
    for even, shifted in zip(time_schedule(steps)[1:-1], times[1:-1], strict=True):
        assert math.log(shifted / (1 - shifted)) == pytest.approx(math.log(even / (1 - even)) + shift, abs=1e-6)


@given(st.integers(1, 60), st.floats(-1, 2), st.floats(0.01, 0.5))
def test_the_final_jump_ends_the_schedule(steps: int, shift: float, jump: float):
    times = time_schedule(steps, shift, jump)
    assert len(times) == steps + 1 and times[0] == 1 and times[-1] == 0
    assert all(t > t_next for t, t_next in pairwise(times))
    if steps > 1:
        assert times[-2] == pytest.approx(jump)
        assert [(t - jump) / (1 - jump) for t in times[:-1]] == pytest.approx(time_schedule(steps - 1, shift))


@pytest.mark.parametrize(("method", "order"), [("euler", 1), ("heun", 2), ("ab2", 2)])
def test_samplers_converge_to_the_analytic_flow_with_their_order(method: Method, order: int):
    coarse, fine = sampling_error(method, 40), sampling_error(method, 80)
    assert math.log2(coarse / fine) == pytest.approx(order, abs=0.25)
    assert fine < (0.02 if order == 1 else 0.002)


@pytest.mark.parametrize("method", ["euler", "heun", "ab2"])
def test_a_straight_flow_is_solved_exactly_in_any_number_of_steps(method: Method):
    data, noise = torch.randn(2, 3, 2, 2, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for steps in (1, 2, 7):
        clean = sample(lambda x, t: velocity(x, data, t, 1e-9), free_state(noise), time_schedule(steps, 0.8), method)
        torch.testing.assert_close(clean, data)


def test_adams_bashforth_evaluates_once_per_step_and_reports_progress():
    times, reported = [], []

    def field(x: Tensor, t: float) -> Tensor:
        times.append(t)
        return x

    sample(
        field,
        free_state(torch.ones(1, 1, 1, 1)),
        time_schedule(6),
        progress=lambda done, steps: reported.append((done, steps)),
    )
    assert times == time_schedule(6)[:-1]
    assert reported == [(i, 6) for i in range(1, 7)]


@pytest.mark.parametrize("method", ["ab2", "euler", "heun"])
def test_a_path_continues_from_the_state_after_any_step(method: Method):
    noise = torch.randn(2, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    clips, times, states = free_state(noise), time_schedule(4), list[SamplerState]()
    whole = sample(gaussian_velocity, clips, times, method, on_state=states.append)
    assert [state.num_steps for state in states] == [1, 2, 3, 4]
    for state in states:
        assert torch.equal(sample(gaussian_velocity, clips, times, method, start=state), whole)


def test_the_last_step_of_a_model_begins_where_its_predictions_are_good():
    def jump(model: ModelConfig, steps: int = 6, jump_time: float = 0.0, is_few_step: bool = False) -> float:
        return sampling_times(model, (5, 4, 4), steps, jump_time, is_few_step)[-2]

    one = replace(tiny().model, high_noise=None)
    two = replace(one, high_noise=HighNoiseConfig(one.transformer, boundary=0.3))
    assert jump(one) == pytest.approx(one.flow.t_min) == jump(two)
    assert jump(one, jump_time=0.95) == pytest.approx(0.95) and jump(two, jump_time=0.95) == pytest.approx(0.3)
    assert jump(one, 4, is_few_step=True) == pytest.approx(JUMP_T_FEW_STEPS)
    assert jump(two, 4, is_few_step=True) == pytest.approx(0.3)
