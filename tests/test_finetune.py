"""Adapters (LoRA), and fine-tuning of a tiny model on ingested footage."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from networks import CONFIG, random_transformer
from safetensors.torch import load_file
from test_model import batch_of

from lumora.cli import main
from lumora.codec import Codec
from lumora.config import HighNoiseConfig, VideoShape, to_json
from lumora.data.datasets import LatentDataset
from lumora.data.footage.footage_latents import encode_footage, footage_shapes, nearest_shape, training_caption
from lumora.data.footage.ingest import IngestConfig, ingest, processes
from lumora.data.footage.screening import Screening
from lumora.data.footage.tar_shards import read_shard, rewrite_shard, shard_paths
from lumora.media.video import Video
from lumora.model.lora_layers import LoraLinear, add_lora, lora_state_dict, merge_lora, save_lora
from lumora.model.transformer import Transformer
from lumora.presets import tiny
from lumora.train.finetune import FinetuneConfig, finetune
from lumora.weights_io import save_weights

MODEL = tiny().model
MODEL = replace(MODEL, high_noise=HighNoiseConfig(replace(MODEL.transformer, patch_size=(1, 4, 4))))


def with_random_adapters(transformer: Transformer, rank: int = 3) -> Transformer:
    add_lora(transformer, rank)
    for module in transformer.modules():
        if isinstance(module, LoraLinear):
            torch.nn.init.normal_(module.lora_B, std=0.1)
    return transformer


def test_new_adapters_change_nothing_and_only_they_are_trained():
    transformer, batch = random_transformer(), batch_of([((2, 4, 4), 3)])
    with torch.no_grad():
        before = transformer(batch)[0]
        add_lora(transformer, 4)
        torch.testing.assert_close(transformer(batch)[0], before)
    trained = {name for name, parameter in transformer.named_parameters() if parameter.requires_grad}
    assert trained == set(lora_state_dict(transformer.state_dict())) and trained


def test_merged_adapters_predict_the_same(tmp_path: Path):
    base, batch = random_transformer(), batch_of([((2, 4, 4), 3)])
    adapted = Transformer(CONFIG)
    adapted.load_state_dict(base.state_dict())
    with_random_adapters(adapted)
    for tensor in lora_state_dict(adapted.state_dict()).values():
        tensor.copy_(tensor.bfloat16())  # the file has this precision
    save_lora(adapted.state_dict(), tmp_path / "lora.safetensors")
    with torch.no_grad():
        before, expected = base(batch)[0], adapted(batch)[0]
        merge_lora(base, tmp_path / "lora.safetensors")
        assert (expected - before).abs().max() > 0.01
        torch.testing.assert_close(base(batch)[0], expected, atol=1e-3, rtol=1e-3)
        merge_lora(base, tmp_path / "lora.safetensors", -1.0)
        torch.testing.assert_close(base(batch)[0], before, atol=1e-3, rtol=1e-3)


def test_adapters_of_another_model_are_refused(tmp_path: Path):
    path, other = tmp_path / "lora.safetensors", Transformer(replace(CONFIG, hidden_size=64))
    save_lora(with_random_adapters(other).state_dict(), path)
    base = random_transformer()
    before = {name: weight.clone() for name, weight in base.state_dict().items()}
    with pytest.raises(ValueError, match="does not fit this model"):
        merge_lora(base, path)
    assert all(torch.equal(weight, before[name]) for name, weight in base.state_dict().items())
    path.write_bytes(b"no")
    with pytest.raises(ValueError, match="does not hold adapters"):
        merge_lora(base, path)
    with pytest.raises(ValueError, match="at least 1"):
        add_lora(base, 0)


def test_shapes_have_about_the_models_pixels_and_the_nearest_ratio_is_taken():
    shape = VideoShape(17, 128, 128)
    shapes = footage_shapes(shape)
    assert all(abs(s.height * s.width / 128**2 - 1) < 0.15 for s in shapes) and len(shapes) == 7
    assert all(s.height % 16 == s.width % 16 == 0 for s in shapes)
    assert nearest_shape(1.0, shape) == shape
    phone = nearest_shape(9 / 16, shape)
    assert phone.height / phone.width > 1.6


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wide video of 2.5 s, a tall one of 1 s, and a picture, with captions."""
    folder, out = tmp_path_factory.mktemp("footage"), tmp_path_factory.mktemp("ingested") / "dataset"
    rng, lines = np.random.default_rng(0), []
    for name, frames, height, width in (
        ("wide.mp4", 20, 96, 160),
        ("tall.mp4", 8, 160, 96),
        ("picture.png", 1, 96, 96),
    ):
        start = rng.integers(40, 220, (height, width, 3), np.uint8)
        clip = np.stack([np.roll(start, 3 * n, axis=1) for n in range(frames)])
        Video(clip, 8.0).save(folder / name)
        lines.append({"file_name": name, "text": f"noise from {name}"})
    (folder / "metadata.jsonl").write_text("\n".join(map(json.dumps, lines)))
    limits = Screening(max_shake=1.0, max_text=1.0)
    ingest(folder, out, IngestConfig(str(folder), limits, reviewed=False), processes(0), None)
    return out


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    torch.manual_seed(0)
    save_weights(Codec(MODEL.codec), folder / "codec.safetensors")
    for name, part in MODEL.transformers().items():
        transformer = Transformer(part.transformer)
        with torch.no_grad():
            for parameter in transformer.parameters():  # new weights have closed gates, which stop the gradient
                parameter += 0.05 * torch.randn_like(parameter)
        save_weights(transformer, folder / f"{name}.safetensors")
    (folder / "model.json").write_text(to_json(MODEL))
    return folder


