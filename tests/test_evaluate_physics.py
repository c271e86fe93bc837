"""Places are held against the truth, and the rules to beat are what they say."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lumora.config import VideoShape, to_json
from lumora.evaluate.measure import TABLES
from lumora.evaluate.physics import course, goes_on, held_out_starts, measure_physics, middles, stays
from lumora.evaluate.tracking import Tables, sight
from lumora.generate.weights import read_config


@given(x=st.floats(0, 1), y=st.floats(0, 1), speed=st.floats(-0.1, 0.1), known=st.integers(2, 6))
def test_what_moves_evenly_goes_on_as_it_went(x: float, y: float, speed: float, known: int):
    truth = np.stack([x + speed * np.arange(9), np.full(9, y)], axis=1)
    straight, still = goes_on(truth, known), stays(truth, known)
    assert np.allclose(straight, truth)
    errors = course([still], [truth], known, 8.0)
    assert np.allclose(errors.distance, abs(speed) * np.arange(1, 10 - known), atol=1e-9)
    assert errors.seconds[0] == 1 / 8 and (errors.found == 1).all()


def test_what_is_out_of_sight_does_not_count_and_what_is_lost_is_told():
    truth = np.tile([[0.5, 0.5]], (6, 1))
    truth[5] = np.nan
    lost = truth.copy()
    lost[3] = np.nan
    errors = course([lost, truth], [truth, truth], 2, 8.0)
    assert errors.found.tolist() == [1, 0.5, 1, 0] and (errors.distance == 0).all()


def test_the_middle_of_what_is_shown():
    shown = np.zeros((2, 10, 20), bool)
    shown[0, 2:4, 10:14] = True
    places = middles(shown)
    assert places[0].tolist() == [12 / 20, 3 / 10] and np.isnan(places[1]).all()


def test_the_instrument_follows_real_clips():
    tables = Tables.load(TABLES)
    starts = held_out_starts("simple", 4, VideoShape(17, 64, 64))
    places = [sight(tables, start.frames).tracks[start.color].places for start in starts]
    errors = course(places, [start.truth for start in starts], 5, 8.0)
    assert errors.found.mean() > 0.5 and np.nanmean(errors.distance) < 0.1


def test_a_model_is_measured_against_floor_and_rules(weights: Path, tmp_path: Path):
    assert measure_physics(Tables.load(TABLES), "simple", 1, 1, 1.0, weights) == {}, "Its clips have no more frames."
    shutil.copytree(weights, tmp_path, dirs_exist_ok=True)
    config = read_config(weights)
    (tmp_path / "model.json").write_text(to_json(replace(config, shape=replace(config.shape, frames=9))))
    found = measure_physics(Tables.load(TABLES), "simple", 2, 1, 1.0, tmp_path)
    assert found.keys() == {"model", "floor", "still", "straight"}
    assert len(found["model"].seconds) == 4
    assert all(len(errors.seconds) == len(errors.distance) for errors in found.values())
