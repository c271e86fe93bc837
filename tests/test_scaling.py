"""Known scaling laws are recovered, and the benchmark trains, fits and resumes."""

import runpy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lumora.config import to_json
from lumora.data.latent_cache import latent_path, save_latent_shard
from lumora.evaluate.metrics.scaling_law import (
    ScalingLaw,
    ScalingRun,
    achieved_gain,
    best_size,
    fit_missed_facts,
    fit_scaling_law,
)
from lumora.evaluate.report.plots import can_plot
from lumora.presets import tiny

BENCHMARK = Path(__file__).parents[1] / "benchmarks" / "scaling.py"


def runs_of(law: ScalingLaw, noise: float = 0.0) -> list[ScalingRun]:
    """Four sizes with four amounts of compute each."""
    rng, runs = np.random.default_rng(0), []
    for parameters in (4e5, 1e6, 2.5e6, 6e6):
        for flops in (1e12, 2e12, 4e12, 8e12):
            samples = int(flops / (600 * parameters))
            loss = law.loss(parameters, samples) * float(np.exp(noise * rng.standard_normal()))
            runs.append(ScalingRun(f"{parameters:.0f}", int(parameters), samples, flops, loss))
    return runs


@settings(max_examples=3)
@given(floor=st.floats(0.1, 0.6), power=st.floats(0.2, 0.5), data_power=st.floats(0.2, 0.5))
def test_a_law_without_noise_is_recovered(floor: float, power: float, data_power: float):
    law = ScalingLaw(floor, 0.3 * 1e6**power, power, 0.4 * 2000**data_power, data_power)
    runs = runs_of(law)
    found = fit_scaling_law(runs)
    for parameters, samples in ((2e6, 5e3), (6e6, 2e4)):
        assert found.loss(parameters, samples) == pytest.approx(law.loss(parameters, samples), rel=0.01)


def test_the_gain_of_a_further_run_is_compared_with_the_prediction():
    law = ScalingLaw(0.3, 50.0, 0.4, 10.0, 0.4)
    runs = runs_of(law, noise=0.003)
    found = fit_scaling_law(runs)
    name, predicted = best_size(found, runs, 3e13)
    assert predicted == min(found.loss(r.parameters, 3e13 * r.samples / r.flops) for r in runs)
    size = next(run for run in runs if run.name == name)
    further = replace(size, samples=round(3e13 * size.samples / size.flops), flops=3e13)
    assert achieved_gain(found, runs, replace(further, loss=predicted)) == pytest.approx(1, abs=0.01)
    best = min(run.loss for run in runs)
    assert achieved_gain(found, runs, replace(further, loss=best)) == 0
    with pytest.raises(ValueError, match="more compute"):
        achieved_gain(found, runs, runs[0])


def test_missed_facts_follow_a_power_law():
    def run(size: str, flops: float, shown: float | None) -> ScalingRun:
        return ScalingRun(size, 1000, 100, flops, 1.0, shown)

    def shown(flops: float) -> float:
        return 1 - 50 / flops**0.15

    best = [run("large", flops, shown(flops)) for flops in (1e12, 2e12, 4e12)]
    worse = [run("small", flops * 1.01, shown(flops) - 0.05) for flops in (1e12, 2e12, 4e12)]
    assert fit_missed_facts([*worse, *best]) == pytest.approx((50, 0.15), rel=1e-6)
    with pytest.raises(ValueError, match="two amounts"):
        fit_missed_facts([best[0], worse[0], run("large", 8e12, None)])


def test_a_law_needs_enough_runs():
    runs = runs_of(ScalingLaw(0.3, 50.0, 0.4, 10.0, 0.4))
    for some in (runs[:4], [run for run in runs if run.name == runs[0].name] * 2):
        with pytest.raises(ValueError, match="different sizes"):
            fit_scaling_law(some)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two shards of random latents, and the configuration that they belong to."""
    model = tiny().model
    (tmp_path / "latents").mkdir()
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "model.json").write_text(to_json(model))
    draw = torch.Generator().manual_seed(0)
    for number in range(2):
        latents, subject = torch.randn(2, 6, 4, 3, 4, 4, generator=draw), torch.zeros(6, 3, 4, 4, dtype=torch.uint8)
        views = [[[(torch.randn(5, 384, generator=draw), 3)]] for _ in range(12)]
        save_latent_shard(latent_path(tmp_path / "latents", number), model.shape, latents, subject, views)
    return tmp_path


def test_the_benchmark_trains_fits_and_resumes(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    main, out = runpy.run_path(str(BENCHMARK))["main"], tmp_path / "scaling"
    main.__globals__.update(COUNTED_STEPS=1, TEST_BATCHES=1)
    options = ["--run-dir", str(folder), "--output-dir", str(out)]
    options += ["--sizes", "64x1,64x2", "--tflop", ".00015,.0003,.00045", "--further", ".0006", "--batch-size", "2"]
    main(options)
    first = capsys.readouterr().out
    assert not can_plot() or "<svg" in (out / "index.html").read_text()
    assert len(list(out.glob("*/run.json"))) == 7
    assert "loss = " in first
    main(options)  # resumes without training
    again = capsys.readouterr().out.splitlines()
    assert again[0].startswith("The law predicts") and set(again) <= set(first.splitlines())
