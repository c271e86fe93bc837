"""`runs/continue_gpu.py`: a dry run of each of its steps on a CPU, with a tiny model."""

from __future__ import annotations

import importlib
import os
import sys
import zipfile
from pathlib import Path

import pytest
import torch
from test_train_data import script

from lumora.data.datasets import LatentDataset
from lumora.model.transformer import Transformer
from lumora.presets import tiny_stage
from lumora.text_encoder import TextEncoder
from lumora.text_encoder.subset import write_subset
from lumora.train.run import CODEC, read_model_config
from lumora.weights_io import load_weights, save_weights


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Weights of a tiny codec, and of a transformer of the tiny curriculum."""
    from lumora.codec import Codec

    folder, model = tmp_path_factory.mktemp("weights"), tiny_stage().stages[0].clips.model
    torch.manual_seed(0)
    save_weights(Codec(model.codec), folder / "codec.safetensors")
    save_weights(Transformer(model.transformer), folder / "transformer.safetensors")
    return folder / "codec.safetensors", folder / "transformer.safetensors"


def test_a_stage_is_continued_and_its_weights_come_back_in_parts(
    weights: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpu = script("continue_gpu")
    monkeypatch.setattr(gpu, "PART_BYTES", 200_000)
    parts, run_dir, joined = tmp_path / "parts", tmp_path / "gpu", tmp_path / "joined"
    words = ["--dry-run", "--workers", "0", "--codec", str(weights[0]), "--init-from", str(weights[1])]
    gpu.main([*words, "--run-dir", str(run_dir), "--output-dir", str(parts)])
    stage = tiny_stage().stages[-1]
    assert len(LatentDataset(run_dir / stage.name / "latents")) == stage.clips.num_clips
    assert all(file.stat().st_size <= 200_000 for file in parts.iterdir())
    gpu.main(["--join", str(parts), "--model", str(joined)])
    assert read_model_config(joined) == stage.clips.model
    for file in joined.iterdir():
        assert file.read_bytes() == (run_dir / stage.name / "weights" / file.name).read_bytes()
    assert (joined / CODEC.name).read_bytes() == weights[0].read_bytes()
    assert (joined / "transformer.safetensors").read_bytes() != weights[1].read_bytes()
    gpu.main([*words[:-2], "--high-noise", "--run-dir", str(run_dir), "--output-dir", str(parts)])
    gpu.main(["--join", str(parts), "--model", str(joined)])
    for name, part in stage.clips.model.transformers().items():
        load_weights(Transformer(part.transformer), joined / f"{name}.safetensors")


def test_the_schedule_is_for_a_gpu_and_the_model_can_be_larger() -> None:
    gpu = script("continue_gpu")
    stage = gpu._stage(gpu._options(["--stage", "64", "--run-minutes", "7", "--num-clips", "1000"]))
    assert stage.clips.model.shape.height == 64 and stage.clips.num_clips == 1000 and stage.films.num_clips == 250
    assert stage.clips.transformer.max_steps is None and stage.clips.transformer.max_minutes == 7
    larger = gpu._stage(gpu._options(["--hidden-size", "384", "--num-layers", "10"])).clips.model
    assert (larger.transformer.hidden_size, larger.transformer.num_layers) == (384, 10)
    assert larger.codec == stage.clips.model.codec and larger.shape.height == 128
    with pytest.raises(ValueError, match="has the stages 64, 128, not 256"):
        gpu._stage(gpu._options(["--stage", "256"]))


def test_latents_of_another_codec_are_refused(weights: tuple[Path, Path], tmp_path: Path) -> None:
    codec = tmp_path / f"{tiny_stage().stages[-1].name}-films" / CODEC
    codec.parent.mkdir(parents=True)
    codec.write_bytes(b"another")
    words = ["--dry-run", "--workers", "0", "--codec", str(weights[0]), "--run-dir", str(tmp_path)]
    with pytest.raises(ValueError, match="another codec"):
        script("continue_gpu").main(words)


def test_packed_files_are_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(os, "environ", dict(os.environ))
    with zipfile.ZipFile(tmp_path / "packed_module-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("packed_module.py", "answer = 42\n")
    with zipfile.ZipFile(tmp_path / "text.zip", "w") as archive:
        archive.writestr("e5-small-q4-subset.bin", b"weights")
    script("continue_gpu").unpack(tmp_path)
    assert importlib.import_module("packed_module").answer == 42
    folder = Path(os.environ["LUMORA_MULTILINGUAL_ENCODER"])
    assert (folder / "e5-small-q4-subset.bin").read_bytes() == b"weights"


def test_the_small_text_encoder_agrees_on_its_vocabulary(tmp_path: Path) -> None:
    try:
        encoder = TextEncoder.load()
    except ValueError as missing:
        pytest.skip(str(missing))
    write_subset(tmp_path / "text.zip", ["a red ball rolls", "ein roter Ball"])
    assert (tmp_path / "text.zip").stat().st_size < 20e6
    with zipfile.ZipFile(tmp_path / "text.zip") as archive:
        archive.extractall(tmp_path)
    small = TextEncoder.load(tmp_path)
    known = ["a red ball", "ein Ball"]
    for mine, expected in zip(small.encode(known), encoder.encode(known), strict=True):
        torch.testing.assert_close(mine, expected)
    assert not torch.allclose(small.encode(["a green cat"])[0], encoder.encode(["a green cat"])[0], atol=0.01)
