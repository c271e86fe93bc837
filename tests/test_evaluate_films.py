"""Instruments for films: on real renders they find what is there, and on videos made worse they miss it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from lumora.backends.lumora.planning import prepare
from lumora.backends.lumora.weights import DEFAULT_FOLDER
from lumora.config import ModelConfig, VideoShape
from lumora.evaluate.instruments.color_tables import ColorTables
from lumora.evaluate.instruments.multi_shot import (
    FilmReading,
    classify_style,
    consistency_checks,
    find_cuts,
    order_checks,
)
from lumora.evaluate.metrics.multi_shot_consistency import film_request, multi_shot_columns, read_films
from lumora.evaluate.metrics.proportions import Proportion
from lumora.evaluate.metrics.reappearance import COMES_BACK, POSITION, held_out_reappearances, reappearance_checks
from lumora.world.clip import FilmClip, make_film
from lumora.world.physics import simulate
from lumora.world.render import render
from lumora.world.sample import sample_scene
from lumora.world.scene import STYLES
from lumora.world.visibility import visibility

SHAPE = VideoShape(25, 64, 64, 8.0)


@pytest.fixture(scope="module")
def films() -> list[FilmClip]:
    return [make_film("plain-film", 1_001, index, SHAPE) for index in range(8)]


@pytest.fixture(scope="module")
def tables() -> ColorTables:
    return ColorTables.load(DEFAULT_FOLDER / "tables.npz")


@pytest.fixture(scope="module")
def real(tables: ColorTables, films: list[FilmClip]) -> list[FilmReading]:
    return read_films(tables, films, [film.frames.numpy() for film in films])


@settings(max_examples=30)
@given(st.lists(st.integers(3, 9), min_size=1, max_size=4), st.integers(0, 99))
def test_a_cut_is_a_sudden_change(lengths: list[int], seed: int):
    rng = np.random.default_rng(seed)
    shots = [np.repeat(rng.integers(0, 256, (1, 4, 6, 3)), n, axis=0) for n in lengths]
    still = np.concatenate(shots).repeat(8, 1).repeat(8, 2).astype(float)
    grain = rng.normal(0, 6, still.shape[:-1])[..., None]
    frames = (still + grain).clip(0, 255).astype(np.uint8)
    assert list(find_cuts(frames)) == np.cumsum(lengths)[:-1].tolist()


def test_a_fast_pan_is_not_a_cut():
    wide = np.random.default_rng(0).integers(0, 256, (8, 40, 3)).repeat(8, 0).repeat(8, 1).astype(np.uint8)
    assert find_cuts(np.stack([wide[:, 6 * t : 6 * t + 64] for t in range(20)])) == ()


def test_renders_pass_the_checks_and_other_films_do_not(films: list[FilmClip], real: list[FilmReading]):
    columns = multi_shot_columns(films, "sentence", {"generated": real, "ceiling": real})
    holds, styles, order = columns.consistency, columns.styles, columns.order
    assert holds["generated"] == holds["ceiling"] and holds.keys() == styles.keys() == order.keys()
    for name, share in holds["ceiling"].items():
        assert share.count and share.value > 0.85, name
        assert holds["floor"][name].value < share.value, name
    assert styles["ceiling"]["total"] == holds["ceiling"]["requested style"]
    assert styles["floor"]["total"].value < 0.7 < styles["ceiling"]["total"].value
    assert order["ceiling"]["total"].count > 2 and order["ceiling"]["total"].value > 0.85
    assert order["floor"]["total"] == Proportion(0, order["ceiling"]["total"].count)


def test_a_static_video_has_no_cuts_and_no_order(tables: ColorTables, films: list[FilmClip]):
    frozen = [np.repeat(film.frames[:1].numpy(), SHAPE.num_frames, axis=0) for film in films]
    columns = multi_shot_columns(films, "sentence", {"generated": read_films(tables, films, frozen)})
    found, order = columns.consistency["generated"], columns.order
    assert found["cuts"].count and found["cuts"].found == 0 and found["no other cut"].value == 1
    assert found["style holds"].value == 1 and order["generated"]["total"].found == 0


def test_colors_are_not_checked_in_black_and_white(films: list[FilmClip], real: list[FilmReading]):
    grey = [(film, read) for film, read in zip(films, real, strict=True) if film.scenes[0].style == "black and white"]
    assert grey
    for film, read in grey:
        assert not any("cast" in name for name, _ in consistency_checks(film, "sentence", read.shots[0], read))
        assert not list(order_checks(film, "sentence", read.shots))


def test_reappearing_objects_are_found_or_missed(tables: ColorTables):
    clips = held_out_reappearances("plain-film", 3, VideoShape(17, 64, 64, 8.0))
    frames = [clip.frames.numpy() for clip in clips]
    found = [dict(reappearance_checks(tables, clip, video)) for clip, video in zip(clips, frames, strict=True)]
    assert any(answers.get(COMES_BACK) and answers[POSITION] for answers in found)
    for clip, video in zip(clips, frames, strict=True):
        gone = int(np.argmin(visibility(clip.scene, clip.trajectory).min(1)))
        lost = np.concatenate([video[:gone], np.repeat(video[gone : gone + 1], len(video) - gone, axis=0)])
        assert not all(back for name, back in reappearance_checks(tables, clip, lost) if name == COMES_BACK)


def test_a_film_request_has_the_shots_of_the_film(films: list[FilmClip]):
    for film in films:
        request = film_request(film, "sentence", SHAPE, 0, 1, 1.0)
        assert [shot.prompt for shot in request.shots(request.seconds or 0.0)] == [
            shot.text for shot in film.scripts["sentence"].shots
        ]
        ends = np.cumsum([shot.seconds for shot in request.shots(request.seconds or 0.0)]) * SHAPE.fps
        assert ends.tolist() == [*film.cuts, SHAPE.num_frames]
        config = replace(ModelConfig(), multi_shot=True, shape=replace(SHAPE, height=128, width=128))
        assert prepare(request, config).num_frames == SHAPE.num_frames


def test_styles_are_classified():
    scene = sample_scene("full", 0, 1)
    trajectory = simulate(scene, 8.0, 2)
    drawn = render([replace(scene, style=style) for style in STYLES], [trajectory] * len(STYLES), 64, 64).frames
    assert [classify_style(frames.numpy()) for frames in drawn] == list(STYLES)


def test_styles_of_blurred_frames_are_classified():
    scene = sample_scene("full", 0, 1)
    trajectory = simulate(scene, 8.0, 2)
    drawn = render([replace(scene, style=style) for style in STYLES], [trajectory] * len(STYLES), 64, 64).frames
    soft = [ndimage.gaussian_filter(frames.numpy().astype(float), (0, 0.5, 0.5, 0)) for frames in drawn]
    assert [classify_style(frames.round().astype(np.uint8)) for frames in soft] == list(STYLES)
