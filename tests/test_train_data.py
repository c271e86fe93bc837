"""From the world, or a user's videos, to what a step is trained on; and the scripts that walk the whole road."""

import importlib.util
import json
import os
import shutil
import signal
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from lumora.backends.lumora.weights import read_config
from lumora.codec import Codec
from lumora.config import VideoShape
from lumora.data.captions import LENGTHS, ClipCaptions, write_captions
from lumora.data.datasets import FrameDataset, LatentDataset
from lumora.data.latent_cache import Encoders, LatentShard, encode_latents, latent_path
from lumora.data.shards import ClipRecord, open_frames, open_subjects, read_lines, render_dataset, shard_numbers
from lumora.data.video_folder import import_videos
from lumora.media.video import Video
from lumora.model.transformer import Transformer
from lumora.presets import PRESETS, tiny, variations
from lumora.text_encoder.encoder import TextEncoder
from lumora.train.distributed import DistContext
from lumora.train.loop import read_log, train
from lumora.train.objectives import CodecObjective, shortened
from lumora.train.run import CODEC, read_model, train_transformer
from lumora.weights_io import load_weights

ROOT = Path(__file__).parents[1]
SHAPES = (VideoShape(5, 32, 32), VideoShape(5, 32, 48, 4.0))


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "runs" / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All that the tiny preset makes, by the script that makes the default weights."""
    folder = tmp_path_factory.mktemp("tiny")
    assert script("default").main(["--preset", "tiny", "--folder", str(folder), "--workers", "0"]) == 0
    return folder


def test_clips_go_on_where_they_were_left_and_are_always_the_same(tmp_path: Path):
    render_dataset("simple", 3, 4, SHAPES, tmp_path / "a", workers=0, shard=2, batch=1)
    render_dataset("simple", 3, 2, SHAPES, tmp_path / "b", workers=0, shard=2)
    before = (tmp_path / "b" / "frames-00000.npy").stat().st_mtime_ns
    render_dataset("simple", 3, 4, SHAPES, tmp_path / "b", workers=1, shard=2, batch=2)
    assert (tmp_path / "b" / "frames-00000.npy").stat().st_mtime_ns == before
    assert shard_numbers(tmp_path / "b", "frames") == [0, 1]
    for number, shape in enumerate(SHAPES):
        ours, theirs = open_frames(tmp_path / "a", number), open_frames(tmp_path / "b", number)
        assert ours.shape == (2, shape.num_frames, shape.height, shape.width, 3)
        assert np.array_equal(ours, theirs)
        records = read_lines(ClipRecord, tmp_path / "a", "clips", number)
        assert records == read_lines(ClipRecord, tmp_path / "b", "clips", number)
        assert [(r.index, r.fps) for r in records] == [(2 * number, shape.fps), (2 * number + 1, shape.fps)]
    with pytest.raises(ValueError, match="holds other clips"):
        render_dataset("simple", 4, 4, SHAPES, tmp_path / "a", workers=0, shard=2)


def test_subjects_are_where_the_picture_shows_them(made: Path):
    frames, subjects = open_frames(made / "frames", 0), open_subjects(made / "frames", 0)
    assert subjects is not None
    shown = subjects > 0
    assert shown.shape == frames.shape[:-1]
    assert 0 < shown.mean() < 0.5


def test_captions_are_redrawn_alike_and_mirrored_ones_swap_sides(made: Path):
    file = made / "frames" / "captions-00000.jsonl"
    before = file.read_bytes()
    write_captions(made / "frames", force=True)
    assert file.read_bytes() == before
    swapped = 0
    for number in (0, 1):
        records, wordings = (
            read_lines(kind, made / "frames", name, number)
            for kind, name in ((ClipRecord, "clips"), (ClipCaptions, "captions"))
        )
        for record, wording in zip(records, wordings, strict=True):
            for view in (wording.captions, wording.mirrored):
                assert [line.length for line in view] == list(LENGTHS)
                assert all(0 <= fact < len(record.facts) for line in view for fact in line.facts)
            swapped += any(fact["value"] in ("left", "right", "left of", "right of") for fact in record.facts)
    assert swapped


def test_latents_are_of_the_clip_and_of_its_mirror_image(made: Path):
    codec = load_weights(Codec(tiny().model.codec), made / "weights" / "codec.safetensors")
    encoders = Encoders(codec, TextEncoder.load())
    shard, frames = LatentShard(latent_path(made / "latents", 0)), open_frames(made / "frames", 0)
    assert torch.equal(shard.latents, encoders.latents(frames))
    assert torch.equal(shard.latents[1], encoders.latents(frames[:, :, :, ::-1])[0])
    wording = read_lines(ClipCaptions, made / "frames", "captions", 0)[2]
    for mirrored, lines in ((False, wording.captions), (True, wording.mirrored)):
        texts = [line.text for line in lines if line.text]
        first = shard.example(2, mirrored, 0.0)
        assert torch.equal(first.latent, shard.latents[int(mirrored), 2])
        expected = encoders.text.encode([texts[0]])[0]
        assert torch.nn.functional.cosine_similarity(first.text.float(), expected, dim=-1).min() > 0.99
        lengths = [len(shard.example(2, mirrored, choice).text) for choice in (0.0, 0.4, 0.99)]
        assert lengths[0] < lengths[2], "A paragraph is longer than a few words."
    modified = latent_path(made / "latents", 0).stat().st_mtime_ns
    encode_latents(made / "frames", made / "latents", tiny().model.codec, made / "weights" / "codec.safetensors")
    assert latent_path(made / "latents", 0).stat().st_mtime_ns == modified


def test_examples_are_a_function_of_the_generator(made: Path):
    latents = LatentDataset(made / "latents")
    assert len(latents) == tiny().num_clips
    for clip in range(len(latents)):
        first, second = (latents.example(clip, np.random.default_rng(clip)) for _ in range(2))
        assert torch.equal(first.latent, second.latent) and torch.equal(first.text, second.text)
    generator, example = np.random.default_rng(0), latents.example(0, np.random.default_rng(0))
    lengths = [shortened(example, generator).latent.shape[1] for _ in range(200)]
    assert set(lengths) == {1, 2, 3}
    assert lengths.count(3) > 120
    frames, subjects = FrameDataset(made / "frames").batch(4, np.random.default_rng(0))
    assert frames.shape[0] == 4 and subjects is not None and subjects.shape == frames.shape[:-1]


def test_other_folders_are_seen_too(made: Path, tmp_path: Path):
    both = LatentDataset(made / "latents", also=[made / "latents"] * 2)
    assert len(both) == 3 * tiny().num_clips
    for clip in (0, tiny().num_clips - 1):
        assert torch.equal(both.latent(clip), both.latent(clip + tiny().num_clips))
    for folder, codec in (("here", b"one"), ("there", b"another")):
        (tmp_path / folder / "weights").mkdir(parents=True)
        (tmp_path / folder / CODEC).write_bytes(codec)
    with pytest.raises(ValueError, match="another codec"):
        train_transformer(tiny(), tmp_path / "here", extra_data=[tmp_path / "there"])


def test_a_users_videos_become_the_same_shards(tmp_path: Path):
    folder, out, shape = tmp_path / "mine", tmp_path / "frames", VideoShape(5, 32, 32, 4.0)
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
    wordings = read_lines(ClipCaptions, out, "captions", 0)
    assert wordings[0].captions[0].text == wordings[0].mirrored[0].text == "it grows light"
    assert wordings[2].mirrored == ()
    assert FrameDataset(out).batch(3, np.random.default_rng(0))[1] is None


@pytest.mark.parametrize(
    ("metadata", "message"),
    [(None, "needs a metadata.jsonl"), ("{}\n", "Line 1 of"), ('{"file_name": "no.mp4", "text": ""}\n', "no file")],
)
def test_a_folder_that_is_no_videofolder_is_explained(tmp_path: Path, metadata: str | None, message: str):
    if metadata is not None:
        (tmp_path / "metadata.jsonl").write_text(metadata)
    with pytest.raises(ValueError, match=message):
        import_videos(tmp_path, SHAPES[0], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_codec_sees_runs_of_clips_and_their_mirror_images(made: Path):
    clips = np.concatenate([open_frames(made / "frames", n) for n in shard_numbers(made / "frames", "frames")])
    runs = [clips[:, start : start + 5] for start in range(clips.shape[1] - 4)]
    wanted = {view.tobytes() for run in runs for view in (*run, *run[:, :, :, ::-1])}
    here, config = DistContext(0, 1, torch.device("cpu")), replace(tiny().codec, batch_size=2)
    task = CodecObjective(Codec(tiny().model.codec), FrameDataset(made / "frames"), config, here, groups=2)
    views = [task._views(step) for step in range(20)]
    seen = [frame.numpy().tobytes() for frames, _ in views for frame in frames]
    assert set(seen) <= wanted and len(set(seen)) > 20
    assert all(subject is not None and subject.shape == frames.shape[:-1] for frames, subject in views)
    with pytest.raises(ValueError, match="13 frames"):
        CodecObjective(Codec(tiny().model.codec), FrameDataset(made / "frames"), config, here, groups=4)._views(0)


class Interrupted(CodecObjective):
    """Is asked to stop in the middle of its third step."""

    def loss(self, step: int, generator: torch.Generator):
        if step == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return super().loss(step, generator)


def test_an_interrupted_codec_goes_on_as_if_nothing_had_been(made: Path, tmp_path: Path):
    config, here = replace(tiny().codec, max_steps=5, log_every=1), DistContext(0, 1, torch.device("cpu"))

    def sitting(kind: type[CodecObjective], folder: str) -> tuple[int, dict[str, torch.Tensor]]:
        torch.manual_seed(0)
        task = kind(Codec(tiny().model.codec), FrameDataset(made / "frames"), config, here)
        return train(task, config, tmp_path / folder, here).step, task.module.state_dict()

    assert sitting(Interrupted, "stopped")[0] == 3
    (steps, resumed), (_, straight) = sitting(CodecObjective, "stopped"), sitting(CodecObjective, "straight")
    assert steps == 5
    assert all(torch.equal(resumed[name], straight[name]) for name in straight)
    losses = [[entry["loss"] for entry in read_log(tmp_path / folder)] for folder in ("stopped", "straight")]
    assert losses[0] == losses[1]


def test_the_whole_road_makes_a_model(made: Path):
    assert read_config(made / "weights") == tiny().model
    before = (made / "transformer" / "log.jsonl").read_bytes()
    assert script("default").main(["--preset", "tiny", "--folder", str(made), "--workers", "0"]) == 0
    assert (made / "transformer" / "log.jsonl").read_bytes() == before, "A finished run has nothing to do."


def test_the_road_goes_on_to_films(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder, default, shape = tmp_path / "road", script("default"), VideoShape(25, 32, 32)
    shutil.copytree(made, folder)
    films = replace(
        tiny(),
        world="plain-film",
        num_clips=3,
        buckets=(shape,),
        model=replace(tiny().model, multi_shot=True, max_multi_shot_frames=25),
    )
    monkeypatch.setattr(default, "cpu", tiny)
    monkeypatch.setattr(default, "film", lambda: films)
    assert default.main(["--preset", "tiny", "--folder", str(folder), "--workers", "0"]) == 0
    assert read_config(folder / "films" / "weights") == films.model
    assert (folder / "films" / CODEC).read_bytes() == (folder / CODEC).read_bytes()
    before, after = (load_file(part / "weights" / "transformer.safetensors") for part in (folder, folder / "films"))
    assert any(not torch.equal(before[name], after[name]) for name in before)


def test_a_gpu_continues_in_a_dry_run(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    gpu = script("continue_gpu")
    monkeypatch.setattr(gpu, "PART_BYTES", 200_000)
    common = ["--weights", str(made / "weights"), "--folder", str(tmp_path / "gpu"), "--out", str(tmp_path / "parts")]
    gpu.main(["--dry-run", "--workers", "0", *common])
    assert len(LatentDataset(tmp_path / "gpu" / "latents")) == tiny().num_clips
    assert all(file.stat().st_size <= 200_000 for file in (tmp_path / "parts").iterdir())
    gpu.main(["--join", str(tmp_path / "parts"), "--weights", str(tmp_path / "joined")])
    for name in ("model.json", "codec.safetensors", "transformer.safetensors"):
        assert (tmp_path / "joined" / name).read_bytes() == (tmp_path / "gpu" / "weights" / name).read_bytes()
    assert (tmp_path / "joined" / "codec.safetensors").read_bytes() == (
        made / "weights" / "codec.safetensors"
    ).read_bytes()
    trained, before = ((f / "transformer.safetensors").read_bytes() for f in (tmp_path / "joined", made / "weights"))
    assert trained != before


def test_a_gpu_continues_the_model_that_is_there_or_begins_a_larger_one_on_its_codec(made: Path, tmp_path: Path):
    gpu_run, there = script("continue_gpu"), ["--weights", str(made / "weights")]
    continued, device = gpu_run._preset(gpu_run._options(there))
    assert continued.model == tiny().model and device == "cuda"
    assert continued.buckets[0] == tiny().model.shape and continued.transformer.max_steps is None
    larger, _ = gpu_run._preset(gpu_run._options([*there, "--from-scratch", "--world", "medium"]))
    assert larger.model.codec == tiny().model.codec and larger.world == "medium"
    assert larger.model.transformer.hidden_size == PRESETS["gpu"]().model.transformer.hidden_size
    assert larger.model.transformer.latent_channels == larger.model.codec.latent_channels
    words = ["--dry-run", "--from-scratch", "--workers", "0", "--folder", str(tmp_path / "gpu"), *there]
    gpu_run.main([*words, "--out", str(tmp_path / "parts")])
    assert read_config(tmp_path / "parts") == tiny().model


def test_latents_of_another_codec_are_not_trained_on(made: Path, tmp_path: Path):
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "codec.safetensors").write_bytes(b"another")
    with pytest.raises(ValueError, match="another codec"):
        script("continue_gpu").main(
            ["--dry-run", "--workers", "0", "--weights", str(made / "weights"), "--folder", str(tmp_path)]
        )


@pytest.mark.parametrize("side", [32, 64, 128, 256])
def test_variations_of_a_shape_are_as_large_and_can_be_encoded(side: int):
    shape = VideoShape(17, side, side)
    for other in variations(shape):
        assert other.height % 16 == other.width % 16 == 0 and (other.num_frames - 1) % 4 == 0
        assert abs(other.height * other.width / side**2 - 1) < 0.1
    assert len(set(variations(shape))) == (5 if side > 32 else 3)


def test_carried_wheels_can_be_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(os, "environ", dict(os.environ))
    with zipfile.ZipFile(tmp_path / "carried_thing-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("carried_thing.py", "answer = 42\n")
    (tmp_path / "text").mkdir()
    script("continue_gpu").unpack(tmp_path)
    assert importlib.import_module("carried_thing").answer == 42
    assert os.environ["LUMORA_TEXT_ENCODER"] == str(tmp_path / "text")


def test_presets_are_ones_that_networks_can_be_made_of():
    for preset in (make() for make in PRESETS.values()):
        assert preset.codec.max_steps and preset.transformer.max_steps, (
            "Or `lumora train all` would not know when to end."
        )
        with torch.device("meta"):
            codec, transformer = Codec(preset.model.codec), Transformer(preset.model.transformer)
        assert preset.model.transformer.latent_channels == preset.model.codec.latent_channels
        sizes = [sum(p.numel() for p in network.parameters()) for network in (codec, transformer)]
        assert 2 * sum(sizes) < 48e6, "The default weights must fit in 48 MB."
        for shape in preset.buckets:
            assert (shape.num_frames - 1) % preset.model.codec.temporal_compression == 0
            assert (
                shape.height % preset.model.codec.spatial_compression
                == shape.width % preset.model.codec.spatial_compression
                == 0
            )


def test_the_model_of_a_folder_is_read_back(made: Path):
    assert read_model(made / "weights") == tiny().model
