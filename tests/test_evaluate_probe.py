"""The probe reads facts, its losses and targets fit, and training works."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from lumora.config import VideoShape
from lumora.evaluate.instruments.labeled_clips import LabeledClip, ShardedClips, rendered_clips
from lumora.evaluate.instruments.probe import (
    FRAMES,
    GRID,
    SIDE,
    STEPS,
    Probe,
    ProbeLogits,
    ProbeReading,
    prepare,
    prepare_all,
)
from lumora.evaluate.instruments.probe_targets import (
    CLIP_CATEGORIES,
    NOTHING,
    SUBJECT_CATEGORIES,
    UNKNOWN,
    ProbeTargets,
    options,
    probe_targets,
)
from lumora.evaluate.instruments.probe_training import (
    classification_loss,
    color_locations,
    degrade,
    localization_loss,
    probe_accuracy,
    train_probe,
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


def exact_logits(facts: tuple[Fact, ...]) -> ProbeLogits:
    """The logits of a probe that reads exactly `facts`."""
    answers = probe_targets(facts)

    def certain(category, index):
        one_hot = torch.nn.functional.one_hot(index.clamp(min=0), len(options(category)))
        return 20.0 * one_hot.float() * (index != UNKNOWN)[..., None]

    return ProbeLogits(
        {c: certain(c, answers.clip[:, k]) for k, c in enumerate(CLIP_CATEGORIES)},
        20 * answers.present - 10,
        {c: certain(c, answers.subject[..., k]) for k, c in enumerate(SUBJECT_CATEGORIES)},
    )


def test_a_reading_shows_true_facts_and_binds_attributes_to_colors():
    reading = ProbeReading.of(exact_logits(FACTS), 0)
    assert all(reading.shows(fact, FACTS) for fact in FACTS)
    swapped = facts_about({**RED_BALL, "kind": "cube"}, {**BLUE_CUBE, "kind": "ball"}, place="snow")
    assert [reading.shows(f, swapped) for f in swapped if f.category == "kind"] == [False, False]
    uncoloured = facts_about({"kind": "cube"})
    assert reading.shows(uncoloured[0], uncoloured) is True
    absent = facts_about({"color": "pink", "kind": "cube"})
    assert [reading.shows(f, absent) for f in absent] == [False, False]


def test_facts_that_the_probe_cannot_read_are_not_scored():
    facts = (*FACTS, Fact("relation", "left of", 0, 1))
    assert ProbeReading.of(exact_logits(facts), 0).shows(facts[-1], facts) is None
    shares = by_category([FactVerdict.of(ProbeReading.of(exact_logits(facts), 0), facts, facts)])
    assert "relation" not in shares and shares["total"] == Proportion(len(FACTS), len(FACTS))


def test_events_are_labels_of_the_actor_and_need_both_objects():
    cast = facts_about(RED_BALL, BLUE_CUBE, camera="static")
    told = (*cast, Fact("event", "hit", 0, 1))
    answers, event = probe_targets(told), SUBJECT_CATEGORIES.index("event")
    red, blue = (answers.subject[0, COLORS.index(c), event] for c in ("red", "blue"))
    assert options("event")[red] == "hit" and options("event")[blue] == NOTHING
    assert (probe_targets(cast[:-1]).subject[..., event] == UNKNOWN).all(), "A still image has no events."
    reading = ProbeReading.of(exact_logits(told), 0)
    assert reading.shows(told[-1], told) is True and reading.shows(replace(told[-1], value="push"), told) is False
    elsewhere = [Fact("color", "pink", 1) if f.value == "blue" else f for f in told]
    assert reading.shows(told[-1], elsewhere) is False, "There is no pink object."


def test_an_older_probe_can_be_read_and_extended(tmp_path):
    older = Probe(width=32, subject=[c for c in SUBJECT_CATEGORIES if c not in ("emotion", "event")])
    older.save(tmp_path / "older.safetensors")
    same, grown = (Probe.load(tmp_path / "older.safetensors", add) for add in (False, True))
    assert same.subject_categories == older.subject_categories and grown.subject_categories == SUBJECT_CATEGORIES
    kinds, emotions = ("subject.kind.weight", "subject.emotion.weight")
    assert torch.equal(same.state_dict()[kinds], grown.state_dict()[kinds])
    clips = list(rendered_clips("full", 2, range(4), VideoShape(5, 32, 32)))
    before = grown.state_dict()[emotions].clone()
    train_probe(grown, clips, 2, torch.Generator().manual_seed(0), 2)
    assert not torch.equal(before, grown.state_dict()[emotions])
    shown = [same.read_clips([clips[0].pixels])[0].shows(Fact("emotion", "sad", 0), clips[0].facts)]
    assert shown == [None] and {"event", "emotion"} <= probe_accuracy(grown, clips).keys()


def test_a_color_of_two_subjects_is_present_but_has_no_labels():
    answers = probe_targets(facts_about(RED_BALL, {**BLUE_CUBE, "color": "red"}))
    red = COLORS.index("red")
    assert answers.present[0, red] == 1 and (answers.subject[0, red] == UNKNOWN).all()


def test_the_loss_is_lowest_for_true_facts():
    answers = probe_targets(FACTS)
    wrong_facts = exact_logits(facts_about({**RED_BALL, "kind": "ring"}, BLUE_CUBE, place="beach", light="noon"))
    assert classification_loss(exact_logits(FACTS), answers) < 0.01 < classification_loss(wrong_facts, answers)


@pytest.mark.parametrize("size", [(5, 48, 64), (33, 96, 56), (1, 128, 128)])
def test_clips_of_any_size_and_length_are_prepared(size):
    clip = torch.randint(0, 256, (*size, 3), dtype=torch.uint8)
    frames = prepare(clip)
    assert frames.shape == (FRAMES, SIDE, SIDE, 3) and frames.min() >= -1 and frames.max() <= 1
    assert abs(frames.float().mean() - (clip.float().mean() / 127.5 - 1)) < 0.05


def test_degradation_is_moderate_and_reproducible():
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
    train_probe(probe, endless, 32, torch.Generator().manual_seed(0), 6, 5e-3, lambda step: losses.append(step.loss))
    assert np.mean(losses[-5:]) < 0.7 * np.mean(losses[:5])

    right = probe_accuracy(probe, clips)
    assert right["absent"][1] == 60 - right["color"][1]
    for category in ("place", "light"):  # far from what a guess would find
        assert right[category][0] >= 5, right

    probe.save(tmp_path / "probe.safetensors")
    again = Probe.load(tmp_path / "probe.safetensors")
    videos = [clip.pixels for clip in clips]
    same = [a.clip == b.clip for a, b in zip(probe.read_clips(videos), again.read_clips(videos), strict=True)]
    assert sum(same) >= 5
    shares = by_category(
        FactVerdict.of(reading, clip.facts, clip.facts)
        for reading, clip in zip(again.read_clips(videos), clips, strict=True)
    )
    known = probe_accuracy(again, clips)
    assert all(known[c] == (s.found, s.count) for c, s in shares.items() if c != "total")
    assert shares["total"].found == sum(found for c, (found, _) in known.items() if c != "absent")
    with pytest.raises(ValueError, match="no probe at"):
        Probe.load(tmp_path / "other.safetensors")


def test_color_locations_follow_the_segmentation():
    subject = torch.full((17, 64, 64), -1, dtype=torch.int8)
    subject[:, :32, :32] = 0
    subject[8:, 48:, 48:] = 1
    clip = LabeledClip(torch.zeros(17, 64, 64, 3, dtype=torch.uint8), FACTS, subject)
    where = color_locations(clip).unflatten(1, (GRID, GRID))
    red, blue = where[..., COLORS.index("red")], where[..., COLORS.index("blue")]
    assert red.sum() == STEPS * GRID**2 / 4 and red[:, : GRID // 2, : GRID // 2].all()
    assert not blue[:3].any() and blue[4:, -GRID // 4 :, -GRID // 4 :].all()
    assert where.sum() == red.sum() + blue.sum()
    flipped = color_locations(clip.mirrored()).unflatten(1, (GRID, GRID))
    assert torch.equal(flipped, where.flip(2))
    assert color_locations(LabeledClip(clip.pixels, FACTS)).isnan().all()


def test_unknown_locations_have_no_loss():
    found = torch.zeros(1, STEPS, GRID**2, len(COLORS))
    found[..., 0] = 1.0
    sure, wrong, unknown = 40 * found - 20, 20 - 40 * found, torch.full_like(found, float("nan"))
    logits = exact_logits(FACTS)
    assert (
        localization_loss(replace(logits, where=sure), found)
        < 1e-6
        < 1
        < localization_loss(replace(logits, where=wrong), found)
    )
    assert localization_loss(replace(logits, where=wrong), unknown) == 0


def test_targets_are_stacked_in_order():
    other = facts_about(RED_BALL, place="desert")
    both = ProbeTargets.stack([probe_targets(FACTS), probe_targets(other)])
    assert both.clip[:, CLIP_CATEGORIES.index("place")].tolist() == [
        VALUES["place"].index(p) for p in ("snow", "desert")
    ]
