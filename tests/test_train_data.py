"""Datasets: clips of the world and of users, captions, latents and batches; and the scripts in runs/."""

import importlib.util
import json
import os
import signal
import weakref
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from lumora.backends.lumora.weights import read_config
from lumora.codec import Codec
from lumora.config import VideoShape
from lumora.data import video_folder
from lumora.data.captions import CAPTION_LENGTHS, CaptionLine, ClipCaptions, write_captions
from lumora.data.datasets import FrameDataset, LatentDataset
from lumora.data.latent_cache import Encoders, LatentShard, encode_latents, latent_path, write_latents
from lumora.data.shards import (
    ClipRecord,
    DatasetConfig,
    open_frames,
    open_subjects,
    read_records,
    shard_numbers,
    write_clips,
)
from lumora.data.video_folder import import_videos
from lumora.data.world_clips import render_dataset
from lumora.media.video import Video
from lumora.model.transformer import Transformer
from lumora.presets import PRESETS, tiny, variations
from lumora.text_encoder import TextEncoder
from lumora.train.distributed import DistContext
from lumora.train.loop import read_log, train
from lumora.train.objectives import CodecObjective, shorten_randomly
from lumora.train.run import CODEC, read_model_config, train_transformer
from lumora.weights_io import load_weights

ROOT = Path(__file__).parents[1]
SHAPES = (VideoShape(5, 32, 32), VideoShape(5, 32, 48, 4.0))
SINGLE = DistContext(0, 1, torch.device("cpu"))
CONFIG = DatasetConfig("simple", 3, SHAPES, shard_size=2)


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "runs" / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run directory of the preset `tiny`, made by the script of the default weights."""
    folder = tmp_path_factory.mktemp("tiny")
    assert script("default").main(["--preset", "tiny", "--run-dir", str(folder), "--workers", "0"]) == 0
    return folder


def test_rendering_continues_and_clips_do_not_depend_on_batches_and_processes(tmp_path: Path):
    render_dataset(CONFIG, 4, tmp_path / "a", workers=0, batch_size=1)
    render_dataset(CONFIG, 2, tmp_path / "b", workers=0)
    before = (tmp_path / "b" / "frames-00000.npy").stat().st_mtime_ns
    render_dataset(CONFIG, 4, tmp_path / "b", workers=1, batch_size=2)
    assert (tmp_path / "b" / "frames-00000.npy").stat().st_mtime_ns == before
    assert shard_numbers(tmp_path / "b", "frames") == [0, 1]
    for number, shape in enumerate(SHAPES):
        ours, theirs = open_frames(tmp_path / "a", number), open_frames(tmp_path / "b", number)
        assert ours.shape == (2, shape.num_frames, shape.height, shape.width, 3)
        assert np.array_equal(ours, theirs)
        records = read_records(ClipRecord, tmp_path / "a", "clips", number)
        assert records == read_records(ClipRecord, tmp_path / "b", "clips", number)
        assert [(r.index, r.shape) for r in records] == [(2 * number, shape), (2 * number + 1, shape)]
    with pytest.raises(ValueError, match="holds other clips"):
        render_dataset(replace(CONFIG, seed=4), 4, tmp_path / "a", workers=0)


def test_a_shard_states_its_own_shape(tmp_path: Path):
    """Readers do not compute it from the number of the shard."""
    frames = np.zeros((1, 5, 32, 48, 3), np.uint8)
    write_clips(tmp_path, 7, frames, [ClipRecord(0, SHAPES[1])])
    assert read_records(ClipRecord, tmp_path, "clips", 7)[0].shape == SHAPES[1]
    with pytest.raises(ValueError, match="do not describe"):
        write_clips(tmp_path, 8, frames, [ClipRecord(0, SHAPES[0])])
    encoders = Encoders(Codec(tiny().model.codec), TextEncoder.load())
    captions = ClipCaptions((CaptionLine("a ball"),), ())
    write_latents(latent_path(tmp_path, 7), frames, [ClipRecord(0, SHAPES[1])], [captions], encoders)
    assert LatentShard(latent_path(tmp_path, 7)).example(0, False, 0.0).fps == SHAPES[1].fps


def test_datasets_of_another_version_are_read_or_refused(tmp_path: Path):
    (tmp_path / "about.json").write_text('{"world": "simple"}')
    with pytest.raises(ValueError, match="another version of lumora; remove it"):
        render_dataset(CONFIG, 4, tmp_path, workers=0)
    with pytest.raises(ValueError, match="another version of lumora; remove it"):
        write_captions(tmp_path)
    (tmp_path / "clips-00000.jsonl").write_text('{"index": 0, "fps": 8.0}\n')
    with pytest.raises(ValueError, match="another version of lumora; remove it"):
        read_records(ClipRecord, tmp_path, "clips", 0)
    content = {"latents": torch.zeros(2, 1, 4, 2, 4, 4), "subject": torch.zeros(1, 2, 4, 4), "fps": torch.tensor([4.0])}
    content |= {"text": torch.zeros(3, 384), "captions": torch.tensor([0, 3]), "spans": torch.tensor([2])}
    save_file(content, tmp_path / "no_captions.safetensors")
    with pytest.raises(ValueError, match="encode the clips again"):
        LatentShard(tmp_path / "no_captions.safetensors")
    content |= {"parts": torch.tensor([0, 1]), "first": torch.tensor([0, 1, 1])}
    save_file(content, tmp_path / "no_shape.safetensors")
    assert LatentShard(tmp_path / "no_shape.safetensors").example(0, True, 0.5).fps == 4.0


def test_subject_masks_have_the_shape_of_the_frames(run_dir: Path):
    frames, subjects = open_frames(run_dir / "frames", 0), open_subjects(run_dir / "frames", 0)
    assert subjects is not None
    shown = subjects > 0
    assert shown.shape == frames.shape[:-1]
    assert 0 < shown.mean() < 0.5


def test_captions_are_reproducible_and_mirrored_ones_swap_sides(run_dir: Path):
    file = run_dir / "frames" / "captions-00000.jsonl"
    before = file.read_bytes()
    write_captions(run_dir / "frames", force=True)
    assert file.read_bytes() == before
    swapped = 0
    for number in (0, 1):
        records = read_records(ClipRecord, run_dir / "frames", "clips", number)
        captions = read_records(ClipCaptions, run_dir / "frames", "captions", number)
        for record, clip in zip(records, captions, strict=True):
            for view in (clip.captions, clip.mirrored):
                assert [line.length for line in view] == list(CAPTION_LENGTHS)
                assert all(0 <= fact < len(record.facts) for line in view for fact in line.facts)
            swapped += any(fact["value"] in ("left", "right", "left of", "right of") for fact in record.facts)
    assert swapped


def test_a_latent_shard_has_each_clip_and_its_mirror_image(run_dir: Path):
    codec = load_weights(Codec(tiny().model.codec), run_dir / "weights" / "codec.safetensors")
    encoders = Encoders(codec, TextEncoder.load())
    shard, frames = LatentShard(latent_path(run_dir / "latents", 0)), open_frames(run_dir / "frames", 0)
    assert torch.equal(shard.latents, encoders.latents(frames))
    assert torch.equal(shard.latents[1], encoders.latents(frames[:, :, :, ::-1])[0])
    clip = read_records(ClipCaptions, run_dir / "frames", "captions", 0)[2]
    for mirrored, lines in ((False, clip.captions), (True, clip.mirrored)):
        texts = [line.text for line in lines if line.text]
        first = shard.example(2, mirrored, 0.0)
        assert torch.equal(first.latent, shard.latents[int(mirrored), 2])
        expected = encoders.text.encode([texts[0]])[0]
        assert torch.nn.functional.cosine_similarity(first.text.float(), expected, dim=-1).min() > 0.99
        lengths = [len(shard.example(2, mirrored, choice).text) for choice in (0.0, 0.4, 0.99)]
        assert lengths[0] < lengths[2], "A paragraph is longer than a short caption."
    modified = latent_path(run_dir / "latents", 0).stat().st_mtime_ns
    encode_latents(
        run_dir / "frames", run_dir / "latents", tiny().model.codec, run_dir / "weights" / "codec.safetensors"
    )
    assert latent_path(run_dir / "latents", 0).stat().st_mtime_ns == modified


def test_examples_are_a_function_of_the_generator(run_dir: Path):
    latents = LatentDataset(run_dir / "latents")
    assert len(latents) == tiny().num_clips
    for clip in range(len(latents)):
        first, second = (latents.example(clip, np.random.default_rng(clip)) for _ in range(2))
        assert torch.equal(first.latent, second.latent) and torch.equal(first.text, second.text)
    generator, example = np.random.default_rng(0), latents.example(0, np.random.default_rng(0))
    lengths = [shorten_randomly(example, generator).latent.shape[1] for _ in range(200)]
    assert set(lengths) == {1, 2, 3}
    assert lengths.count(3) > 120
    frames, subjects = FrameDataset(run_dir / "frames").batch(4, np.random.default_rng(0))
    assert frames.shape[0] == 4 and subjects is not None and subjects.shape == frames.shape[:-1]


def test_extra_folders_are_used_too(run_dir: Path, tmp_path: Path):
    both = LatentDataset(run_dir / "latents", extra_folders=[run_dir / "latents"] * 2)
    assert len(both) == 3 * tiny().num_clips
    for clip in (0, tiny().num_clips - 1):
        assert torch.equal(both.latent(clip), both.latent(clip + tiny().num_clips))
    for folder, codec in (("here", b"one"), ("there", b"another")):
        (tmp_path / folder / "weights").mkdir(parents=True)
        (tmp_path / folder / CODEC).write_bytes(codec)
    with pytest.raises(ValueError, match="another codec"):
        train_transformer(tiny(), tmp_path / "here", extra_data=[tmp_path / "there"])


def test_own_videos_are_imported_as_shards(tmp_path: Path):
    folder, out, shape = tmp_path / "own", tmp_path / "frames", VideoShape(5, 32, 32, 4.0)
    folder.mkdir()
    ramp = np.linspace(0, 255, 24).astype(np.uint8)
    frames = np.broadcast_to(ramp[:, None, None, None], (24, 48, 64, 3)).copy()
    Video(frames, 8.0).save(folder / "fade.mp4")
    rows = [
        {"file_name": "fade.mp4", "text": "it grows light"},
        {"file_name": "fade.mp4", "text": "light, on the left"},
    ]
    (folder / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert import_videos(folder, shape, out) == 4
    pixels = open_frames(out, 0).astype(int)
    assert pixels.shape == (4, 5, 32, 32, 3)
    assert abs(pixels[0, :, 16, 16, 0] - ramp[0:10:2]).max() < 6
    assert abs(pixels[1, :, 16, 16, 0] - ramp[10:20:2]).max() < 6
    captions = read_records(ClipCaptions, out, "captions", 0)
    assert captions[0].captions[0].text == captions[0].mirrored[0].text == "it grows light"
    assert captions[2].mirrored == ()
    assert [record.shape for record in read_records(ClipRecord, out, "clips", 0)] == [shape] * 4
    assert FrameDataset(out).batch(3, np.random.default_rng(0))[1] is None


class CountingReader:
    """Stands for a long video of 2,000 frames at 8 fps, and counts the decoded frames that are in memory."""

    num_frames, in_memory, most_in_memory = 2_000, 0, 0

    def __init__(self, path: Path) -> None:
        pass

    def __enter__(self) -> "CountingReader":
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def __iter__(self) -> Iterator[np.ndarray]:
        for number in range(self.num_frames):
            frame = np.full((32, 32, 3), number % 256, np.uint8)
            weakref.finalize(frame, self.count, -1)
            self.count(1)
            yield frame

    @classmethod
    def count(cls, change: int) -> None:
        cls.in_memory += change
        cls.most_in_memory = max(cls.most_in_memory, cls.in_memory)

    def schedule(self) -> tuple[np.ndarray, float]:
        return np.arange(self.num_frames), 8.0


def test_a_long_video_is_not_held_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(video_folder, "FrameReader", CountingReader)
    (tmp_path / "long.mp4").touch()
    (tmp_path / "metadata.jsonl").write_text('{"file_name": "long.mp4", "text": "a ball"}\n')
    assert import_videos(tmp_path, VideoShape(5, 32, 32, 4.0), tmp_path / "out", shard_size=3) == 200
    assert len(shard_numbers(tmp_path / "out", "frames")) == 67
    assert open_frames(tmp_path / "out", 66)[0, :, 0, 0, 0].tolist() == [(2 * n) % 256 for n in range(990, 995)]
    assert CountingReader.most_in_memory <= 3


@pytest.mark.parametrize(
    ("metadata", "message"),
    [(None, "needs a metadata.jsonl"), ("{}\n", "Line 1 of"), ('{"file_name": "no.mp4", "text": ""}\n', "no file")],
)
def test_a_folder_without_valid_metadata_is_refused(tmp_path: Path, metadata: str | None, message: str):
    if metadata is not None:
        (tmp_path / "metadata.jsonl").write_text(metadata)
    with pytest.raises(ValueError, match=message):
        import_videos(tmp_path, SHAPES[0], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_codec_is_trained_on_runs_of_frames_and_their_mirror_images(run_dir: Path):
    clips = np.concatenate([open_frames(run_dir / "frames", n) for n in shard_numbers(run_dir / "frames", "frames")])
    runs = [clips[:, start : start + 5] for start in range(clips.shape[1] - 4)] + [clips[:, ::2]]
    wanted = {view.tobytes() for run in runs for view in (*run, *run[:, :, :, ::-1])}
    codec, frames, config = (
        Codec(tiny().model.codec),
        FrameDataset(run_dir / "frames"),
        replace(tiny().codec, batch_size=2),
    )
    objective = CodecObjective(codec, frames, config, SINGLE, latent_frames=2)
    batches = [objective._draw_batch(step) for step in range(20)]
    drawn = {clip.numpy().tobytes() for pixels, _ in batches for clip in pixels}
    assert drawn <= wanted and len(drawn) > 20
    assert drawn & {view.tobytes() for run in (clips[:, ::2], clips[:, ::2, :, ::-1]) for view in run}
    assert all(subject is not None and subject.shape == pixels.shape[:-1] for pixels, subject in batches)
    with pytest.raises(ValueError, match="13 frames"):
        CodecObjective(codec, frames, config, SINGLE, latent_frames=4)._draw_batch(0)


class Interrupted(CodecObjective):
    """Gets SIGTERM in its third step."""

    def loss(self, step: int, generator: torch.Generator):
        if step == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return super().loss(step, generator)


def test_an_interrupted_codec_run_continues_exactly(run_dir: Path, tmp_path: Path):
    config = replace(tiny().codec, max_steps=5, log_every=1)

    def session(kind: type[CodecObjective], folder: str) -> tuple[int, dict[str, torch.Tensor]]:
        torch.manual_seed(0)
        objective = kind(Codec(tiny().model.codec), FrameDataset(run_dir / "frames"), config, SINGLE)
        return train(objective, config, tmp_path / folder, SINGLE).step, objective.module.state_dict()

    assert session(Interrupted, "stopped")[0] == 3
    (steps, resumed), (_, straight) = session(CodecObjective, "stopped"), session(CodecObjective, "straight")
    assert steps == 5
    assert all(torch.equal(resumed[name], straight[name]) for name in straight)
    losses = [[entry["loss"] for entry in read_log(tmp_path / folder)] for folder in ("stopped", "straight")]
    assert losses[0] == losses[1]


def test_the_default_script_makes_a_model_and_does_nothing_twice(run_dir: Path):
    assert read_config(run_dir / "weights") == tiny().model
    before = (run_dir / "transformer" / "log.jsonl").read_bytes()
    assert script("default").main(["--preset", "tiny", "--run-dir", str(run_dir), "--workers", "0"]) == 0
    assert (run_dir / "transformer" / "log.jsonl").read_bytes() == before, "The run had finished."


@pytest.mark.parametrize("side", [32, 64, 128, 256])
def test_variations_of_a_shape_have_about_as_many_pixels_and_can_be_encoded(side: int):
    shape = VideoShape(17, side, side)
    for other in variations(shape):
        assert other.height % 16 == other.width % 16 == 0 and (other.num_frames - 1) % 4 == 0
        assert abs(other.height * other.width / side**2 - 1) < 0.1
    assert len(set(variations(shape))) == (5 if side > 32 else 3)


def test_presets_are_consistent():
    for name, preset in ((name, make()) for name, make in PRESETS.items()):
        assert preset.codec.max_steps and preset.transformer.max_steps, "`lumora train all` needs a length."
        with torch.device("meta"):
            codec, transformer = Codec(preset.model.codec), Transformer(preset.model.transformer)
        assert preset.model.transformer.latent_channels == preset.model.codec.latent_channels
        sizes = [sum(p.numel() for p in network.parameters()) for network in (codec, transformer)]
        assert name in ("400m", "2b") or 2 * sum(sizes) < 48e6, "The default weights must fit in 48 MB."
        for shape in preset.buckets:
            assert (shape.num_frames - 1) % preset.model.codec.temporal_compression == 0
            assert (
                shape.height % preset.model.codec.spatial_compression
                == shape.width % preset.model.codec.spatial_compression
                == 0
            )


def test_a_model_config_is_read_back(run_dir: Path):
    assert read_model_config(run_dir / "weights") == tiny().model
