"""Adapters (LoRA) of open-weight models, trained on footage."""

# pyright: reportPrivateImportUsage=false, reportArgumentType=false

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from test_finetune import dataset  # noqa: F401
from tiny_models import save_tiny_model

from lumora.backends.diffusers.catalog import entry_of_folder
from lumora.backends.diffusers.diffusers_backend import DiffusersBackend
from lumora.backends.diffusers.loaded_model import LoadedModel
from lumora.backends.diffusers.lora import LoraFile
from lumora.cli import main
from lumora.config import Resolution
from lumora.request.spec import Request
from lumora.train.finetune_open_weights import AdapterObjective, OpenWeightsFinetuneConfig
from lumora.train.open_weights_data import encoded_example

REQUEST = Request("noise", 0.5, Resolution(32, 32), num_inference_steps=2)
FRAMES = np.random.default_rng(0).integers(0, 256, (9, 32, 32, 3), np.uint8)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Wan 2.2 with two transformers, for clips of 32 pixels."""
    folder = tmp_path_factory.mktemp("tiny") / "tiny-wan"
    save_tiny_model("wan2.2-a14b", folder)
    return folder


def test_a_run_is_continued_and_its_files_change_the_model(
    dataset: Path,  # noqa: F811
    model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    monkeypatch.setattr("lumora.backends.diffusers.catalog.CatalogEntry.resolution", Resolution(32, 32))
    words = ["train", "finetune", "--dataset", str(dataset), "--run-dir", str(tmp_path), "--init-from", str(model)]
    words += ["--max-steps", "6", "--rank", "2", "--lora", "--device", "cpu"]
    assert main([*words, "--max-minutes", "1e-6"]) == 0
    assert "step 1 of 6: run the same command" in capsys.readouterr().out
    assert main(words) == 0 and "step 6 of 6: finished" in capsys.readouterr().out
    files = [tmp_path / "weights" / f"lora-{part}-noise.safetensors" for part in ("high", "low")]
    assert any(tensor.any() for file in files for name, tensor in load_file(file).items() if "lora_B" in name)
    assert (tmp_path / "transformer" / "checkpoint.pt").stat().st_size < 2_000_000, "It holds the adapters alone."

    def made(loras: list[LoraFile]) -> np.ndarray:
        backend = DiffusersBackend(entry_of_folder(model), model, loras=loras)
        return backend.run(backend.prepare(REQUEST)).frames

    assert not np.array_equal(made([]), made([LoraFile(file, 10.0) for file in files]))


@pytest.mark.parametrize("family", ["wan", "wan2.2-5b", "wan-vace", "ltx", "ltx-condition"])
def test_training_lowers_the_loss(family: str, tmp_path: Path):
    save_tiny_model(family, tmp_path / "model")
    entry = entry_of_folder(tmp_path / "model")
    model = LoadedModel(entry, tmp_path / "model", torch.device("cpu"), [], None)
    pipe = model.pipeline(entry.calls.text_pipeline or "")
    torch.save(encoded_example(pipe, entry, FRAMES, "noise"), tmp_path / "clip.pt")
    config = OpenWeightsFinetuneConfig(tmp_path, rank=2, learning_rate=0.02)
    objective = AdapterObjective(pipe, [tmp_path / "clip.pt"], config)
    optimizer = torch.optim.Adam(objective.module.parameters(), 0.02)

    def loss() -> torch.Tensor:
        return torch.stack([objective.loss(0, torch.Generator().manual_seed(seed))[0] for seed in range(3)]).mean()

    before = float(loss().detach())
    for _ in range(8):
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
    assert float(loss().detach()) < before


def test_what_cannot_be_trained_is_refused_before_it_is_loaded(
    dataset: Path,  # noqa: F811
    model: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
):
    save_tiny_model("cogvideox", tmp_path / "cog")
    words = ["train", "finetune", "--dataset", str(dataset), "--run-dir", str(tmp_path / "run")]
    assert main([*words, "--lora", "--init-from", str(tmp_path / "cog")]) == 2
    assert "cannot be fine-tuned" in capsys.readouterr().err
    assert main([*words, "--init-from", str(model)]) == 2
    assert "use --lora" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
