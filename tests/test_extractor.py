"""The extractor of the watermark: what it removes, and that it can be trained."""

from pathlib import Path

import numpy as np
import pytest
import torch
from clips import film
from safetensors.torch import load_file

from lumora.media.video import Video
from lumora.provenance import extractor, train_watermark, watermark
from lumora.provenance.dct import NUM_TIME_FREQUENCIES, reduced

KEY = bytes(range(32))


def test_untrained_extractor_removes_still_and_fast_content_and_keeps_a_weak_pattern():
    generator = np.random.default_rng(0)
    background = generator.uniform(40, 200, (1, 32, 32))
    pattern = 3 * np.cos(np.pi * np.arange(17))[:, None, None] * np.ones((1, 32, 32))
    moving = np.zeros((17, 32, 32))
    for number in range(17):
        moving[number, 8:12, number : number + 4] = 60
    frames = np.rint((background + pattern + moving).clip(0, 255)).astype(np.uint8)
    video = Video(np.repeat(frames[..., None], 3, axis=3), 8.0)
    residual = extractor.watermark_residual(reduced(video), extractor.Extractor())
    assert residual.shape == (17, 16, 16)
    assert np.abs(residual).max() < 6
    assert np.corrcoef(residual[:, 8:].ravel(), pattern[:, ::2, ::2][:, 8:].ravel())[0, 1] > 0.99


def test_residual_does_not_depend_on_the_chunk_size(monkeypatch: pytest.MonkeyPatch):
    clip = reduced(film(2, 40, 45, 64))
    expected = extractor.watermark_residual(clip)
    monkeypatch.setattr(extractor, "CHUNK_FRAMES", 12)
    assert np.allclose(extractor.watermark_residual(clip), expected, atol=1e-4) and expected.shape == (40, 23, 32)


def test_soft_weights_keep_the_sign_and_ignore_the_contrast():
    coefficients = np.random.default_rng(1).normal(size=(3, NUM_TIME_FREQUENCIES, 52))
    weights = extractor.soft_weights(coefficients)
    assert np.array_equal(np.sign(weights), np.sign(coefficients))
    assert np.allclose(extractor.soft_weights(0.1 * coefficients), weights, rtol=1e-2, atol=1e-3)


def test_watermarks_embedded_without_the_extractor_are_read(monkeypatch: pytest.MonkeyPatch):
    with monkeypatch.context() as older_version:
        older_version.setattr(watermark, "watermark_residual", lambda clip, extractor: clip.luma)
        marked = watermark.embed(film(), 1234567, KEY)
    found = watermark.read(reduced(marked), KEY)
    assert found.p_value <= 1e-6 and found.p_values_of([1234567])[0] <= 1e-12


def test_training_changes_the_weights_and_continues_after_an_interruption(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for name in ("INITIAL_CLIPS", "VALIDATION_CLIPS", "HELD_OUT_SHARDS"):
        monkeypatch.setattr(train_watermark, name, 1)
    for shard in range(2):
        np.save(tmp_path / f"frames-{shard:05d}.npy", np.stack([film(shard).frames, film(shard + 2).frames]))
    out = tmp_path / "extractor.safetensors"
    steps = []
    for seconds in (0.01, 2.0):
        train_watermark.train([tmp_path], out, seconds, seed=3)
        steps.append(torch.load(out.with_suffix(".pt"), weights_only=True)["step"])
    assert 0 < steps[0] < steps[1]
    trained, untrained = extractor.Extractor(), extractor.Extractor()
    trained.load_state_dict(load_file(out))
    assert any(not torch.equal(a, b) for a, b in zip(trained.parameters(), untrained.parameters(), strict=True))


def test_training_state_of_an_older_version_is_refused(tmp_path: Path):
    torch.save({"eye": {}}, tmp_path / "extractor.pt")
    with pytest.raises(ValueError, match="older version"):
        train_watermark.train([tmp_path], tmp_path / "extractor.safetensors", 1.0, seed=3)
