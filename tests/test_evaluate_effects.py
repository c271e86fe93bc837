"""Causes, effects and relations are read from ways whose story is known; what is no story is not read as one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lumora.config import VideoShape
from lumora.evaluate.instruments.blob import BlobTrack, follow
from lumora.evaluate.instruments.camera_path import CameraPath
from lumora.evaluate.instruments.color_tracker import UNSURE, Sighting
from lumora.evaluate.instruments.effects import Way, deed
from lumora.evaluate.instruments.relations import holds
from lumora.evaluate.metrics.collisions import held_out_hits, momentum, momentum_errors
from lumora.evaluate.metrics.consequences import FIRST, LASTING, consequences, told_apart
from lumora.evaluate.metrics.proportions import Proportion
from lumora.evaluate.suites.held_out import Case
from lumora.evaluate.suites.negative_controls import negative_controls_for
from lumora.world.clip import make_scene
from lumora.world.facts import Fact, facts_of
from lumora.world.physics import masses

FRAMES = 17
TIME = np.arange(FRAMES)


def thing(
    columns: np.ndarray | float, rows: np.ndarray | float = 0.6, side: float = 0.2, shown: np.ndarray | float = 1.0
) -> BlobTrack:
    """A square whose middle is there, of which this share is to be seen; where it is 0, it is not found."""
    share = np.broadcast_to(shown, FRAMES).astype(float)
    places = np.stack([np.broadcast_to(v, FRAMES) for v in (columns, rows)], axis=1).astype(float)
    places[share == 0] = np.nan
    boxes = np.concatenate([places - side / 2, places + side / 2], axis=1)
    return BlobTrack(places, side**2 * share, boxes, side**2 * share)


def way(track: BlobTrack) -> Way:
    return Way(track, track.places)


def comes(until: int, side: int = 1, onward: float = 0.0) -> np.ndarray:
    """Columns of what comes along and stops, or goes on slowly, at the middle."""
    return 0.5 - side * (0.2 + 0.06 * np.maximum(until - TIME, 0) - onward * np.maximum(TIME - until, 0))


def goes(since: int, side: int = 1, step: float = 0.03) -> np.ndarray:
    return 0.5 + side * step * np.maximum(TIME - since, 0)


@given(met=st.integers(2, 6), side=st.sampled_from([-1, 1]))
def test_a_hit_sends_off_and_a_push_goes_along(met: int, side: int):
    target = way(thing(goes(met, side)))
    hits, pushes = way(thing(comes(met, side))), way(thing(comes(met, side, onward=0.03)))
    assert deed("hit", hits, target).whole and not deed("push", hits, target).done
    assert deed("push", pushes, target).whole and not deed("hit", pushes, target).done
    assert not deed("hit", target, hits).whole, "What stood there struck nobody."


def test_an_effect_before_its_cause_is_out_of_order():
    """It has moved before anything reached it, and is struck all the same."""
    restless = goes(8) - 0.1 * np.clip((4 - TIME) / 4, 0, 1)
    struck = deed("hit", way(thing(comes(8))), way(thing(restless)))
    assert struck.done and not struck.in_order and not struck.whole
    assert not deed("hit", way(thing(comes(8))), way(thing(0.5))).done, "Nothing came of it."


def test_what_stands_side_by_side_does_nothing():
    for kind in ("hit", "push", "topple", "hide"):
        assert not deed(kind, way(thing(0.4)), way(thing(0.6))).done


@given(met=st.integers(2, 5))
def test_what_is_toppled_comes_down_and_stays_down(met: int):
    falls = 0.4 + 0.2 * np.clip((TIME - met) / 3, 0, 1)
    actor = way(thing(comes(met), 0.6))
    assert deed("topple", actor, way(thing(0.5, falls))).whole
    assert not deed("topple", actor, way(thing(0.5, 0.4))).done
    again = np.where(TIME > 13, 0.4, falls)
    undone = deed("topple", actor, way(thing(0.5, again)))
    assert undone.done and not undone.lasts
    by_itself = 0.4 + 0.2 * np.clip(TIME / 2, 0, 1)
    assert not deed("topple", way(thing(comes(10))), way(thing(0.5, by_itself))).in_order


def passing(side: int = 1) -> np.ndarray:
    return 0.5 + side * 0.05 * (TIME - 8)


@given(side=st.sampled_from([-1, 1]))
def test_what_passes_behind_is_gone_and_comes_back(side: int):
    gone = np.where(np.abs(TIME - 8) < 2, 0.0, 1.0)
    screen = way(thing(0.5))
    assert deed("hide", way(thing(passing(side), shown=gone)), screen).whole
    assert not deed("hide", way(thing(passing(side))), screen).done, "It passed in front."
    stops = np.where(TIME > 6, 0.0, 1.0)
    assert not deed("hide", way(thing(passing(side), shown=stops)), screen).done, "It never came back."
    grown = deed("hide", way(thing(passing(side), shown=gone * np.where(TIME > 8, 3.0, 1.0))), screen)
    assert grown.done and not grown.lasts


@given(bitten=st.integers(4, 12), zoom=st.floats(-0.03, 0.03), amount=st.floats(0.1, 0.3))
def test_a_bite_is_taken_at_once_and_stays(bitten: int, zoom: float, amount: float):
    size = np.exp(zoom * TIME)
    assert deed("bite", way(thing(0.5, shown=size * np.where(bitten > TIME, 1, 1 - amount))), None).whole
    assert not deed("bite", way(thing(0.5, shown=size)), None).done
    slowly = np.interp(TIME, [0, 16], [1, 1 - amount])
    assert not deed("bite", way(thing(0.5, shown=size * slowly)), None).done
    heals = np.where((bitten <= TIME) & (bitten + 3 > TIME), 1 - amount, 1.0)
    if bitten < 11:
        assert not deed("bite", way(thing(0.5, shown=size * heals)), None).whole


def test_relations_are_read_from_feet_and_tops():
    near, far = thing(0.45, 0.7), thing(0.55, 0.6)
    assert holds("in front of", near, far) and holds("behind", far, near)
    assert not holds("behind", near, far) and not holds("on top of", near, far) and not holds("on top of", far, near)
    upper, lower = thing(0.5, 0.4), thing(0.5, 0.6)
    assert holds("on top of", upper, lower) and not holds("on top of", lower, upper)
    assert not any(holds(value, upper, lower) for value in ("in front of", "behind"))
    assert holds("left of", near, far) and holds("right of", far, near)
    assert not holds("left of", near, thing(0.5, shown=0.0)), "One is never seen."


@pytest.mark.parametrize("index", range(12))
def test_a_lie_is_never_true(index: int):
    facts = facts_of(*make_scene("full", 3, index, VideoShape(9, 32, 32)))
    lies = negative_controls_for(facts)
    assert len(set(lies)) == len(lies) and not set(lies) & set(facts)
    assert all(lie.category in ("relation", "event") for lie in lies)


def test_of_a_quiet_clip_all_events_are_lies():
    quiet = (Fact("color", "red", 0), Fact("color", "blue", 1), Fact("camera", "static"))
    assert len(negative_controls_for(quiet)) == 2 * 4 + 2
    assert negative_controls_for(quiet[:-1]) == (), "A picture tells of no events."


STILL = CameraPath(*np.zeros((5, FRAMES)))
STATED = (
    Fact("color", "red", 0),
    Fact("color", "blue", 1),
    Fact("event", "hit", 0, 1),
    Fact("relation", "left of", 0, 1),
)


def seen(red: BlobTrack, blue: BlobTrack, white: BlobTrack | None = None) -> Sighting:
    tracks = {"red": red, "blue": blue, "white": white or thing(0.5, shown=0.0)}
    return Sighting("room", "noon", tracks, STILL, 1.0)


def test_events_and_relations_are_counted_for_videos_real_clips_and_lies():
    case = Case("captions", "", STATED, STATED, true=(*STATED, Fact("camera", "static")))
    hit, nothing = seen(thing(comes(4)), thing(goes(4))), seen(thing(0.2), thing(0.8))
    events = told_apart([case, case], [hit, nothing], [hit, hit], "event")
    assert events["generated"] == {"hit": Proportion(1, 2)} and events["ceiling"] == {"hit": Proportion(2, 2)}
    assert events["floor"]["hit"] == Proportion(0, 2) and events["floor"]["push"] == Proportion(0, 2)
    relations = told_apart([case], [nothing], [hit], "relation")
    assert relations["generated"] == {"left of": Proportion(1, 1)} and relations["floor"]["right of"] == Proportion(
        0, 1
    )
    found = consequences([case, case], [hit, nothing], [hit, hit])
    assert found["generated"][FIRST] == Proportion(1, 1) and found["ceiling"][FIRST] == Proportion(2, 2)
    assert set(found["generated"]) == {FIRST, *LASTING.values()}


def test_of_what_white_things_do_nothing_is_said():
    white = (Fact("color", "white", 0), Fact("color", "blue", 1), Fact("event", "hit", 0, 1))
    sighting = seen(thing(0.1), thing(goes(4)), white=thing(comes(4)))
    assert sighting.shows(white[-1], white) is None and sighting.shows(white[0], white) is True


def test_momentum_is_the_simulators_where_places_are():
    (hit,) = held_out_hits("full", 1, VideoShape(17, 32, 32))
    assert held_out_hits("simple", 1, VideoShape(17, 32, 32)) == [], "There are no hits in that world."
    before, after = momentum(hit, [hit.trajectory.positions[:, thing, 0] for thing in hit.pair])
    actor = hit.scene.subjects[hit.pair[0]]
    sign = 1 if actor.motion.direction == "right" else -1
    weights = masses(hit.scene)
    assert (weights > 0).all() and before * sign == pytest.approx(weights[hit.pair[0]] * actor.motion.speed, rel=0.1)
    assert 0.3 < after / before < 1.5
    shown = [{c: true_track(hit, t) for t, c in zip(hit.pair, hit.colors, strict=True)}]
    errors = momentum_errors([hit], shown, shown)
    assert errors["model"]["before"].value < 0.1 and errors["model"]["after"].value < 0.25
    assert errors["ratio"]["before"].value == 1
    lost = [{c: follow(np.zeros((17, 8, 8), bool)) for c in hit.colors}]
    assert momentum_errors([hit], lost, shown)["model"]["after"].of == 0


def test_hits_that_are_begun_happen_after_what_is_given():
    shape = VideoShape(17, 32, 32)
    early, late = (held_out_hits("full", 2, shape, given)[1] for given in (1, 5))
    assert late.met >= 5 and early.met >= 2 and UNSURE.isdisjoint((*late.colors, *early.colors))
    struck = late.trajectory.velocities[:, late.pair[1], 0]
    assert np.abs(struck[: late.met]).max() < 0.05 < np.abs(struck[late.met :]).max()


def true_track(hit, number: int) -> BlobTrack:
    """Where the middle of a body is in the picture."""
    from lumora.world.sample.framing import project

    trajectory = hit.trajectory
    centres, _ = project(
        hit.scene.camera, trajectory.camera_positions, trajectory.camera_targets, trajectory.positions[:, [number]]
    )
    return thing(0.5 + centres[:, 0, 0] / 2, 0.5 - centres[:, 0, 1] / 2)
