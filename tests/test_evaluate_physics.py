"""Places are held against the truth, and the rules to beat are what they say."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lumora.backends.lumora.weights import read_config
from lumora.config import VideoShape, to_json
from lumora.evaluate.instruments.color_tracker import ColorTables, tracked
from lumora.evaluate.metrics.continuation_error import course, goes_on, measure_physics, stays
from lumora.evaluate.metrics.kinematics import landing, laws, rebound
from lumora.evaluate.metrics.proportions import Proportion, joined
from lumora.evaluate.runner import TABLES
from lumora.evaluate.suites.continuations import (
    DOMAINS,
    FASTER,
    LARGER,
    Domain,
    approached,
    held_out_starts,
    hurried,
    middles,
)
from lumora.world.physics import simulate
from lumora.world.sample import sample_scene


@given(x=st.floats(0, 1), y=st.floats(0, 1), speed=st.floats(-0.1, 0.1), known=st.integers(2, 6))
def test_what_moves_evenly_goes_on_as_it_went(x: float, y: float, speed: float, known: int):
    truth = np.stack([x + speed * np.arange(9), np.full(9, y)], axis=1)
    straight, still = goes_on(truth, known), stays(truth, known)
    assert np.allclose(straight, truth)
    errors = course([still], [truth], known, 8.0)
    assert np.allclose([d.value for d in errors.distance], abs(speed) * np.arange(1, 10 - known), atol=1e-9)
    assert errors.seconds[0] == 1 / 8 and all(share.value == 1 for share in errors.found)


def test_what_is_out_of_sight_does_not_count_and_what_is_lost_is_told():
    truth = np.tile([[0.5, 0.5]], (6, 1))
    truth[5] = np.nan
    lost = truth.copy()
    lost[3] = np.nan
    errors = course([lost, truth], [truth, truth], 2, 8.0)
    assert errors.found == (Proportion(2, 2), Proportion(1, 2), Proportion(2, 2), Proportion(0, 0))
    assert [d.value for d in errors.distance[:3]] == [0, 0, 0] and errors.distance[3].of == 0


def test_courses_have_intervals():
    truth = np.tile([[0.5, 0.5]], (6, 1))
    distance = course([truth + np.array([0.1 * n, 0]) for n in range(9)], [truth] * 9, 2, 8.0).distance[0]
    assert distance.low < distance.value < distance.high and distance.value == pytest.approx(0.4)


def test_the_middle_of_what_is_shown():
    shown = np.zeros((2, 10, 20), bool)
    shown[0, 2:4, 10:14] = True
    places = middles(shown)
    assert places[0].tolist() == [12 / 20, 3 / 10] and np.isnan(places[1]).all()


def test_the_instrument_follows_real_clips():
    tables = ColorTables.load(TABLES)
    starts = held_out_starts("simple", 4, VideoShape(17, 64, 64))
    places = [tracked(tables, start.frames)[2][start.color].places for start in starts]
    errors = course(places, [start.truth for start in starts], 5, 8.0)
    assert joined(errors.found).value > 0.5 and np.nanmean([d.value for d in errors.distance]) < 0.1


def test_a_model_is_measured_against_floor_and_rules(weights: Path, tmp_path: Path):
    assert measure_physics(ColorTables.load(TABLES), "simple", 1, 1, 1.0, weights) is None, (
        "Its clips have no more frames."
    )
    shutil.copytree(weights, tmp_path, dirs_exist_ok=True)
    config = read_config(weights)
    (tmp_path / "model.json").write_text(to_json(replace(config, shape=replace(config.shape, num_frames=9))))
    found = measure_physics(ColorTables.load(TABLES), "simple", 2, 1, 1.0, tmp_path)
    assert found is not None and found.courses.keys() == {"model", "floor", "still", "straight"}
    assert len(found.courses["model"].seconds) == 4
    assert all(len(errors.seconds) == len(errors.distance) for errors in found.courses.values())
    assert tuple(found.laws) == DOMAINS and found.laws["usual"].keys() == {"model", "floor", "ratio"}


@pytest.mark.parametrize("domain", ["faster", "larger", "combinations"])
def test_what_lies_beyond_training_is_unlike_it(domain: Domain):
    starts = held_out_starts("simple", 2, VideoShape(9, 32, 32), domain)
    again = held_out_starts("simple", 1, VideoShape(9, 32, 32), domain)
    assert len(starts) == 2 and np.array_equal(starts[0].frames, again[0].frames)
    assert not np.isnan([start.truth[:2] for start in starts]).any()


def test_a_faster_thing_is_where_it_was_in_mid_clip():
    scenes = (sample_scene("simple", 31, index) for index in range(40))
    scene, mover = next((s, i) for s in scenes for i, thing in enumerate(s.subjects) if thing.motion.verb == "roll")
    faster = hurried(scene, mover)
    before, after = (simulate(s, 8.0, 2).velocities[0, mover, :2] for s in (scene, faster))
    assert np.allclose(after, FASTER * before, atol=1e-6) and np.linalg.norm(before) > 0.1
    start, now = (np.array(s.subjects[mover].position[:2]) for s in (scene, faster))
    assert np.allclose(start + before * scene.seconds / 2, now + after * scene.seconds / 2)
    assert [s for i, s in enumerate(faster.subjects) if i != mover] == [
        s for i, s in enumerate(scene.subjects) if i != mover
    ]


def test_what_is_approached_is_larger_in_the_picture():
    scene = sample_scene("simple", 31, 4)
    eye, near = (np.array(s.camera.position) for s in (scene, approached(scene, 0)))
    thing = np.array(scene.subjects[0].position)
    assert np.linalg.norm(thing - near) <= np.linalg.norm(thing - eye) / LARGER + 0.5


def falling(lands: int, height: float, frames: int = 17) -> np.ndarray:
    """A thing that comes down until a frame, and goes up and down again from there."""
    way = np.concatenate([np.linspace(0.2, 0.8, lands + 1), 0.8 - height * np.sin(np.linspace(0, np.pi, frames))[1:]])
    return np.stack([np.full(frames, 0.5), way[:frames]], axis=1)


@given(lands=st.integers(6, 10), height=st.floats(0.1, 0.5))
def test_when_a_thing_lands_and_how_high_it_bounces(lands: int, height: float):
    rows = falling(lands, height)[:, 1]
    assert landing(rows, 5) == lands
    assert rebound(rows, 5) == pytest.approx(0.8 - rows[lands:].min())
    assert landing(np.full(17, 0.5), 5) is None and rebound(np.linspace(0.8, 0.2, 17), 5) is None


@pytest.mark.parametrize("later", [0, 3])
def test_errors_are_told_in_their_units(later: int):
    truth = falling(7, 0.4)
    late, low = falling(7 + later, 0.4), truth - [0.1, 0]
    table = laws([late, low], [truth, truth], [truth, truth], ["bounce", "bounce"], 5, 8.0)
    assert table["model"]["time to fall"].value == pytest.approx(later / 8 / 2)
    assert table["floor"]["place"].value == 0 and table["model"]["place"].of == 2
    aside = laws([low], [truth], [truth], ["roll"], 5, 8.0)["model"]
    assert aside["place"].value == pytest.approx(0.1) and aside["velocity"].value == pytest.approx(0)
    assert aside["time to fall"].of == 0, "What rolls doesn't fall."


def test_what_is_never_found_is_left_out():
    truth, nowhere = falling(7, 0.4), np.full((17, 2), np.nan)
    table = laws([nowhere, truth], [truth, truth], [truth, truth], ["bounce", "fall"], 5, 8.0)
    assert table["model"]["place"].of == table["model"]["time to fall"].of == 1
