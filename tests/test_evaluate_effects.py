"""Events, relations and momentum are read from tracks with a known answer."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lumora.config import VideoShape
from lumora.evaluate.instruments.blob import BlobTrack, track_blob
from lumora.evaluate.instruments.camera_path import CameraPath
from lumora.evaluate.instruments.color_tracker import UNRELIABLE_COLORS, ColorReading
from lumora.evaluate.instruments.effects import ObjectMotion, read_event
from lumora.evaluate.instruments.relations import relation_holds
from lumora.evaluate.metrics.collisions import held_out_collisions, momentum, momentum_errors
from lumora.evaluate.metrics.consequences import CAUSE_FIRST, LASTING, causes_and_effects, verified_statements
from lumora.evaluate.metrics.proportions import Proportion
from lumora.evaluate.suites.held_out import EvaluationCase
from lumora.evaluate.suites.negative_controls import negative_controls_for
from lumora.world.clip import make_scene
from lumora.world.facts import Fact, facts_of
from lumora.world.physics import masses

FRAMES = 17
TIME = np.arange(FRAMES)


def box_track(
    columns: np.ndarray | float, rows: np.ndarray | float = 0.6, side: float = 0.2, shown: np.ndarray | float = 1.0
) -> BlobTrack:
    """The track of a square with this center; `shown` is the visible share, 0 if it is not found."""
    share = np.broadcast_to(shown, FRAMES).astype(float)
    places = np.stack([np.broadcast_to(v, FRAMES) for v in (columns, rows)], axis=1).astype(float)
    places[share == 0] = np.nan
    boxes = np.concatenate([places - side / 2, places + side / 2], axis=1)
    return BlobTrack(places, side**2 * share, boxes, side**2 * share)


def motion(track: BlobTrack) -> ObjectMotion:
    return ObjectMotion(track, track.centers)


def approaching(until: int, side: int = 1, onward: float = 0.0) -> np.ndarray:
    """Columns of an object that approaches the middle and stops there, or moves on slowly."""
    return 0.5 - side * (0.2 + 0.06 * np.maximum(until - TIME, 0) - onward * np.maximum(TIME - until, 0))


def leaving(since: int, side: int = 1, step: float = 0.03) -> np.ndarray:
    return 0.5 + side * step * np.maximum(TIME - since, 0)


@given(met=st.integers(2, 6), side=st.sampled_from([-1, 1]))
def test_hits_and_pushes_are_told_apart(met: int, side: int):
    target = motion(box_track(leaving(met, side)))
    hits, pushes = motion(box_track(approaching(met, side))), motion(box_track(approaching(met, side, onward=0.03)))
    assert read_event("hit", hits, target).complete and not read_event("push", hits, target).occurs
    assert read_event("push", pushes, target).complete and not read_event("hit", pushes, target).occurs
    assert not read_event("hit", target, hits).complete, "The target struck nothing."


def test_an_effect_before_its_cause_is_out_of_order():
    """The target moves before the contact and is struck afterwards."""
    restless = leaving(8) - 0.1 * np.clip((4 - TIME) / 4, 0, 1)
    struck = read_event("hit", motion(box_track(approaching(8))), motion(box_track(restless)))
    assert struck.occurs and not struck.in_order and not struck.complete
    assert not read_event("hit", motion(box_track(approaching(8))), motion(box_track(0.5))).occurs, (
        "The target did not move."
    )


def test_standing_objects_cause_no_events():
    for kind in ("hit", "push", "topple", "hide"):
        assert not read_event(kind, motion(box_track(0.4)), motion(box_track(0.6))).occurs


@given(met=st.integers(2, 5))
def test_a_toppled_object_comes_down_and_stays_down(met: int):
    falls = 0.4 + 0.2 * np.clip((TIME - met) / 3, 0, 1)
    actor = motion(box_track(approaching(met), 0.6))
    assert read_event("topple", actor, motion(box_track(0.5, falls))).complete
    assert not read_event("topple", actor, motion(box_track(0.5, 0.4))).occurs
    again = np.where(TIME > 13, 0.4, falls)
    undone = read_event("topple", actor, motion(box_track(0.5, again)))
    assert undone.occurs and not undone.lasts
    by_itself = 0.4 + 0.2 * np.clip(TIME / 2, 0, 1)
    assert not read_event("topple", motion(box_track(approaching(10))), motion(box_track(0.5, by_itself))).in_order


def passing(side: int = 1) -> np.ndarray:
    return 0.5 + side * 0.05 * (TIME - 8)


@given(side=st.sampled_from([-1, 1]))
def test_a_hidden_object_disappears_and_comes_back(side: int):
    gone = np.where(np.abs(TIME - 8) < 2, 0.0, 1.0)
    screen = motion(box_track(0.5))
    assert read_event("hide", motion(box_track(passing(side), shown=gone)), screen).complete
    assert not read_event("hide", motion(box_track(passing(side))), screen).occurs, "It passes in front."
    stops = np.where(TIME > 6, 0.0, 1.0)
    assert not read_event("hide", motion(box_track(passing(side), shown=stops)), screen).occurs, (
        "It does not come back."
    )
    grown = read_event("hide", motion(box_track(passing(side), shown=gone * np.where(TIME > 8, 3.0, 1.0))), screen)
    assert grown.occurs and not grown.lasts


@given(bitten=st.integers(4, 12), zoom=st.floats(-0.03, 0.03), amount=st.floats(0.1, 0.3))
def test_a_bite_is_sudden_and_lasts(bitten: int, zoom: float, amount: float):
    size = np.exp(zoom * TIME)
    assert read_event(
        "bite", motion(box_track(0.5, shown=size * np.where(bitten > TIME, 1, 1 - amount))), None
    ).complete
    assert not read_event("bite", motion(box_track(0.5, shown=size)), None).occurs
    slowly = np.interp(TIME, [0, 16], [1, 1 - amount])
    assert not read_event("bite", motion(box_track(0.5, shown=size * slowly)), None).occurs
    heals = np.where((bitten <= TIME) & (bitten + 3 > TIME), 1 - amount, 1.0)
    if bitten < 11:
        assert not read_event("bite", motion(box_track(0.5, shown=size * heals)), None).complete


def test_relations_are_read_from_the_edges_of_boxes():
    near, far = box_track(0.45, 0.7), box_track(0.55, 0.6)
    assert relation_holds("in front of", near, far) and relation_holds("behind", far, near)
    assert (
        not relation_holds("behind", near, far)
        and not relation_holds("on top of", near, far)
        and not relation_holds("on top of", far, near)
    )
    upper, lower = box_track(0.5, 0.4), box_track(0.5, 0.6)
    assert relation_holds("on top of", upper, lower) and not relation_holds("on top of", lower, upper)
    assert not any(relation_holds(value, upper, lower) for value in ("in front of", "behind"))
    assert relation_holds("left of", near, far) and relation_holds("right of", far, near)
    assert not relation_holds("left of", near, box_track(0.5, shown=0.0)), "One object is never found."


@pytest.mark.parametrize("index", range(12))
def test_negative_controls_are_false(index: int):
    facts = facts_of(*make_scene("full", 3, index, VideoShape(9, 32, 32)))
    false = negative_controls_for(facts)
    assert len(set(false)) == len(false) and not set(false) & set(facts)
    assert all(fact.category in ("relation", "event") for fact in false)


def test_negative_controls_of_a_clip_without_events_are_all_events():
    quiet = (Fact("color", "red", 0), Fact("color", "blue", 1), Fact("camera", "static"))
    assert len(negative_controls_for(quiet)) == 2 * 4 + 2
    assert negative_controls_for(quiet[:-1]) == (), "A still image has no events."


STILL = CameraPath(*np.zeros((5, FRAMES)))
STATED = (
    Fact("color", "red", 0),
    Fact("color", "blue", 1),
    Fact("event", "hit", 0, 1),
    Fact("relation", "left of", 0, 1),
)


def reading_of(red: BlobTrack, blue: BlobTrack, white: BlobTrack | None = None) -> ColorReading:
    tracks = {"red": red, "blue": blue, "white": white or box_track(0.5, shown=0.0)}
    return ColorReading("room", "noon", tracks, STILL, 1.0)


def test_events_and_relations_are_counted_for_videos_real_clips_and_false_statements():
    case = EvaluationCase("captions", "", STATED, STATED, true=(*STATED, Fact("camera", "static")))
    clip, nothing = (
        reading_of(box_track(approaching(4)), box_track(leaving(4))),
        reading_of(box_track(0.2), box_track(0.8)),
    )
    events = verified_statements([case, case], [clip, nothing], [clip, clip], "event")
    assert events["generated"] == {"hit": Proportion(1, 2)} and events["ceiling"] == {"hit": Proportion(2, 2)}
    assert events["floor"]["hit"] == Proportion(0, 2) and events["floor"]["push"] == Proportion(0, 2)
    relations = verified_statements([case], [nothing], [clip], "relation")
    assert relations["generated"] == {"left of": Proportion(1, 1)} and relations["floor"]["right of"] == Proportion(
        0, 1
    )
    found = causes_and_effects([case, case], [clip, nothing], [clip, clip])
    assert found["generated"][CAUSE_FIRST] == Proportion(1, 1) and found["ceiling"][CAUSE_FIRST] == Proportion(2, 2)
    assert set(found["generated"]) == {CAUSE_FIRST, *LASTING.values()}


def test_events_of_white_objects_are_not_read():
    white = (Fact("color", "white", 0), Fact("color", "blue", 1), Fact("event", "hit", 0, 1))
    sighting = reading_of(box_track(0.1), box_track(leaving(4)), white=box_track(approaching(4)))
    assert sighting.shows(white[-1], white) is None and sighting.shows(white[0], white) is True


def test_momentum_of_true_tracks_is_that_of_the_simulator():
    (clip,) = held_out_collisions("full", 1, VideoShape(17, 32, 32))
    assert held_out_collisions("simple", 1, VideoShape(17, 32, 32)) == [], "The preset has no collisions."
    before, after = momentum(clip, [clip.trajectory.positions[:, subject, 0] for subject in clip.pair])
    actor = clip.scene.subjects[clip.pair[0]]
    sign = 1 if actor.motion.direction == "right" else -1
    weights = masses(clip.scene)
    assert (weights > 0).all() and before * sign == pytest.approx(weights[clip.pair[0]] * actor.motion.speed, rel=0.1)
    assert 0.3 < after / before < 1.5
    shown = [{c: true_track(clip, t) for t, c in zip(clip.pair, clip.colors, strict=True)}]
    errors = momentum_errors([clip], shown, shown)
    assert errors["generated"]["before"].value < 0.1 and errors["generated"]["after"].value < 0.25
    assert errors["ratio"]["before"].value == 1
    lost = [{c: track_blob(np.zeros((17, 8, 8), bool)) for c in clip.colors}]
    assert momentum_errors([clip], lost, shown)["generated"]["after"].count == 0


def test_collisions_happen_after_the_given_frames():
    shape = VideoShape(17, 32, 32)
    early, late = (held_out_collisions("full", 2, shape, given)[1] for given in (1, 5))
    assert late.contact >= 5 and early.contact >= 2 and UNRELIABLE_COLORS.isdisjoint((*late.colors, *early.colors))
    struck = late.trajectory.velocities[:, late.pair[1], 0]
    assert np.abs(struck[: late.contact]).max() < 0.05 < np.abs(struck[late.contact :]).max()


def true_track(clip, number: int) -> BlobTrack:
    """The track of the center of a body."""
    from lumora.world.sample.framing import project

    trajectory = clip.trajectory
    centres, _ = project(
        clip.scene.camera, trajectory.camera_positions, trajectory.camera_targets, trajectory.positions[:, [number]]
    )
    return box_track(0.5 + centres[:, 0, 0] / 2, 0.5 - centres[:, 0, 1] / 2)
