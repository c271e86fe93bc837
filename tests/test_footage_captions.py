"""Captions of footage, by lumora's captioner or a vision-language model, and latents that the transformer trains on."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from test_footage import run, save, scenery
from test_prompt_expansion import language_model

from lumora.backends.lumora.weights import read_config
from lumora.chat_completions import ChatEndpoint
from lumora.cli import main
from lumora.config import VideoShape
from lumora.data.datasets import LatentDataset
from lumora.data.footage.captioning import ChatCaptioner, VideoCaptioner, caption_dataset
from lumora.data.footage.tar_shards import FootageSample, read_shard, shard_paths
from lumora.evaluate.instruments.labeled_clips import rendered_clips
from lumora.evaluate.instruments.world_captioner import CaptionerScore, WorldCaptioner, describe, score
from lumora.media.video import Video
from lumora.presets import tiny
from lumora.train.run import train_transformer
from lumora.world.facts import Fact, mirror_fact
from lumora.world.prompt_reader import read_prompt


@pytest.fixture(scope="module")
def captioner() -> WorldCaptioner:
    return WorldCaptioner.load()


def test_the_captioner_states_what_a_clip_of_the_world_shows(captioner: WorldCaptioner):
    stated = right = true = 0
    for clip in rendered_clips("stage", 43_000, range(12), VideoShape(17, 128, 128, 8.0)):
        read = captioner.facts(clip.pixels.numpy())
        for one in score(read, clip.facts).values():
            stated, right, true = stated + one.stated, right + one.right, true + one.true
        text = captioner.caption(clip.pixels.numpy(), 8.0)
        assert text == captioner.caption(clip.pixels.numpy(), 8.0) and text.endswith(".")
    assert right / stated >= 0.9 and right / true >= 0.8, (stated, right, true)


def test_a_picture_has_no_motion(captioner: WorldCaptioner):
    (clip,) = rendered_clips("stage", 43_000, range(1), VideoShape(17, 128, 128, 8.0))
    facts = captioner.facts(clip.pixels.numpy()[:1])
    assert {f.category for f in facts} & {"motion", "direction", "camera"} == set()
    assert {f.category for f in facts} >= {"color", "place", "light"}


def test_what_is_not_sure_is_not_stated():
    scene = [Fact("place", "beach"), Fact("light", "noon")]
    generator = np.random.default_rng(0)
    assert {(f.category, f.value) for f in read_prompt(describe(scene, generator)).facts} == {
        ("place", "beach"), ("light", "noon"),
    }  # fmt: skip
    unknown = describe([Fact("color", "red", 0), Fact("motion", "roll", 0), *scene], generator)
    assert "object" in unknown and describe([], generator) == ""


def test_facts_are_compared_by_the_colors_of_their_subjects():
    true = [Fact("color", "red", 0), Fact("color", "blue", 1), Fact("kind", "ball", 0), Fact("kind", "cube", 1)]
    true.append(Fact("relation", "left of", 0, 1))
    swapped = [replace(f, subject=1 - (f.subject or 0), other=None if f.other is None else 1 - f.other) for f in true]
    swapped[-1] = replace(mirror_fact(swapped[-1]), subject=0, other=1)
    assert all(one.precision == one.recall == 1 for one in score(swapped, true).values())
    wrong = score([*true[:2], Fact("kind", "ball", 1)], true)["kind"]
    assert (wrong.precision, wrong.recall) == (0, 0) and wrong == CaptionerScore(1, 0, 2)


class Counter:
    """Describes a clip by its number; fails at the fourth."""

    def __init__(self, fail_at: int = 100) -> None:
        self.calls, self.fail_at = 0, fail_at

    def caption(self, frames: np.ndarray, fps: float) -> str:
        if self.calls == self.fail_at:
            raise ValueError("The model does not answer.")
        self.calls += 1
        return f"{len(frames)} frames at {fps:g}, seen {self.calls}."


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Three shards: videos of two shapes, and a picture."""
    for seed in range(4):
        save(tmp_path / "in", f"{seed}.mp4", scenery(seed, 20, 64, 112 if seed % 2 else 64), 8.0)
    save(tmp_path / "in", "picture.png", scenery(9)[:1])
    rows = [{"file_name": f"{seed}.mp4", "text": f"square {seed}"} for seed in range(4)] + [
        {"file_name": "picture.png"}
    ]
    (tmp_path / "in" / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    run(tmp_path / "in", tmp_path / "out", shard_size=2)
    return tmp_path / "out"


def samples_of(dataset: Path) -> list[FootageSample]:
    return [sample for path in shard_paths(dataset) for sample in read_shard(path)]


def test_captioning_continues_and_keeps_the_original_captions(dataset: Path):
    before = {s.key: s.content for s in samples_of(dataset)}
    failing = Counter(fail_at=3)
    assert isinstance(failing, VideoCaptioner)
    with pytest.raises(ValueError, match="does not answer"):
        caption_dataset(dataset, failing)
    assert sum(bool(s.recaption) for s in samples_of(dataset)) == 2  # the first shard
    assert caption_dataset(dataset, Counter()) == 3
    after = samples_of(dataset)
    assert {s.key: s.content for s in after} == before and all(s.recaption for s in after)
    assert [s.caption for s in after] == [*(f"square {seed}" for seed in range(4)), ""]
    assert caption_dataset(dataset, Counter()) == 0 and caption_dataset(dataset, Counter(), replace_existing=True) == 5


def test_a_vision_language_model_sees_frames_in_order(dataset: Path, capsys: pytest.CaptureFixture[str]):
    with language_model("A square\n moves.", *["A caption."] * 5) as (url, received):
        frames = Video.load(dataset.parent / "in" / "0.mp4").frames
        assert ChatCaptioner(ChatEndpoint(url, "eyes"), num_frames=3).caption(frames, 8.0) == "A square moves."
        content = received[0]["messages"][1]["content"]
        assert [part["type"] for part in content] == ["text", *["image_url"] * 3] and "2.5 seconds" in content[0][
            "text"
        ]
        assert main(["data", "caption", str(dataset), "--url", url, "--vlm", "eyes"]) == 0
    assert {s.recaption for s in samples_of(dataset)} == {"A caption."} and "5 captions" in capsys.readouterr().out
    assert main(["data", "caption", str(dataset), "--url", "http://127.0.0.1:9"]) == 2
    assert "--vlm" in capsys.readouterr().err


def test_latents_of_footage_train_the_transformer(
    dataset: Path, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    run_dir = tmp_path / "run"
    words = ["data", "encode", str(dataset), "--run-dir", str(run_dir), "--model", str(weights)]
    assert main([*words, "--preset", "cpu"]) == 2 and "another codec" in capsys.readouterr().err
    assert main(words) == 2 and "picture.png has no caption" in capsys.readouterr().err
    caption_dataset(dataset, Counter())
    assert main(words) == 0
    assert "17 clips" in capsys.readouterr().out  # four pieces of 5 frames of each video, and the picture
    stamps = {path.name: path.stat().st_mtime_ns for path in (run_dir / "latents").iterdir()}
    assert main(words) == 0
    assert stamps == {path.name: path.stat().st_mtime_ns for path in (run_dir / "latents").iterdir()}
    latents = LatentDataset(run_dir / "latents")
    assert len({tuple(latents.latent(n).shape[1:]) for n in range(len(latents))}) == 3
    preset = replace(tiny(), model=read_config(weights))
    progress = train_transformer(replace(preset, transformer=replace(preset.transformer, max_steps=2)), run_dir)
    assert progress.step == 2 and torch.isfinite(latents.latent(0).float()).all()
