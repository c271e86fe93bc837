"""The measures of tasks, on clips with known answers and on the truth itself."""

import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lumora.config import VideoShape
from lumora.evaluate.instruments.perceptual import perceptual_distances
from lumora.evaluate.instruments.probe import Probe
from lumora.evaluate.metrics.task_quality import (
    MEASURES,
    TASKS,
    TaskClip,
    active_pixels,
    changing_pixels,
    measure_tasks,
    psnr,
    score,
    seam,
    task_clip,
    task_columns,
    win_rate,
)

BENCHMARK = Path(__file__).parents[1] / "benchmarks" / "tasks.py"


@pytest.fixture(scope="module")
def probe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("probe") / "probe.safetensors"
    Probe(width=16).save(path)
    return path


@pytest.fixture(scope="module")
def real() -> TaskClip:
    return task_clip(3, VideoShape(5, 32, 48))


def noise(frames: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (frames, 32, 32, 3), dtype=np.uint8)


@settings(max_examples=8)
@given(changed=st.integers(0, 6), frames=st.just(7))
def test_the_perceptual_distance_depends_on_neighboring_frames_only(probe: Path, changed: int, frames: int):
    true = noise(frames)
    made = true.copy()
    made[changed] = noise(1, seed=1)
    same, other = perceptual_distances(Probe.load(probe), [true, made], true)
    assert (same == 0).all()
    near = np.abs(np.arange(frames) - changed) <= 1
    assert (other[near] > 0).all() and (other[~near] == 0).all() and (other <= 2).all()


def test_the_perceptual_distance_grows_with_noise(probe: Path, real: TaskClip):
    true, judge = real.original.frames[:5], Probe.load(probe)
    off = np.random.default_rng(0).standard_normal(true.shape)
    worse = [(true + size * off).round().clip(0, 255).astype(np.uint8) for size in (2, 8, 32)]
    distances = perceptual_distances(judge, worse, true).mean(axis=1)
    assert distances[0] < distances[1] < distances[2]


@settings(max_examples=20)
@given(step=st.integers(1, 200))
def test_psnr_of_masked_pixels(step: int):
    true = np.zeros((2, 4, 4, 3), np.uint8)
    made, counts = true.copy(), np.zeros((2, 4, 4), bool)
    made[0, 0] = step
    counts[0, 0, 0] = True
    assert psnr(made, true, counts) == pytest.approx(20 * np.log10(255 / step), abs=0.4)
    assert psnr(made, true, ~counts) > psnr(made, true, counts)
    assert psnr(true, true, counts) == pytest.approx(58.9, abs=0.1)
    assert np.isnan(psnr(made, true, counts & False))


def test_the_seam_of_uniform_motion_is_one():
    even = np.broadcast_to((10 * np.arange(6, dtype=np.uint8))[:, None, None, None], (6, 4, 4, 3)).copy()
    kept = np.array([True] * 3 + [False] * 3)
    assert seam(even, kept, loop=False) == pytest.approx(1)
    still, jump = even.copy(), even.copy()
    still[3:], jump[3:] = even[2], 90
    assert seam(still, kept, loop=False) == pytest.approx(0.1) and seam(jump, kept, loop=False) == pytest.approx(7)
    assert seam(even, kept, loop=True) > 2  # from 50 back to 0
    assert np.isnan(seam(even, ~np.ones(6, bool), loop=False))


def test_active_pixels_show_a_subject_or_change(real: TaskClip):
    counts, moving = active_pixels(real.original, 17), changing_pixels(real.original.frames[:17])
    assert counts[real.original.subject[:17]].all() and counts[:, moving].all()
    free = ~counts.any(axis=0)
    assert (np.abs(real.original.frames[:17, free].astype(int) - real.original.frames[0, free]) <= 8).all()


def test_prompts_and_facts_belong_to_the_requested_frames(real: TaskClip):
    one, whole = real.original.facts(1), real.original.facts(33)
    assert {f.category for f in one} < {f.category for f in whole} and "motion" not in {f.category for f in one}
    assert len(real.original.trajectory.beginning(17).times) == 17
    assert real.relit.facts(33) != whole and len(real.relit.facts(33)) == len(whole)
    assert {f.category for f in TASKS["loop 1.5 s"].asked(real)}.isdisjoint({"motion", "direction", "camera"})


@pytest.mark.parametrize("name", ["image", "backward 1.5 s", "edit .6"])
def test_the_truth_is_better_than_the_baseline(real: TaskClip, probe: Path, weights: Path, name: str):
    task = TASKS[name]
    made = task.truth(real).frames[: task.frames]
    if name.startswith("backward"):  # one frame longer, for the grid of latent frames
        made = np.concatenate([made[:1], made])
    found = score(task, real, task.request(real), made, Probe.load(probe), weights)
    assert found.moves and found.figures["distance"].model == 0
    for measure in ("psnr", "psnr of active pixels", "distance"):
        assert win_rate(task_columns([found], measure), measure) == 1, measure
    assert found.figures["psnr"].model > found.figures["psnr"].best
    assert found.verdicts["model"] == found.verdicts["best"] or name.startswith("backward")


def test_ties_count_half():
    same, better, worse = [1.0, 1.0, 2.0], [2.0, 1.0, 2.0], [1.0, 2.0, 2.0]
    assert win_rate(np.array([same]), "psnr") == 0.5
    assert win_rate(np.array([same, better, better, worse]), "psnr") == pytest.approx(2.5 / 4)
    assert win_rate(np.array([[0.5, 4.0, 1.0], [np.nan] * 3]), "seam") == 1
    assert np.isnan(win_rate(np.array([[np.nan] * 3]), "psnr"))


def test_tasks_are_measured_and_the_benchmark_writes_them(
    weights: Path, probe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    names = ["connect 1.9 s", "double rate", "loop 1.5 s"]
    scores = measure_tasks(names, 2, 1, 1.0, weights, probe=probe)
    assert all(len(some) == 2 for some in scores.values())
    known = {
        name: {m for m in MEASURES if np.isfinite(task_columns(some, m)[:, :2]).any()} for name, some in scores.items()
    }
    assert known["loop 1.5 s"] <= {"facts", "seam"} and "seam" in known["loop 1.5 s"]
    assert {"psnr", "psnr of active pixels", "distance", "seam"} <= known["connect 1.9 s"]
    assert "seam" not in known["double rate"]  # no two given frames are neighbours
    out = tmp_path / "tasks.json"
    arguments = ["--num-clips", "1", "--steps", "1", "--only", "image", "--model", str(weights), "--json", str(out)]
    monkeypatch.setattr(sys, "argv", ["tasks.py", *arguments])
    runpy.run_path(str(BENCHMARK), run_name="__main__")
    written = json.loads(out.read_text())["image"]
    assert len(written["psnr"]) == 1 and written["seam"] == [[None, None, None]]
    assert "image" in capsys.readouterr().out
