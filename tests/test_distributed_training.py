"""Training in several processes: sharded parameters, optimizer and averages, and their checkpoints."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from ranks import (
    STEPS,
    run_ranks,
    train_and_die_while_saving,
    train_divided,
    train_random_codec,
    write_random_latents,
)
from torch import Tensor

from lumora.train.checkpoint import FILE, FOLDER, read_ema, read_progress
from lumora.train.loop import read_log


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one process."""
    folder = tmp_path_factory.mktemp("distributed") / "alone"
    write_random_latents(folder.parent / "latents")
    run_ranks(1, train_divided, folder, LUMORA_CPU_DTYPE="float32")
    return folder


def losses(folder: Path) -> Tensor:
    return torch.tensor([entry["loss"] for entry in read_log(folder / "run")])


def distance(a: Path, b: Path) -> float:
    """Between the weights of two runs, relative to how far the weights of the second are from their average."""
    first, second = (read_ema(folder / "run", 0.0) for folder in (a, b))
    average = read_ema(b / "run")
    assert first.keys() == second.keys() == average.keys()
    apart = sum(float((first[name] - second[name]).square().sum()) for name in second)
    moved = sum(float((average[name] - second[name]).square().sum()) for name in second)
    return (apart / moved) ** 0.5


@pytest.mark.parametrize("size", [2, 4])
def test_several_processes_learn_the_same_as_one(alone: Path, size: int):
    folder = alone.parent / f"{size}"
    run_ranks(size, train_divided, folder, LUMORA_CPU_DTYPE="float32")
    torch.testing.assert_close(losses(folder), losses(alone), rtol=1e-4, atol=1e-5)
    assert distance(folder, alone) < 0.01
    assert sorted(path.name for path in (folder / "run" / FOLDER).iterdir()) == [f"step-{STEPS}"]
    assert not (folder / "run" / FILE).exists()


def test_several_processes_learn_about_the_same_in_bfloat16(alone: Path):
    one, two = alone.parent / "one-bf16", alone.parent / "two-bf16"
    for size, folder in ((1, one), (2, two)):
        run_ranks(size, train_divided, folder, LUMORA_CPU_DTYPE="bfloat16")
    torch.testing.assert_close(losses(one), losses(two), rtol=0.01, atol=0.01)


def test_another_number_of_processes_continues_a_run(alone: Path):
    folder = alone.parent / "resumed"
    for size, stop in ((2, 1), (4, 2), (1, STEPS)):
        run_ranks(size, train_divided, folder, stop, LUMORA_CPU_DTYPE="float32")
        progress = read_progress(folder / "run")
        assert progress and progress.step == stop
        assert (folder / "run" / FILE).exists() == (size == 1)
    torch.testing.assert_close(losses(folder), losses(alone), rtol=1e-4, atol=1e-5)
    assert distance(folder, alone) < 0.01


def test_the_statistics_of_the_codec_are_those_of_all_processes(tmp_path: Path):
    run_ranks(2, train_random_codec, tmp_path, 2)
    before = read_ema(tmp_path / "run")["standardize.std"]
    run_ranks(1, train_random_codec, tmp_path)
    after = read_ema(tmp_path / "run")["standardize.std"]
    progress = read_progress(tmp_path / "run")
    assert progress and progress.step == 4 and len(losses(tmp_path)) == 4
    assert torch.isfinite(losses(tmp_path)).all() and not torch.equal(before, torch.ones_like(before))
    torch.testing.assert_close(after, before, rtol=0.1, atol=0)


def test_a_death_while_saving_leaves_the_last_checkpoint(alone: Path):
    folder = alone.parent / "killed"
    run_ranks(2, train_divided, folder, 3, LUMORA_CPU_DTYPE="float32")
    assert run_ranks(2, train_and_die_while_saving, folder, LUMORA_CPU_DTYPE="float32") == [-9, -9]
    progress = read_progress(folder / "run")
    assert progress and progress.step == 3 and len(read_log(folder / "run")) == STEPS
    run_ranks(2, train_divided, folder, LUMORA_CPU_DTYPE="float32")
    torch.testing.assert_close(losses(folder), losses(alone), rtol=1e-4, atol=1e-5)
    assert distance(folder, alone) < 0.01


def test_adapters_are_trained_in_several_processes(alone: Path):
    one, two = alone.parent / "one-lora", alone.parent / "two-lora"
    for size, folder in ((1, one), (2, two)):
        run_ranks(size, train_divided, folder, None, 2, LUMORA_CPU_DTYPE="float32")
    torch.testing.assert_close(losses(one), losses(two), rtol=1e-4, atol=1e-5)
    assert distance(one, two) < 0.01


def test_ray_train_starts_the_processes(tmp_path: Path):
    pytest.importorskip("ray.train.torch", exc_type=ImportError)
    write_random_latents(tmp_path / "latents", channels=4)
    words = ["train", "transformer", "--preset", "tiny", "--run-dir", str(tmp_path), "--device", "cpu"]
    command = [sys.executable, "-m", "lumora", *words, "--ray-workers", "2"]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert finished.returncode == 0, finished.stderr
    assert "step 12 of 12: finished" in finished.stdout and (tmp_path / "weights" / "model.json").exists()
    assert [path.name for path in (tmp_path / "transformer" / FOLDER).iterdir()] == ["step-12"], "one process only"
