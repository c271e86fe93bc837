"""Instruments for films: on real renders they find what is there, and on videos made worse they miss it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lumora.config import VideoShape
from lumora.evaluate.films import cuts_of, measure_films, style_of
from lumora.evaluate.tracking import Tables
from lumora.generate.weights import DEFAULT_FOLDER
from lumora.world.clip import FilmClip, make_film
from lumora.world.physics import simulate
from lumora.world.render import render
from lumora.world.sample import sample_scene
from lumora.world.scene import STYLES

SHAPE = VideoShape(25, 64, 64, 8.0)


@pytest.fixture(scope="module")
def films() -> list[FilmClip]:
    return [make_film("film", 1_001, index, SHAPE) for index in range(8)]


@settings(max_examples=30)
@given(st.lists(st.integers(3, 9), min_size=1, max_size=4), st.integers(0, 99))
def test_a_cut_is_a_sudden_change(lengths: list[int], seed: int):
    rng = np.random.default_rng(seed)
    shots = [np.repeat(rng.integers(0, 256, (1, 4, 6, 3)), n, axis=0) for n in lengths]
    still = np.concatenate(shots).repeat(8, 1).repeat(8, 2).astype(float)
    grain = rng.normal(0, 6, still.shape[:-1])[..., None]
    frames = (still + grain).clip(0, 255).astype(np.uint8)
    assert list(cuts_of(frames)) == np.cumsum(lengths)[:-1].tolist()


def test_a_fast_turn_is_no_cut():
    wide = np.random.default_rng(0).integers(0, 256, (8, 40, 3)).repeat(8, 0).repeat(8, 1).astype(np.uint8)
    assert cuts_of(np.stack([wide[:, 6 * t : 6 * t + 64] for t in range(20)])) == ()


def test_renders_hold_and_mixed_up_videos_do_not(films: list[FilmClip]):
    tables = Tables.load(Path(DEFAULT_FOLDER / "tables.npz"))
    real = [film.frames.numpy() for film in films]
    shares = measure_films(tables, films, real)
    assert shares["cuts"].value > 0.85 and shares["style holds"].value > 0.85
    mixed = measure_films(tables, films, [*real[1:], real[0]])
    assert mixed["cuts"].value < shares["cuts"].value
    assert mixed["style as asked"].value < shares["style as asked"].value
    frozen = measure_films(tables, films, [np.repeat(video[:1], len(video), axis=0) for video in real])
    assert frozen["cuts"].found == 0 and frozen["no other cut"].value == 1
    assert shares["cast as asked"].value > 0.8 and shares["cast holds"].value > 0.8


def test_each_style_is_told_from_the_others():
    scene = sample_scene("full", 0, 1)
    trajectory = simulate(scene, 8.0, 2)
    drawn = render([replace(scene, style=style) for style in STYLES], [trajectory] * len(STYLES), 64, 64).frames
    assert [style_of(frames.numpy()) for frames in drawn] == list(STYLES)