def test_clips_keep_their_shape_and_are_cut_into_windows(dataset: Path, model: Path, tmp_path: Path):
    codec = model / "codec.safetensors"
    assert encode_footage(dataset, tmp_path, MODEL, codec) == 4
    sizes = [tuple(s.latents.shape[2:]) for s in LatentDataset(tmp_path).shards for _ in range(s.count)]
    # Of 20 frames the windows are 9 and 9; the last 2 would be a picture. Of 8 frames it is 1 + 4.
    wide, tall = (nearest_shape(ratio, MODEL.shape) for ratio in (160 / 96, 96 / 160))
    latents = [(4, 1, 4, 4)] + [(4, n, s.height // 8, s.width // 8) for n, s in ((2, tall), (3, wide), (3, wide))]
    assert sorted(sizes) == sorted(latents)
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.glob("latents-*")}
    assert encode_footage(dataset, tmp_path, MODEL, codec) == 4
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("latents-*")} == kept


def test_one_clip_in_twenty_is_trained_with_its_original_caption(dataset: Path):
    some = next(read_shard(shard_paths(dataset)[0]))

    def caption(key: int, original: str, written: str) -> str:
        return training_caption(replace(some, key=f"clip-{key:06}", caption=original, recaption=written))

    drawn = [caption(key, "original", "written") for key in range(2_000)]
    assert 0.03 < drawn.count("original") / len(drawn) < 0.07
    assert {caption(key, "original", "") for key in range(50)} == {"original"}
    assert drawn[7] == caption(7, "original", "written")


@pytest.mark.parametrize("lora", [True, False])
def test_a_run_is_continued_and_its_model_is_used(
    lora: bool, dataset: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    words = ["train", "finetune", "--dataset", str(dataset), "--run-dir", str(tmp_path), "--init-from", str(model)]
    words += ["--max-steps", "4", "--batch-size", "2", "--prior-clips", "3", "--rank", "2"] + ["--lora"] * lora
    assert main([*words, "--max-minutes", "1e-6"]) == 0
    assert "step 1 of 4: run the same command" in capsys.readouterr().out
    assert main(words) == 0 and "step 4 of 4: finished" in capsys.readouterr().out
    weights = tmp_path / "weights"
    if lora:
        adapters = load_file(weights / "lora.safetensors")
        assert all(adapters[name].any() for name in adapters if name.endswith("lora_B"))
        out = tmp_path / "out.gif"
        assert main(["generate", "noise", "--model", str(weights), "-o", str(out), "--steps", "2"]) == 0
        assert Video.load(out).frames.shape[1:3] == (32, 32)
    else:
        for part in MODEL.transformers():
            before, after = (load_file(f / f"{part}.safetensors") for f in (model, weights))
            assert any(not torch.equal(weight, before[name]) for name, weight in after.items())
        assert not (weights / "lora.safetensors").exists()


def test_clips_without_captions_are_refused_before_training(dataset: Path, model: Path, tmp_path: Path):
    bare = tmp_path / "bare"
    shutil.copytree(dataset, bare)
    for path in shard_paths(bare):
        rewrite_shard(path, lambda sample: replace(sample, caption="", clip=replace(sample.clip, caption="")))
        assert not any(sample.caption for sample in read_shard(path))
    with pytest.raises(ValueError, match="lumora data caption"):
        finetune(FinetuneConfig(bare, model, prior_clips=0), tmp_path / "run")
