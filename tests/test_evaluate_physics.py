"""Places are held against the truth, and the rules to beat are what they say."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lumora.backends.lumora.weights import read_config
from lumora.config import VideoShape, to_json
from lumora.evaluate.evaluation_data import COLOR_TABLES, PROBE, EvaluationData
from lumora.evaluate.instruments.color_tables import ColorTables
from lumora.evaluate.instruments.color_tracker import track_colors
from lumora.evaluate.metrics.continuation_error import (
    constant_velocity_path,
    continuation_error,
    measure_continuations,
    position_error,
    static_path,
)
from lumora.evaluate.metrics.kinematics import kinematic_errors, landing, rebound
from lumora.evaluate.metrics.proportions import Proportion, pooled
from lumora.evaluate.plan import EvaluationPlan
from lumora.evaluate.suites.continuations import (
    DOMAINS,
    FASTER,
    LARGER,
    Domain,
    held_out_continuations,
    mask_centers,
    with_faster_subject,
    with_nearer_camera,
)
from lumora.world.physics import simulate
from lumora.world.sample import sample_scene


@settings(max_examples=20)  # each computes confidence intervals
@given(x=st.floats(0, 1), y=st.floats(0, 1), speed=st.floats(-0.1, 0.1), known=st.integers(2, 6))
def test_constant_velocity_predicts_uniform_motion(x: float, y: float, speed: float, known: int):
    truth = np.stack([x + speed * np.arange(9), np.full(9, y)], axis=1)
    straight, still = constant_velocity_path(truth, known), static_path(truth, known)
    assert np.allclose(straight, truth)
    errors = position_error([still], [truth], known, 8.0)
    assert np.allclose([d.value for d in errors.distance], abs(speed) * np.arange(1, 10 - known), atol=1e-9)
    assert errors.seconds[0] == 1 / 8 and all(share.value == 1 for share in errors.found)


def test_invisible_objects_do_not_count_and_lost_ones_do():
    truth = np.tile([[0.5, 0.5]], (6, 1))
    truth[5] = np.nan
    lost = truth.copy()
    lost[3] = np.nan
    errors = position_error([lost, truth], [truth, truth], 2, 8.0)
    assert errors.found == (Proportion(2, 2), Proportion(1, 2), Proportion(2, 2), Proportion(0, 0))
    assert [d.value for d in errors.distance[:3]] == [0, 0, 0] and errors.distance[3].count == 0


def test_position_errors_have_intervals():
    truth = np.tile([[0.5, 0.5]], (6, 1))
    distance = position_error([truth + np.array([0.1 * n, 0]) for n in range(9)], [truth] * 9, 2, 8.0).distance[0]
    assert distance.low < distance.value < distance.high and distance.value == pytest.approx(0.4)


def test_mask_centers():
    shown = np.zeros((2, 10, 20), bool)
    shown[0, 2:4, 10:14] = True
    places = mask_centers(shown)
    assert places[0].tolist() == [12 / 20, 3 / 10] and np.isnan(places[1]).all()


def test_the_tracker_follows_real_clips():
    tables = ColorTables.load(COLOR_TABLES)
    starts = held_out_continuations("simple", 4, VideoShape(17, 64, 64))
    places = [track_colors(tables, start.frames).tracks[start.color].centers for start in starts]
    errors = position_error(places, [start.positions for start in starts], 5, 8.0)
    assert pooled(errors.found).value > 0.5 and np.nanmean([d.value for d in errors.distance]) < 0.1


def evaluation_data(num_clips: int, model: Path) -> EvaluationData:
    plan = EvaluationPlan(preset="simple", steps=1, guidance_scale=1.0, physics=num_clips)
    return EvaluationData.load(plan, model, PROBE, workers=0)


def test_a_model_with_short_clips_continues_none(weights: Path):
    assert continuation_error(evaluation_data(1, weights)).tables == ()


def test_continuations_are_compared_with_floor_and_baselines(weights: Path, tmp_path: Path):
    shutil.copytree(weights, tmp_path, dirs_exist_ok=True)
    config = read_config(weights)
    (tmp_path / "model.json").write_text(to_json(replace(config, shape=replace(config.shape, num_frames=9))))
    found = measure_continuations(evaluation_data(2, tmp_path))
    assert found is not None and found.positions.keys() == {"generated", "floor", "static", "constant velocity"}
    assert len(found.positions["generated"].seconds) == 4
    assert all(len(errors.seconds) == len(errors.distance) for errors in found.positions.values())
    assert tuple(found.kinematics) == DOMAINS
    assert found.kinematics["usual"].keys() == {"generated", "floor", "ratio"} and found.momentum == {}


@pytest.mark.parametrize("domain", ["faster", "larger", "combinations"])
def test_domains_beyond_training_are_reproducible(domain: Domain):
    starts = held_out_continuations("simple", 2, VideoShape(9, 32, 32), domain)
    again = held_out_continuations("simple", 1, VideoShape(9, 32, 32), domain)
    assert len(starts) == 2 and np.array_equal(starts[0].frames, again[0].frames)
    assert not np.isnan([start.positions[:2] for start in starts]).any()


def test_a_faster_subject_keeps_its_position_in_mid_clip():
    scenes = (sample_scene("simple", 31, index) for index in range(40))
    scene, mover = next((s, i) for s in scenes for i, thing in enumerate(s.subjects) if thing.motion.verb == "roll")
    faster = with_faster_subject(scene, mover)
    before, after = (simulate(s, 8.0, 2).velocities[0, mover, :2] for s in (scene, faster))
    assert np.allclose(after, FASTER * before, atol=1e-6) and np.linalg.norm(before) > 0.1
    start, now = (np.array(s.subjects[mover].position[:2]) for s in (scene, faster))
    assert np.allclose(start + before * scene.seconds / 2, now + after * scene.seconds / 2)
    assert [s for i, s in enumerate(faster.subjects) if i != mover] == [
        s for i, s in enumerate(scene.subjects) if i != mover
    ]


def test_a_nearer_camera_makes_the_subject_larger():
    scene = sample_scene("simple", 31, 4)
    eye, near = (np.array(s.camera.position) for s in (scene, with_nearer_camera(scene, 0)))
    thing = np.array(scene.subjects[0].position)
    assert np.linalg.norm(thing - near) <= np.linalg.norm(thing - eye) / LARGER + 0.5


def falling(lands: int, height: float, frames: int = 17) -> np.ndarray:
    """The path of an object that falls until a frame and bounces."""
    way = np.concatenate([np.linspace(0.2, 0.8, lands + 1), 0.8 - height * np.sin(np.linspace(0, np.pi, frames))[1:]])
    return np.stack([np.full(frames, 0.5), way[:frames]], axis=1)


@given(lands=st.integers(6, 10), height=st.floats(0.1, 0.5))
def test_landing_and_rebound(lands: int, height: float):
    rows = falling(lands, height)[:, 1]
    assert landing(rows, 5) == lands
    assert rebound(rows, 5) == pytest.approx(0.8 - rows[lands:].min())
    assert landing(np.full(17, 0.5), 5) is None and rebound(np.linspace(0.8, 0.2, 17), 5) is None


@pytest.mark.parametrize("later", [0, 3])
def test_kinematic_errors_have_their_units(later: int):
    truth = falling(7, 0.4)
    late, low = falling(7 + later, 0.4), truth - [0.1, 0]
    table = kinematic_errors([late, low], [truth, truth], [truth, truth], ["bounce", "bounce"], 5, 8.0)
    assert table["generated"]["landing time"].value == pytest.approx(later / 8 / 2)
    assert table["floor"]["position"].value == 0 and table["generated"]["position"].count == 2
    aside = kinematic_errors([low], [truth], [truth], ["roll"], 5, 8.0)["generated"]
    assert aside["position"].value == pytest.approx(0.1) and aside["velocity"].value == pytest.approx(0)
    assert aside["landing time"].count == 0, "Rolling objects do not fall."


def test_objects_that_are_never_found_are_left_out():
    truth, nowhere = falling(7, 0.4), np.full((17, 2), np.nan)
    table = kinematic_errors([nowhere, truth], [truth, truth], [truth, truth], ["bounce", "fall"], 5, 8.0)
    assert table["generated"]["position"].count == table["generated"]["landing time"].count == 1
