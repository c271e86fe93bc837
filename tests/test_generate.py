"""Requests and what is made of them, by a tiny model that has learnt nothing and by the default one, if it is there."""

import dataclasses
import json
import runpy
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from lumora import Condition, Pipeline, Request, Video
from lumora.backends.lumora.planning import prepare
from lumora.backends.lumora.weights import DEFAULT_FOLDER, model_hash, read_config
from lumora.config import HighNoiseConfig, ModelConfig, Resolution, to_json

SMALL = Request("a red ball", seconds=0.5, size=Resolution(48, 32), num_inference_steps=2, guidance_scale=4.0)


@settings(max_examples=200)
@given(seconds=st.floats(0, 60), fps=st.floats(1, 60))
def test_frames_are_the_nearest_number_that_the_codec_makes(seconds: float, fps: float):
    frames = prepare(Request("x", seconds=seconds, fps=fps), ModelConfig()).num_frames
    assert frames % 4 == 1
    assert abs(frames - max(1.0, seconds * fps)) <= 2.001


@settings(max_examples=200)
@given(width=st.integers(32, 1024), height=st.integers(32, 1024))
def test_a_size_is_rounded_to_one_that_can_be_made_and_the_plan_says_so(width: int, height: int):
    plan = prepare(Request("x", size=Resolution(width, height), seconds=0.0), ModelConfig())
    assert plan.size.width % 16 == 0 == plan.size.height % 16
    assert abs(plan.size.width - width) <= 8 and abs(plan.size.height - height) <= 8
    rounded = plan.size != Resolution(width, height)
    assert rounded == any(f"becomes {plan.size}" in warning for warning in plan.warnings)
    assert plan.request.size == plan.size


@pytest.mark.parametrize(
    "wrong",
    [
        {"prompt": ""},
        {"prompt": " \n"},
        {"prompt": "x" * 2001},
        {"seconds": -1.0},
        {"seconds": 61.0},
        {"seconds": float("nan")},
        {"size": Resolution(16, 64)},
        {"size": Resolution(64, 1040)},
        {"fps": 0.0},
        {"num_inference_steps": 0},
        {"num_inference_steps": 1001},
        {"guidance_scale": -0.5},
        {"guidance_scale": float("inf")},
        {"seed": -1},
    ],
)
def test_a_bad_request_is_refused_in_a_sentence(wrong: dict):
    with pytest.raises(ValueError, match=r"^[A-Z].*\.$"):
        prepare(Request(**{"prompt": "a ball", **wrong}), ModelConfig())


def test_what_would_never_end_is_refused():
    endless = Request("x", seconds=60.0, size=Resolution(1024, 1024), fps=24.0)
    with pytest.raises(ValueError, match="tokens"):
        prepare(endless, ModelConfig())


def test_the_same_request_makes_the_same_pixels(pipeline: Pipeline, weights: Path):
    first = pipeline.generate(SMALL)
    torch.rand(3)  # the world's random numbers go on meanwhile, and must not matter
    again = Pipeline.from_pretrained(weights).generate(SMALL)
    assert np.array_equal(first.frames, again.frames) and first.fps == pipeline.config.shape.fps
    assert first.frames.shape == (5, 32, 48, 3) and first.frames.std() > 1


def test_videos_made_together_are_those_made_alone(pipeline: Pipeline):
    requests = [
        dataclasses.replace(SMALL, seed=2, prompt="a much longer prompt than that of the others, in many words"),
        SMALL,
        dataclasses.replace(SMALL, conditions=(Condition(Video(np.full((1, 32, 48, 3), 200, np.uint8), 1.0)),)),
    ]
    for request, together in zip(requests, pipeline.generate_batch(requests), strict=True):
        alone = pipeline.generate(request)
        assert np.abs(alone.frames.astype(int) - together.frames).mean() < 1
    with pytest.raises(ValueError, match="agree"):
        pipeline.generate_batch([SMALL, dataclasses.replace(SMALL, guidance_scale=2.0)])


@pytest.mark.parametrize(
    "other",
    [
        {"seed": 1},
        {"prompt": "a blue cube"},
        {"guidance_scale": 1.0},
        {"num_inference_steps": 3},
        {"negative_prompt": "a blue cube"},
    ],
)
def test_all_of_the_request_counts(pipeline: Pipeline, other: dict):
    request = dataclasses.replace(SMALL, num_inference_steps=6)  # some of which lie where guidance acts
    changed = pipeline.generate(dataclasses.replace(request, **other))
    assert not np.array_equal(pipeline.generate(request).frames, changed.frames)


