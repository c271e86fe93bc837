"""Multi-shot clips in training, and their generation by a model that was trained on them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lumora import Condition, Pipeline, Request, Shot, Video
from lumora.backends.lumora.planning import prepare
from lumora.backends.timeline.segments import make_segments
from lumora.codec import Codec
from lumora.config import Resolution, TrainConfig, VideoShape
from lumora.data.captions import CAPTION_LENGTHS, ClipCaptions, write_captions
from lumora.data.datasets import LatentDataset
from lumora.data.latent_cache import Encoders, LatentShard, latent_path, latent_spans, write_latents
from lumora.data.shards import ClipRecord, DatasetConfig, ShotRecord, open_frames, open_subjects, read_records
from lumora.data.world_clips import render_dataset
from lumora.media.audio import num_samples
from lumora.model.packing import Span
from lumora.model.transformer import Transformer
from lumora.presets import tiny
from lumora.text_encoder import TextEncoder
from lumora.train.distributed import DistContext
from lumora.train.objectives import FlowObjective
from lumora.world.clip import make_film

SHAPE = VideoShape(25, 32, 32, 8.0)
NUM_CLIPS = 3


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Encoders]:
    """Frames, captions and latents of a few multi-shot clips, by an untrained codec."""
    folder = tmp_path_factory.mktemp("films")
    render_dataset(DatasetConfig("film", 3, (SHAPE,), NUM_CLIPS), NUM_CLIPS, folder, workers=0, batch_size=2)
    write_captions(folder)
    torch.manual_seed(0)
    encoders = Encoders(Codec(tiny().model.codec), TextEncoder.load())
    records = read_records(ClipRecord, folder, "clips", 0)
    captions = read_records(ClipCaptions, folder, "captions", 0)
    subjects = open_subjects(folder, 0)
    write_latents(latent_path(folder, 0), open_frames(folder, 0), records, captions, encoders, subjects)
    return folder, encoders


def test_shards_hold_the_films_that_the_world_shows(made: tuple[Path, Encoders]):
    folder, _ = made
    records = read_records(ClipRecord, folder, "clips", 0)
    for number, record in enumerate(records):
        shown = make_film("film", 3, number, SHAPE)
        assert np.array_equal(open_frames(folder, 0)[number], shown.frames.numpy())
        assert [shot.num_frames for shot in record.shots] == np.diff([0, *shown.cuts, SHAPE.num_frames]).tolist()
        assert sum(latent_spans(record, 4)) == 1 + (SHAPE.num_frames - 1) // 4
    assert max(len(record.shots) for record in records) > 1
    with pytest.raises(ValueError, match="end with latent frames"):
        latent_spans(ClipRecord(0, SHAPE, shots=(ShotRecord(4, ()), ShotRecord(5, ()))), 4)


def test_every_shot_has_its_own_words(made: tuple[Path, Encoders]):
    folder, encoders = made
    shard = LatentShard(latent_path(folder, 0))
    records = read_records(ClipRecord, folder, "clips", 0)
    captions = read_records(ClipCaptions, folder, "captions", 0)
    for number, (record, clip) in enumerate(zip(records, captions, strict=True)):
        assert [line.length for line in clip.captions] == list(CAPTION_LENGTHS)
        for mirrored, lines in ((False, clip.captions), (True, clip.mirrored)):
            example = shard.example(number, mirrored, 0.0)
            assert [span.num_frames for span in example.spans] == latent_spans(record, 4)
            words = example.text.split([span.num_tokens for span in example.spans])
            for caption, tokens in zip(lines[0].shots, words, strict=True):
                (expected,) = encoders.text.encode([caption])
                assert torch.nn.functional.cosine_similarity(tokens.float(), expected, dim=-1).min() > 0.98
        whole = [len(shard.example(number, False, choice).spans) == 1 for choice in (0.1, 0.5, 0.9)]
        assert whole == [len(record.shots) == 1] * 2 + [True]


def test_a_clip_cut_short_keeps_the_words_of_what_is_left(made: tuple[Path, Encoders]):
    shard = LatentShard(latent_path(made[0], 0))
    example = replace(
        shard.example(0, False, 0.0), text=torch.arange(9.0)[:, None], spans=(Span(2, 3), Span(3, 2), Span(4, 2))
    )
    assert example.first_frames(7).spans == example.spans and len(example.first_frames(7).text) == 9
    shorter = example.first_frames(4)
    assert shorter.latent.shape[1] == len(shorter.subject) == 4
    assert shorter.spans == (Span(2, 3), Span(3, 1)) and len(shorter.text) == 5
    assert example.first_frames(1).spans == (Span(2, 1),) and len(example.first_frames(1).text) == 2


def test_a_network_learns_from_films(made: tuple[Path, Encoders]):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        transformer = Transformer(tiny().model.transformer)
    world = DistContext(0, 1, torch.device("cpu"))
    config = TrainConfig(batch_size=NUM_CLIPS, precision="fp32")
    task = FlowObjective(transformer, LatentDataset(made[0]), tiny().model, config, world)
    losses = [task.loss(0, torch.Generator().manual_seed(0))[0] for _ in range(2)]
    assert torch.equal(*losses) and losses[0].isfinite()
    losses[0].backward()
    assert transformer.proj_out.weight.grad is not None and transformer.proj_out.weight.grad.any()


@pytest.fixture(scope="module")
def pipeline(weights: Path) -> Pipeline:
    """A tiny model that says it has learnt shots."""
    asleep = Pipeline.from_pretrained(weights)
    return replace(
        asleep, config=replace(asleep.config, multi_shot=True, shape=replace(asleep.config.shape, num_frames=17))
    )


def storyboard(second: str, **changes) -> Request:
    return Request(
        "A red ball rolls.",
        1.1,
        size=Resolution(48, 32),
        num_inference_steps=2,
        next_shots=(Shot(second, 1.0),),
        **changes,
    )


def test_shots_are_made_in_one_take_and_each_is_told_its_own_words(pipeline: Pipeline):
    request = storyboard("It lies on the beach.")
    (take,) = prepare(request, pipeline.config).segments
    assert take.multi_shot and take.shot_ends == (("A red ball rolls.", 3), ("It lies on the beach.", 5))
    assert take.prompts_for(range(5), 0) == [("A red ball rolls.", 3), ("It lies on the beach.", 2)]
    assert take.prompts_for(range(3, 5), 0) == [("It lies on the beach.", 2)]
    made, other = (pipeline.generate(r).frames for r in (request, storyboard("It is night.")))
    assert made.shape == (17, 32, 48, 3) and np.array_equal(made, pipeline.generate(request).frames)
    assert not np.array_equal(made[9:], other[9:])
    before = replace(pipeline, config=replace(pipeline.config, multi_shot=False))
    assert [t.multi_shot for t in prepare(request, before.config).segments] == [False, False]
    assert len(before.generate(request).frames) == 18  # two clips of their own


def test_long_films_are_made_piece_by_piece(pipeline: Pipeline):
    request = storyboard("It lies on the beach.")
    at_once, pieces = (pipeline.generate_batch([request], window_frames=most)[0].frames for most in (5, 3))
    assert at_once.shape == pieces.shape and not np.array_equal(at_once, pieces)


@given(st.lists(st.floats(0.2, 2.5), min_size=1, max_size=4), st.integers(0, 9), st.sampled_from([8.0, 5.0, 12.5]))
def test_cuts_are_where_they_were_asked_for(more: list[float], frames: int, fps: float):
    """Whatever latent frames hold, and whatever is given in the first shot."""
    seconds = [2.0, *more]
    shots = [Shot(str(number), length) for number, length in enumerate(seconds)]
    given = [Condition(Video(np.zeros((frames, 8, 8, 3), np.uint8), fps))] if frames else []
    (take,) = make_segments(shots, given, fps, 4, multi_shot=True)
    assert take.num_decoded_frames == take.num_frames == take.grid.frames_of(take.num_latents - 1).stop
    left = [frame for frame in range(take.num_frames) if frame not in take.dropped_frames]
    ends = [sum(frame < take.grid.frames_of(end - 1).stop for frame in left) for _, end in take.shot_ends]
    assert ends == [round(fps * sum(seconds[: n + 1])) for n in range(len(seconds))]
    assert (
        set(range(frames)) <= take.frame_sources.keys()
        and take.frame_strengths()[: frames - take.grid.offset].sum() == 0
    )


def test_what_is_left_out_is_neither_seen_nor_heard(pipeline: Pipeline):
    request = replace(storyboard("two"), seconds=0.75, next_shots=(Shot("two", 0.5), Shot("three", 0.875)))
    given = Video(np.full((6, 32, 48, 3), 9, np.uint8), 8.0, np.full((num_samples(0.75), 2), 1000, np.int16))
    request = replace(request, conditions=(Condition(given),))
    made = pipeline.generate(request)
    assert len(made.frames) == prepare(request, pipeline.config).num_frames == 17 and np.array_equal(
        made.frames[:6], given.frames
    )
    assert made.audio is not None and len(made.audio) == num_samples(17 / 8)
    assert made.audio[: num_samples(0.7)].any() and not made.audio[num_samples(0.75) :].any()
    assert made.latents is not None and made.latents.num_frames == 17
    assert made.latents.frame_ranges.tolist() == [[1, 2], [2, 6], [6, 10], [10, 14]]


def test_what_has_not_been_learnt_is_made_as_before(pipeline: Pipeline):
    picture = Video(np.zeros((1, 32, 48, 3), np.uint8), 8.0)
    apart = storyboard("It lies on the beach.", conditions=(Condition(picture, shot_index=1),))
    runs_on = replace(storyboard("two"), next_shots=(Shot("It lies still.", 1.0, hard_cut=False),))
    assert [len(prepare(r, pipeline.config).segments) for r in (apart, runs_on)] == [2, 1]
    assert not any(take.multi_shot for r in (apart, runs_on) for take in prepare(r, pipeline.config).segments)
    first = storyboard("It lies on the beach.", conditions=(Condition(picture),))
    (take,) = prepare(first, pipeline.config).segments
    assert take.multi_shot and np.array_equal(pipeline.generate(first).frames[0], picture.frames[0])
