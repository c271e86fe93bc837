"""Muon: its directions are nearly semi-orthogonal, its polynomials the optimal ones, and rates follow the schedule."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from lumora.config import OptimizerConfig
from lumora.train.optimizer import POLAR_EXPRESS, lr_factor, make_optimizer, orthogonalize

LOWEST = 0.01


def best_quintic(low: float, high: float) -> tuple[float, float, float]:
    """The odd quintic nearest to 1 on [low, high], by Remez's algorithm: its error alternates at four points."""
    a = b = c = 0.0
    inner = np.array([(3 * low + high) / 4, (low + 3 * high) / 4])
    for _ in range(50):
        points = np.array([low, *inner, high])
        powers = np.stack([points, points**3, points**5, [1, -1, 1, -1]], axis=1)
        a, b, c, _ = np.linalg.solve(powers, np.ones(4))
        inner = np.sqrt((-3 * b + np.array([-1, 1]) * np.sqrt(9 * b**2 - 20 * a * c)) / (10 * c))
    return float(a), float(b), float(c)


def test_the_polynomials_are_the_best_of_their_degree() -> None:
    low, high = LOWEST, 1.0
    for written in POLAR_EXPRESS:
        a, b, c = best_quintic(low, high)
        np.testing.assert_allclose(written, (a, b, c), atol=2e-6)
        low = a * low + b * low**3 + c * low**5
        high = 2 - low
    assert low > 0.73


@pytest.mark.parametrize("shape", [(3, 48, 16), (2, 16, 40), (2, 24, 24)])
def test_directions_are_nearly_semi_orthogonal(shape: tuple[int, int, int]) -> None:
    left, _, right = torch.linalg.svd(torch.randn(shape, generator=torch.Generator().manual_seed(0)), False)
    values = torch.logspace(0, np.log10(2 * LOWEST), min(shape[1:])).expand(shape[0], -1)
    matrices = 1e-3 * left @ torch.diag_embed(values) @ right
    found = orthogonalize(matrices)
    singular = torch.linalg.svdvals(found)
    assert found.shape == shape
    assert singular.min() > 0.72 and singular.max() < 1.28
    cosine = torch.cosine_similarity(found.flatten(1), (left @ right).flatten(1))
    assert (cosine > 0.97).all()


def test_nothing_has_no_direction() -> None:
    assert not orthogonalize(torch.zeros(2, 4, 6)).any()


def test_matrices_can_be_updated_every_second_step() -> None:
    layer = nn.Linear(4, 4)
    before = layer.weight.detach().clone()
    optimizer = make_optimizer(layer, replace(OptimizerConfig(), muon_every=2), [layer.weight])
    moved = []
    for _ in range(4):
        layer.weight.grad, layer.bias.grad = torch.ones(4, 4), torch.ones(4)
        optimizer.step()
        moved.append(not torch.equal(before, layer.weight))
        before = layer.weight.detach().clone()
    assert moved == [False, True, False, True]


def test_rates_rise_stay_and_fall() -> None:
    rates = [lr_factor(step, 100, 0.1, 0.3) for step in range(101)]
    assert rates[0] == 0.1 and rates[9:71] == [1.0] * 62 and rates[85] == 0.5 and rates[100] == 0
    linear = [lr_factor(step, 100, 0.1) for step in range(101)]
    assert linear[:10] == rates[:10] and linear[55] == 0.5 and linear[100] == 0