def test_a_second_transformer_predicts_near_noise(pipeline: Pipeline, weights: Path, tmp_path: Path):
    shutil.copytree(weights, tmp_path / "model")
    config = read_config(weights)
    two = dataclasses.replace(config, high_noise=HighNoiseConfig(config.transformer, 0.5))
    (tmp_path / "model" / "model.json").write_text(to_json(two))
    with pytest.raises(ValueError, match="high_noise_transformer"):
        Pipeline.from_pretrained(tmp_path / "model")
    first, second = (tmp_path / "model" / f"{name}.safetensors" for name in two.transformers())
    shutil.copy(first, second)
    request = dataclasses.replace(SMALL, num_inference_steps=4, guidance_scale=1.0)
    same = Pipeline.from_pretrained(tmp_path / "model").generate(request)
    assert np.array_equal(same.frames, pipeline.generate(request).frames)
    save_file({name: 1.5 * tensor for name, tensor in load_file(first).items()}, second)
    other = Pipeline.from_pretrained(tmp_path / "model").generate(request)
    assert not np.array_equal(same.frames, other.frames)
    assert model_hash(tmp_path / "model") != model_hash(weights)


def test_without_guidance_the_prompt_does_not_count(pipeline: Pipeline):
    a, b = (
        pipeline.generate(dataclasses.replace(SMALL, guidance_scale=0.0, prompt=p)) for p in ("a ball", "two cubes")
    )
    assert np.abs(a.frames.astype(int) - b.frames).max() <= 2  # batch mates may move bfloat16's last bit


@pytest.mark.parametrize(
    "prompt",
    ["the epistemology of Tuesday", "красный мяч", "🔴🟦", "a\x00b", "e=mc²; DROP TABLE videos", "ball " * 399],
)
def test_any_prompt_makes_a_video(pipeline: Pipeline, prompt: str):
    assert pipeline.generate(dataclasses.replace(SMALL, prompt=prompt)).frames.shape == (5, 32, 48, 3)


@settings(max_examples=8)
@given(
    width=st.integers(2, 6), height=st.integers(2, 6), frames=st.integers(1, 13), fps=st.sampled_from([4.0, 8.0, 24.0])
)
def test_any_size_rate_and_duration(pipeline: Pipeline, width: int, height: int, frames: int, fps: float):
    request = Request(
        "x", seconds=frames / fps, size=Resolution(16 * width, 16 * height), fps=fps, num_inference_steps=1
    )
    video = pipeline.generate(request)
    assert video.frames.shape == (prepare(request, pipeline.config).num_frames, 16 * height, 16 * width, 3)


def test_a_long_latent_is_decoded_in_pieces_that_fit(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch):
    latent = torch.randn(1, 4, 7, 2, 3, generator=torch.Generator().manual_seed(0))
    whole = np.concatenate(list(pipeline._decode(latent)))
    monkeypatch.setattr("lumora.backends.lumora.pipeline.MAX_CODEC_POSITIONS", 12)
    pieces = list(pipeline._decode(latent))
    assert max(map(len, pieces)) <= 8
    assert np.abs(whole.astype(int) - np.concatenate(pieces)).max() <= 2


def test_progress_counts_every_step(pipeline: Pipeline):
    told: list[tuple[int, int]] = []
    pipeline.generate(dataclasses.replace(SMALL, num_inference_steps=3), lambda done, steps: told.append((done, steps)))
    assert told == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize("broken", ["model.json", "codec.safetensors", "transformer.safetensors"])
def test_broken_and_missing_weights_are_named(weights: Path, tmp_path: Path, broken: str):
    folder = Path(shutil.copytree(weights, tmp_path / "weights"))
    content = (folder / broken).read_bytes()
    for wrong in (content[: len(content) // 2], b"", None):
        (folder / broken).unlink() if wrong is None else (folder / broken).write_bytes(wrong)
        with pytest.raises(ValueError, match=broken if wrong is None else None):
            Pipeline.from_pretrained(folder)


@pytest.mark.skipif(
    not (DEFAULT_FOLDER / "transformer.safetensors").is_file(), reason="There are no default weights yet."
)
def test_the_default_weights_show_a_red_ball():
    pipeline = Pipeline.from_pretrained()
    shape = pipeline.config.shape
    prompt = "a red ball bounces on a meadow at noon"  # a sunset is red too
    request = Request(prompt, num_inference_steps=8)
    video = pipeline.generate(request)
    red, green, blue = np.moveaxis(video.frames.astype(int), -1, 0)
    share = ((red > green + 40) & (red > blue + 40)).mean()
    assert 0.005 < share < 0.5
    meadow = video.frames[:, -shape.height // 6 :].astype(int)
    assert (meadow[..., 1] > meadow[..., 2]).mean() > 0.6


def run_example(name: str, *words: Path) -> None:
    runpy.run_path(str(Path(__file__).parents[1] / "examples" / name))["main"](*words)


def test_the_example_of_the_python_api(weights: Path, tmp_path: Path):
    run_example("generate.py", tmp_path, weights)
    picture, video = Video.load(tmp_path / "image.png"), Video.load(tmp_path / "video.mp4")
    assert picture.frames.shape == (1, 32, 48, 3) and video.frames.shape == (17, 32, 48, 3)


def test_the_example_of_training_on_own_videos(tmp_path: Path):
    run_example("train_on_own_videos.py", tmp_path)
    video = Video.load(tmp_path / "square.mp4")
    assert video.frames.shape == (9, 32, 32, 3)
    losses = [
        json.loads(line)["loss"] for line in (tmp_path / "model" / "codec" / "log.jsonl").read_text().splitlines()
    ]
    assert losses[-1] < losses[0]
