"""A tiny curriculum: all stages, stopped by time, resumed and finished."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from test_train_data import script

from lumora.backends.lumora.weights import read_few_steps
from lumora.data.datasets import LatentDataset
from lumora.presets import stage, tiny_stage
from lumora.train.run import CODEC, read_model_config
from lumora.world.languages import LANGUAGES


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The time of the first command ends in its first run; the second command continues to the end."""
    folder, default = tmp_path_factory.mktemp("curriculum"), script("default")
    words = ["--preset", "tiny-stage", "--run-dir", str(folder), "--workers", "0"]
    assert default.main([*words, "--max-minutes", "1e-6"]) == 3
    assert not (folder / "32" / "transformer").exists() and not (folder / "codec" / CODEC).exists()
    assert default.main(words) == 0
    return folder


def test_each_stage_has_weights_of_one_codec(run_dir: Path) -> None:
    for part in tiny_stage().stages:
        assert read_model_config(run_dir / part.name / "weights") == part.clips.model
        for folder in (run_dir / part.name, run_dir / f"{part.name}-films"):
            assert (folder / CODEC).read_bytes() == (run_dir / "codec" / CODEC).read_bytes()


def test_a_stage_starts_from_the_weights_of_the_stage_before(run_dir: Path) -> None:
    first, second = (load_file(run_dir / s.name / "weights" / "transformer.safetensors") for s in tiny_stage().stages)
    changed = [(second[name].float() - first[name].float()).abs().mean() for name in first]
    size = torch.stack([first[name].float().abs().mean() for name in first]).mean()
    assert 0 < torch.stack(changed).mean() < size / 4


def test_the_finished_model_has_a_tuned_decoder_and_the_codecs_encoder(run_dir: Path) -> None:
    before, after = (load_file(f / CODEC.name) for f in (run_dir / "codec" / "weights", run_dir / "weights"))
    changed = {name.split(".")[0] for name, weight in after.items() if not torch.equal(weight, before[name])}
    assert changed == {"decoder"}
    last = run_dir / tiny_stage().stages[-1].name / "weights"
    for name in ("transformer.safetensors", "model.json"):
        assert (run_dir / "weights" / name).read_bytes() == (last / name).read_bytes()


def test_the_finished_model_has_adapters_for_few_steps(run_dir: Path) -> None:
    assert read_few_steps(run_dir / "weights") == tiny_stage().distillation.num_inference_steps


def test_installing_a_model_removes_the_files_of_the_one_before(
    run_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    default, installed = script("default"), tmp_path / "installed"
    shutil.copytree(run_dir / "weights", installed)
    (installed / "probe.safetensors").touch()
    monkeypatch.setattr(default, "DEFAULT_FOLDER", installed)
    words = ["--preset", "tiny", "--run-dir", str(tmp_path / "tiny"), "--workers", "0", "--install"]
    assert default.main(words) == 0
    names = {file.name for file in installed.iterdir()}
    assert names == {"model.json", "codec.safetensors", "transformer.safetensors", "probe.safetensors"}


def test_all_clips_are_rendered_after_the_last_portion(run_dir: Path) -> None:
    assert len(LatentDataset(run_dir / "32" / "latents")) == tiny_stage().stages[0].clips.num_clips


def test_a_curriculum_can_start_from_a_trained_model(run_dir: Path, tmp_path: Path) -> None:
    words = ["--preset", "tiny-stage", "--run-dir", str(tmp_path), "--workers", "0", "--max-minutes", "1e-6"]
    assert script("default").main([*words, "--init-model", str(run_dir / "weights")]) == 3
    assert (tmp_path / "codec" / CODEC).read_bytes() == (run_dir / "weights" / CODEC.name).read_bytes()
    start, trained = (load_file(f / "transformer.safetensors") for f in (tmp_path / "init", run_dir / "weights"))
    assert all(torch.equal(start[name], weight) for name, weight in trained.items())


def test_a_curriculum_can_begin_with_a_later_stage(run_dir: Path, tmp_path: Path) -> None:
    words = ["--preset", "tiny-stage", "--run-dir", str(tmp_path), "--workers", "0", "--max-minutes", "1e-6"]
    assert script("default").main([*words, "--init-model", str(run_dir / "weights"), "--first-stage", "48"]) == 3
    assert (tmp_path / "48" / "transformer").exists() and not (tmp_path / "32" / "transformer").exists()
    assert (tmp_path / "32" / "latents").exists(), "The clips of the stages before are used too."
    with pytest.raises(ValueError, match="stages 32, 48, not 64"):
        script("default").main([*words, "--first-stage", "64"])


def test_a_finished_curriculum_is_not_trained_again(run_dir: Path) -> None:
    log = (run_dir / "48" / "transformer" / "log.jsonl").read_bytes()
    words = ["--preset", "tiny-stage", "--run-dir", str(run_dir), "--workers", "0"]
    assert script("default").main(words) == 0
    assert (run_dir / "48" / "transformer" / "log.jsonl").read_bytes() == log


def test_resolution_grows_and_only_the_last_stage_decays() -> None:
    curriculum = stage()
    small, large = curriculum.stages
    assert small.clips.model.transformer == large.clips.model.transformer
    assert large.clips.model.shape.height == 2 * small.clips.model.shape.height == 128
    assert [s.clips.transformer.optimizer.cooldown_fraction > 0 for s in curriculum.stages] == [False, True]
    assert {s.films.world for s in curriculum.stages} == {"stage-film"}
    assert small.clips.model.codec == curriculum.codec.model.codec
    assert set(small.films.languages) == set(LANGUAGES)
