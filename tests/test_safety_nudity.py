"""Tests of the nudity classifier: the real model on harmless images, and the wiring with fixed scores.

There is no test image with nudity in this repository.
"""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from lumora.cli import main
from lumora.config import VideoShape
from lumora.safety import nudity
from lumora.safety.moderators import frame_moderator
from lumora.safety.nudity import CROP_STRIDE, MAX_UNSAMPLED_FRAMES, NudityCheck, calibrate, preprocess, sampled_views
from lumora.safety.policy import Policy
from lumora.world.clip import make_clip

POLICY = Policy.load()
SKIN = [(255, 224, 189), (224, 172, 105), (141, 85, 36)]


def test_renders_of_the_world_score_far_below_the_threshold():
    check = NudityCheck(POLICY)
    frames = [make_clip("full", 91_000, i, VideoShape(1, 96, 96, 8.0)).frames[0].numpy() for i in range(4)]
    scores = check.scores(frames)
    assert scores.shape == (4,) and scores.min() >= 0 and scores.max() < 0.25
    assert check.check(np.stack(frames)).allowed


@pytest.mark.parametrize("color", SKIN)
def test_skin_colored_shapes_score_below_the_threshold(color: tuple[int, int, int]):
    image = Image.new("RGB", (256, 256), (230, 230, 230))
    pen = ImageDraw.Draw(image)
    pen.ellipse((100, 10, 156, 70), fill=color)
    pen.rectangle((80, 70, 176, 256), fill=color)
    (score,) = NudityCheck(POLICY).scores([np.asarray(image)])
    assert 0 <= score < 0.2


def test_scores_do_not_depend_on_the_batch():
    check, generator = NudityCheck(POLICY), np.random.default_rng(0)
    images = [generator.integers(0, 256, (h, 48, 3), dtype=np.uint8) for h in (32, 48, 64)]
    together = check.scores(images)
    alone = [float(check.scores([image])[0]) for image in images]
    np.testing.assert_allclose(together, alone, atol=1e-4)


def test_preprocessing_gives_bgr_around_the_training_mean():
    blue = np.full((30, 40, 3), (0, 0, 255), np.uint8)
    pixel = preprocess(blue)[100, 100]
    assert preprocess(blue).shape == (224, 224, 3)
    np.testing.assert_allclose(pixel, [255 - 104, -117, -123], atol=4)


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.5, 1.0])
@given(probability=st.floats(0, 1))
def test_calibration_is_monotonic_and_maps_the_threshold_to_one_half(threshold: float, probability: float):
    score = calibrate(probability, threshold)
    assert 0 <= score <= 1 and (score >= 0.5) == (probability >= threshold)
    assert score <= calibrate(min(1.0, probability + 0.1), threshold)


@settings(max_examples=20)
@given(st.integers(1, 3 * MAX_UNSAMPLED_FRAMES))
def test_short_clips_are_judged_frame_by_frame_and_long_ones_densely(num_frames: int):
    pixels = np.zeros((num_frames, 1, 1, 3), np.uint8)
    pixels[:, 0, 0, 0], pixels[:, 0, 0, 1] = divmod(np.arange(num_frames), 256)
    frames = np.broadcast_to(pixels, (num_frames, 224, 225, 3))
    images = [(256 * int(view[0, 0, 0]) + int(view[0, 0, 1]), len(view) == 224) for view in sampled_views(frames)]
    whole = [index for index, uncropped in images if uncropped]
    cropped = sorted({index for index, uncropped in images if not uncropped})
    largest_gap = 1 if num_frames <= MAX_UNSAMPLED_FRAMES else nudity.FRAME_STRIDE
    assert whole[0] == 0 and whole[-1] == num_frames - 1 and max(np.diff(whole), default=1) <= largest_gap
    assert cropped == whole[::CROP_STRIDE]


def test_frames_smaller_than_the_classifiers_input_are_not_cropped():
    assert len(list(sampled_views(np.zeros((9, 223, 400, 3), np.uint8)))) == 9
    assert len(list(sampled_views(np.zeros((9, 224, 400, 3), np.uint8)))) == 9 + 3 * 5


def test_one_unsafe_frame_refuses_a_video(monkeypatch: pytest.MonkeyPatch):
    """Fixed scores stand for the model here: brightness is the score."""
    monkeypatch.setattr(NudityCheck, "scores", lambda self, images: np.array([i.mean() / 255 for i in images]))
    frames = np.zeros((30, 8, 8, 3), np.uint8)
    assert NudityCheck(POLICY).check(frames).allowed
    frames[17] = 220
    verdict = frame_moderator(POLICY).check(frames)
    assert verdict.refused == ("sexual",) and "nudity classifier" in verdict.reason
    frames = np.zeros((18, 240, 240, 3), np.uint8)
    frames[16, :144, :144] = 255
    assert not NudityCheck(POLICY).check(frames).allowed, "only the crop is bright enough"


def test_a_policy_file_changes_the_threshold(tmp_path: Path):
    file = tmp_path / "ours.toml"
    file.write_text('version = "1"\n[nudity]\nthreshold = 0.9\n')
    assert Policy.load(file).nudity_threshold == 0.9
    file.write_text('version = "1"\n[nudity]\nthreshold = 2\n')
    with pytest.raises(ValueError, match="threshold of nudity must be a number from 0 to 1"):
        Policy.load(file)


def test_a_missing_or_changed_model_refuses_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    image = tmp_path / "gray.png"
    Image.new("RGB", (8, 8), "gray").save(image)
    monkeypatch.setattr(nudity, "model_path", nudity.model_path.__wrapped__)
    monkeypatch.setattr(nudity, "find_spec", lambda name: None)
    assert main(["moderate", "--video", str(image)]) == 2
    error = capsys.readouterr().err
    assert "The nudity classifier is not installed" in error and error.count("\n") == 1
    (tmp_path / "open_nsfw.onnx").write_bytes(b"other")
    spec = type("Spec", (), {"submodule_search_locations": [str(tmp_path)]})
    monkeypatch.setattr(nudity, "find_spec", lambda name: spec)
    with pytest.raises(ValueError, match="was changed"):
        NudityCheck(POLICY)


def test_the_runtime_is_imported_only_when_frames_are_judged():
    code = """
import sys, json
from lumora.safety.moderators import frame_moderator, text_moderator
from lumora.safety.policy import Policy
verdict = text_moderator(Policy.load()).check("a red ball")
frame_moderator(Policy.load())
print(json.dumps([verdict.allowed, "onnxruntime" in sys.modules, "lumora.backends" in sys.modules]))
"""
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert json.loads(output) == [True, False, False]


def test_flat_and_gradient_images_are_allowed():
    ramp = np.linspace(40, 220, 64).astype(np.uint8)
    images = [np.full((64, 64, 3), 128, np.uint8), np.repeat(np.tile(ramp, (64, 1))[..., None], 3, axis=2)]
    assert NudityCheck(POLICY).scores(images).max() < POLICY.nudity_threshold
