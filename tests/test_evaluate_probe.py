"""The probe learns from pixels, and the score counts what it should."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from lumora.config import VideoShape
from lumora.evaluate.instruments.probe import FRAMES, GRID, SIDE, STEPS, Logits, Probe, Reading, prepare, prepare_all
from lumora.evaluate.instruments.probe_targets import CLIP, NOTHING, SUBJECT, UNKNOWN, Answers, answers_of, options
from lumora.evaluate.instruments.probe_training import (
    Clip,
    ShardedClips,
    accuracy,
    degrade,
    loss_of,
    mirror,
    rendered_clips,
    train,
    where_loss,
    where_of,
)
from lumora.evaluate.metrics.proportions import FactVerdict, Proportion, by_category
from lumora.world.facts import VALUES, Fact, facts_to_dicts
from lumora.world.scene import COLORS

SHAPE = VideoShape(17, 64, 64, 8.0)


def facts_about(*things: dict[str, str], **clip: str) -> tuple[Fact, ...]:
    about_things = [Fact(c, v, i) for i, thing in enumerate(things) for c, v in thing.items()]  # type: ignore[arg-type]
    return (*about_things, *(Fact(c, v) for c, v in clip.items()))  # type: ignore[arg-type]


RED_BALL = {"kind": "ball", "color": "red", "motion": "roll", "direction": "left"}
BLUE_CUBE = {"kind": "cube", "color": "blue", "motion": "still"}
FACTS = facts_about(RED_BALL, BLUE_CUBE, place="snow", light="night", camera="static", count="2")


def all_knowing(facts: tuple[Fact, ...]) -> Logits:
    """The logits of a probe that reads exactly `facts`."""
    answers = answers_of(facts)

    def certain(category, index):
        one_hot = torch.nn.functional.one_hot(index.clamp(min=0), len(options(category)))
        return 20.0 * one_hot.float() * (index != UNKNOWN)[..., None]

    return Logits(
        {c: certain(c, answers.clip[:, k]) for k, c in enumerate(CLIP)},
        20 * answers.present - 10,
        {c: certain(c, answers.subject[..., k]) for k, c in enumerate(SUBJECT)},
    )


def test_a_true_reading_shows_every_fact_and_binds_looks_to_colours():
    reading = Reading.of(all_knowing(FACTS), 0)
    assert all(reading.shows(fact, FACTS) for fact in FACTS)
    swapped = facts_about({**RED_BALL, "kind": "cube"}, {**BLUE_CUBE, "kind": "ball"}, place="snow")
    assert [reading.shows(f, swapped) for f in swapped if f.category == "kind"] == [False, False]
    uncoloured = facts_about({"kind": "cube"})
    assert reading.shows(uncoloured[0], uncoloured) is True
    absent = facts_about({"color": "pink", "kind": "cube"})
    assert [reading.shows(f, absent) for f in absent] == [False, False]


def test_what_no_probe_can_tell_is_not_scored():
    facts = (*FACTS, Fact("relation", "left of", 0, 1))
    assert Reading.of(all_knowing(facts), 0).shows(facts[-1], facts) is None
    shares = by_category([FactVerdict.of(Reading.of(all_knowing(facts), 0), facts, facts)])
    assert "relation" not in shares and shares["total"] == Proportion(len(FACTS), len(FACTS))


def test_events_are_asked_of_who_acts_and_need_both():
    cast = facts_about(RED_BALL, BLUE_CUBE, camera="static")
    told = (*cast, Fact("event", "hit", 0, 1))
    answers, event = answers_of(told), SUBJECT.index("event")
    red, blue = (answers.subject[0, COLORS.index(c), event] for c in ("red", "blue"))
    assert options("event")[red] == "hit" and options("event")[blue] == NOTHING
    assert (answers_of(cast[:-1]).subject[..., event] == UNKNOWN).all(), "A picture tells of no events."
    reading = Reading.of(all_knowing(told), 0)
    assert reading.shows(told[-1], told) is True and reading.shows(replace(told[-1], value="push"), told) is False
    elsewhere = [Fact("color", "pink", 1) if f.value == "blue" else f for f in told]
    assert reading.shows(told[-1], elsewhere) is False, "There is nothing pink that could be hit."


def test_a_probe_of_before_is_read_for_what_it_knows_and_can_learn_the_rest(tmp_path):
    older = Probe(width=32, subject=[c for c in SUBJECT if c not in ("emotion", "event")])
    older.save(tmp_path / "older.safetensors")
    same, grown = (Probe.load(tmp_path / "older.safetensors", to_learn) for to_learn in (False, True))
    assert same.tells == older.tells and grown.tells == SUBJECT
    kinds, emotions = ("subject.kind.weight", "subject.emotion.weight")
    assert torch.equal(same.state_dict()[kinds], grown.state_dict()[kinds])
    clips = list(rendered_clips("full", 2, range(4), VideoShape(5, 32, 32)))
    before = grown.state_dict()[emotions].clone()
    train(grown, clips, 2, torch.Generator().manual_seed(0), 2)
    assert not torch.equal(before, grown.state_dict()[emotions])
    shown = [same.read_all([clips[0].pixels])[0].shows(Fact("emotion", "sad", 0), clips[0].facts)]
    assert shown == [None] and {"event", "emotion"} <= accuracy(grown, clips).keys()


def test_a_colour_that_two_share_is_present_but_not_asked_about():
    answers = answers_of(facts_about(RED_BALL, {**BLUE_CUBE, "color": "red"}))
    red = COLORS.index("red")
    assert answers.present[0, red] == 1 and (answers.subject[0, red] == UNKNOWN).all()


def test_the_loss_is_least_for_the_truth():
    answers = answers_of(FACTS)
    lie = all_knowing(facts_about({**RED_BALL, "kind": "ring"}, BLUE_CUBE, place="beach", light="noon"))
    assert loss_of(all_knowing(FACTS), answers) < 0.01 < loss_of(lie, answers)


@pytest.mark.parametrize("size", [(5, 48, 64), (33, 96, 56), (1, 128, 128)])
def test_any_size_and_length_can_be_prepared(size):
    clip = torch.randint(0, 256, (*size, 3), dtype=torch.uint8)
    frames = prepare(clip)
    assert frames.shape == (FRAMES, SIDE, SIDE, 3) and frames.min() >= -1 and frames.max() <= 1
    assert abs(frames.float().mean() - (clip.float().mean() / 127.5 - 1)) < 0.05


def test_degraded_clips_stay_recognisable_and_depend_on_the_generator_alone():
    clip = next(iter(rendered_clips("simple", 1, [0], SHAPE)))[0]
    frames = prepare_all([clip] * 6)
    once, again = (degrade(frames.clone(), torch.Generator().manual_seed(3)) for _ in range(2))
    other = degrade(frames.clone(), torch.Generator().manual_seed(4))
    assert torch.equal(once, again) and not torch.equal(once, other)
    assert once.abs().max() <= 1
    assert 0 < (once - frames).float().abs().mean() < 0.15


def test_shards_give_back_what_was_written(tmp_path):
    frames = np.random.default_rng(0).integers(0, 256, (3, 5, 8, 8, 3), dtype=np.uint8)
    np.save(tmp_path / "frames-00000.npy", frames)
    lines = [json.dumps({"index": i, "fps": 8.0, "facts": facts_to_dicts(FACTS)}) for i in range(3)]
    (tmp_path / "clips-00000.jsonl").write_text("\n".join(lines))
    clips = ShardedClips(tmp_path)
    assert len(clips) == 3 and clips[1][1] == FACTS and np.array_equal(clips[2][0].numpy(), frames[2])
    order = [c[0][0, 0, 0, 0].item() for c in clips.shuffled(2, torch.Generator().manual_seed(0))]
    assert sorted(order) == sorted(frames[:, 0, 0, 0, 0].tolist() * 2)
    with pytest.raises(ValueError, match="no clips in"):
        ShardedClips(tmp_path / "nowhere")


def test_a_small_probe_learns_from_pixels_and_survives_a_file(tmp_path):
    clips = list(rendered_clips("simple", 2, range(6), SHAPE))
    torch.manual_seed(0)
    probe = Probe(width=64)
    losses: list[float] = []
    endless = (clip for _ in range(1000) for clip in clips)
    train(probe, endless, 32, torch.Generator().manual_seed(0), 6, 5e-3, lambda step: losses.append(step.loss))
    assert np.mean(losses[-5:]) < 0.7 * np.mean(losses[:5])

    right = accuracy(probe, clips)
    assert right["absent"][1] == 60 - right["color"][1]
    for category in ("place", "light"):  # far from what a guess would find
        assert right[category][0] >= 5, right

    probe.save(tmp_path / "probe.safetensors")
    again = Probe.load(tmp_path / "probe.safetensors")
    videos = [clip.pixels for clip in clips]
    same = [a.clip == b.clip for a, b in zip(probe.read_all(videos), again.read_all(videos), strict=True)]
    assert sum(same) >= 5
    shares = by_category(
        FactVerdict.of(reading, clip.facts, clip.facts)
        for reading, clip in zip(again.read_all(videos), clips, strict=True)
    )
    known = accuracy(again, clips)
    assert all(known[c] == (s.found, s.stated) for c, s in shares.items() if c != "total")
    assert shares["total"].found == sum(found for c, (found, _) in known.items() if c != "absent")
    with pytest.raises(ValueError, match="no probe at"):
        Probe.load(tmp_path / "other.safetensors")


def test_it_is_known_where_the_colours_are():
    subject = torch.full((17, 64, 64), -1, dtype=torch.int8)
    subject[:, :32, :32] = 0
    subject[8:, 48:, 48:] = 1
    clip = Clip(torch.zeros(17, 64, 64, 3, dtype=torch.uint8), FACTS, subject)
    where = where_of(clip).unflatten(1, (GRID, GRID))
    red, blue = where[..., COLORS.index("red")], where[..., COLORS.index("blue")]
    assert red.sum() == STEPS * GRID**2 / 4 and red[:, : GRID // 2, : GRID // 2].all()
    assert not blue[:3].any() and blue[4:, -GRID // 4 :, -GRID // 4 :].all()
    assert where.sum() == red.sum() + blue.sum()
    flipped = where_of(mirror(clip)).unflatten(1, (GRID, GRID))
    assert torch.equal(flipped, where.flip(2))
    assert where_of(Clip(clip.pixels, FACTS)).isnan().all()


def test_finding_is_taught_only_where_it_is_known():
    found = torch.zeros(1, STEPS, GRID**2, len(COLORS))
    found[..., 0] = 1.0
    sure, wrong, unknown = 40 * found - 20, 20 - 40 * found, torch.full_like(found, float("nan"))
    logits = all_knowing(FACTS)
    assert where_loss(replace(logits, where=sure), found) < 1e-6 < 1 < where_loss(replace(logits, where=wrong), found)
    assert where_loss(replace(logits, where=wrong), unknown) == 0


def test_answers_are_stacked_in_order():
    other = facts_about(RED_BALL, place="desert")
    both = Answers.stack([answers_of(FACTS), answers_of(other)])
    assert both.clip[:, CLIP.index("place")].tolist() == [VALUES["place"].index(p) for p in ("snow", "desert")]
