"""The learned eye of the mark: what it takes off, that old marks are still read, and that it can be taught."""

from pathlib import Path

import numpy as np
import pytest
import torch
from clips import film
from safetensors.torch import load_file

from lumora.media.video import Video
from lumora.provenance import extractor as eye
from lumora.provenance import train_watermark as learning
from lumora.provenance import watermark
from lumora.provenance.dct import TIMES, reduced

KEY = bytes(range(32))


def test_untaught_it_takes_off_what_stands_still_and_what_moves_strongly():
    generator = np.random.default_rng(0)
    picture = generator.uniform(40, 200, (1, 32, 32))
    pattern = 3 * np.cos(np.pi * np.arange(17))[:, None, None] * np.ones((1, 32, 32))
    thing = np.zeros((17, 32, 32))
    for number in range(17):
        thing[number, 8:12, number : number + 4] = 60
    frames = np.rint((picture + pattern + thing).clip(0, 255)).astype(np.uint8)
    video = Video(np.repeat(frames[..., None], 3, axis=3), 8.0)
    seen = eye.watermark_residual(video, eye.Extractor())
    assert seen.shape == (17, 16, 16)
    assert np.abs(seen).max() < 6
    assert np.corrcoef(seen[:, 8:].ravel(), pattern[:, ::2, ::2][:, 8:].ravel())[0, 1] > 0.99


def test_a_long_video_is_seen_as_a_whole(monkeypatch: pytest.MonkeyPatch):
    video = film(2, 40, 45, 64)
    whole = eye.watermark_residual(video)
    monkeypatch.setattr(eye, "FRAMES", 12)
    assert np.allclose(eye.watermark_residual(video), whole, atol=1e-4) and whole.shape == (40, 23, 32)


def test_waves_count_as_their_sign_says_and_whatever_the_contrast():
    waves = np.random.default_rng(1).normal(size=(3, TIMES, 52))
    counts = eye.counting(waves)
    assert np.array_equal(np.sign(counts), np.sign(waves))
    assert np.allclose(eye.counting(0.1 * waves), counts, rtol=1e-2, atol=1e-3)


def test_marks_of_before_the_eye_are_still_read(monkeypatch: pytest.MonkeyPatch):
    with monkeypatch.context() as before:
        before.setattr(watermark, "watermark_residual", lambda video, eye: reduced(video))
        marked = watermark.embed(film(), 1234567, KEY)
    found = watermark.read(marked, KEY)
    assert found.p_value <= 1e-6 and found.p_values_of([1234567])[0] <= 1e-12


def test_teaching_goes_on_where_it_was_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name in ("FIRST", "UNSEEN", "HELD_OUT"):
        monkeypatch.setattr(learning, name, 1)
    for shard in range(2):
        np.save(tmp_path / f"frames-{shard:05d}.npy", np.stack([film(shard).frames, film(shard + 2).frames]))
    out = tmp_path / "mark.safetensors"
    steps = []
    for seconds in (0.01, 2.0):
        learning.train([tmp_path], out, seconds, seed=3)
        steps.append(torch.load(out.with_suffix(".pt"), weights_only=True)["step"])
    assert 0 < steps[0] < steps[1]
    taught = eye.Extractor()
    taught.load_state_dict(load_file(out))
    assert any(not torch.equal(a, b) for a, b in zip(taught.parameters(), eye.Extractor().parameters(), strict=True))
