"""Styles, films and visibility of subjects."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lumora.config import VideoShape
from lumora.world.caption import LENGTHS
from lumora.world.clip import make_film, make_scripts, make_shots
from lumora.world.facts import Fact, facts_of, mirror_fact
from lumora.world.physics import camera_path, simulate
from lumora.world.render import render
from lumora.world.sample import sample_scene
from lumora.world.sample.multi_shot_scenes import sample_film
from lumora.world.scene import GLANCES, STYLES, Camera, Motion, Scene, Style, Subject
from lumora.world.visibility import absences, comes_back, visibility

SHAPE = VideoShape(33, 32, 32, 8.0)
numbers = st.integers(0, 10**6)


def render_in_style(scene: Scene, style: Style, frames: int = 2, side: int = 48) -> torch.Tensor:
    """Frames of a scene in a style, from 0 to 1."""
    scene = replace(scene, style=style)
    return render([scene], [simulate(scene, 8.0, frames)], side, side).frames[0].float() / 255


@pytest.fixture(scope="module")
def scene() -> Scene:
    ball = Subject("ball", "red", "matte", "large", (0.0, 0.0, 0.5))
    cube = Subject("cube", "blue", "matte", "large", (1.2, 0.3, 0.5))
    return Scene((ball, cube), "meadow", "noon", Camera((0.0, -4.5, 1.4), (0.3, 0.0, 0.5)), 2.0, texture_seed=3)


def test_styles_differ_in_their_pixels(scene: Scene) -> None:
    pictures = {style: render_in_style(scene, style) for style in STYLES}
    grey = pictures["black and white"]
    assert torch.equal(grey[..., 0], grey[..., 1]) and torch.equal(grey[..., 1], grey[..., 2])
    assert 0.005 < (grey[0] - grey[1]).std() < 0.05  # nothing moves but the grain
    assert grey[:, :6, :6].mean() < pictures["plain"][:, :6, :6].mean()  # the corners are darker
    blocks = pictures["pixel art"]
    assert torch.equal(blocks[:, ::2], blocks[:, 1::2]) and torch.equal(blocks[:, :, ::2], blocks[:, :, 1::2])
    colours = {style: len(picture[0].view(-1, 3).unique(dim=0)) for style, picture in pictures.items()}
    assert (pictures["toon"].amax(-1) < 0.12).float().mean() > 3 * (pictures["plain"].amax(-1) < 0.12).float().mean()
    assert colours["pixel art"] < colours["plain"] / 2


def test_styles_keep_the_ground_truth_and_are_determined_by_the_seed(scene: Scene) -> None:
    old = replace(scene, style="black and white")
    trajectory = simulate(scene, 8.0, 3)
    both = render([scene, old], [trajectory] * 2, 32, 32)
    assert torch.equal(both.subject[0], both.subject[1]) and torch.equal(both.depth[0], both.depth[1])
    assert torch.equal(both.frames[0], render([scene], [trajectory], 32, 32).frames[0])
    again = render([old, scene], [trajectory] * 2, 32, 32).frames
    assert torch.equal(again[0], both.frames[1])
    other = render([replace(old, texture_seed=4)], [trajectory], 32, 32).frames[0]
    assert not torch.equal(other[:, :, :, 0] > 128, both.frames[1, ..., 0] > 128)


def test_black_and_white_has_no_color_facts(scene: Scene) -> None:
    trajectory = simulate(scene, 8.0, 9)
    facts = facts_of(replace(scene, style="black and white"), trajectory)
    assert Fact("style", "black and white") in facts and not [f for f in facts if f.category == "color"]
    assert [f for f in facts_of(scene, trajectory) if f.category == "style"] == []
    assert Fact("style", "toon") in facts_of(replace(scene, style="toon"), trajectory)


@settings(max_examples=15)
@given(numbers, st.integers(5, 65), st.sampled_from([(32, 32), (32, 48), (48, 32)]))
def test_a_film_has_the_same_subjects_and_style_and_cuts_between_latent_frames(
    index: int, frames: int, size: tuple
) -> None:
    shape = VideoShape(frames, size[0], size[1], 8.0)
    film = sample_film("film", 7, index, shape)
    lengths = [round(shot.seconds * 8) for shot in film.shots]
    assert sum(lengths) == frames and film.seconds == pytest.approx(frames / 8)
    assert all(cut % 4 == 1 for cut in np.cumsum(lengths)[:-1])
    assert 1 <= len(lengths) <= 4 and (len(lengths) == 1 or min(lengths) >= 8)
    first = film.shots[0]
    for before, shot in zip(film.shots, film.shots[1:], strict=False):
        looks = [(s.kind, s.color, s.material, s.size, s.emotion) for s in shot.subjects]
        assert looks == [(s.kind, s.color, s.material, s.size, s.emotion) for s in first.subjects]
        assert shot.style == first.style
        if shot.begins:  # the same action from elsewhere
            assert shot.begins == pytest.approx(before.begins + before.seconds)
            assert (shot.subjects, shot.place) == (before.subjects, before.place) and shot.camera != before.camera
        else:
            assert shot.place != before.place
    assert film == sample_film("film", 7, index, shape)


def test_films_differ_and_presets_without_films_have_one_shot() -> None:
    films = [sample_film("film", 2, index, SHAPE) for index in range(40)]
    assert {len(film.shots) for film in films} == {1, 2, 3, 4}
    assert {film.shots[0].style for film in films} == set(STYLES)
    assert any(shot.begins for film in films for shot in film.shots)
    assert len(sample_film("simple", 2, 0, SHAPE).shots) == 1
    with pytest.raises(ValueError, match="no preset"):
        sample_film("epic", 0, 0, SHAPE)
    with pytest.raises(ValueError, match="must not be negative"):
        sample_film("film", 0, -1, SHAPE)


def test_motion_continues_across_a_cut_in_the_same_place() -> None:
    ball = Subject("ball", "red", "matte", "small", (-1.0, 0.0, 0.3), motion=Motion("roll", "right", 1.0))
    whole = Scene((ball,), "meadow", "noon", Camera((0.0, -4.5, 1.4), (0.0, 0.0, 0.4)), 2.0)
    early, late = replace(whole, seconds=1.0), replace(whole, seconds=1.0, begins=1.0)
    paths = [simulate(shot, 8.0, frames).positions for shot, frames in ((whole, 16), (early, 8), (late, 8))]
    np.testing.assert_allclose(np.concatenate(paths[1:]), paths[0], atol=1e-9)
    assert simulate(late, 8.0, 8).times[0] == 0


def test_a_film_depends_only_on_its_seed_and_index() -> None:
    film = make_film("film", 3, 1, SHAPE)
    assert film.frames.shape == (33, 32, 32, 3) and film.visibility().shape == (33, len(film.scenes[0].subjects))
    assert torch.equal(make_film("film", 3, 1, SHAPE).frames, film.frames)
    assert len(film.facts) == len(film.scenes) == len(film.cuts) + 1
    for length in LENGTHS:
        for said, facts in zip(film.scripts[length].shots, film.facts, strict=True):
            assert set(said.facts) <= set(facts)


@settings(max_examples=12)
@given(numbers)
def test_a_script_introduces_subjects_once_and_states_what_it_lists(index: int) -> None:
    shots = make_shots("film", 11, index, SHAPE)
    facts = tuple(facts_of(*shot) for shot in shots)
    scripts = make_scripts(facts, 11, index)
    assert scripts == make_scripts(facts, 11, index)
    for length, told in scripts.items():
        cast = told.whole.text.split(". ")[0]
        assert all(shot.text.startswith(cast) for shot in told.shots)
        for text in (told.whole.text, *(shot.text for shot in told.shots)):
            assert not re.search(r"\b[Aa] [aeiou]|  |[{}]| [.,;]|,,|\.\.", text), text
            assert text[0].isupper() and text.endswith(".")
        if length == "paragraph":
            assert [shot.facts for shot in told.shots] == list(facts)
            assert set(told.whole.facts) == {fact for shot in facts for fact in shot}
    mirrored = tuple(tuple(mirror_fact(f) for f in shot) for shot in facts)
    assert make_scripts(mirrored, 11, index)["paragraph"].shots[0].facts == mirrored[0]


def test_a_script_without_subjects_is_rejected() -> None:
    with pytest.raises(ValueError, match="at least one shot"):
        make_scripts((), 0, 0)
    with pytest.raises(ValueError, match="at least one subject"):
        make_scripts(((Fact("place", "room"),),), 0, 0)


@pytest.mark.parametrize("move", GLANCES)
def test_a_glance_returns_to_the_initial_view(move) -> None:
    camera = Camera((0.0, -4.5, 1.4), (0.0, 0.0, 0.5), move, speed=1.5, reach=1.5)
    positions, targets = camera_path(camera, np.linspace(0.0, 2.0, 17))
    assert (positions == positions[0]).all()
    np.testing.assert_allclose(targets[[0, -1]], np.tile(camera.target, (2, 1)), atol=1e-9)
    side = targets[8, 0] - positions[8, 0]
    assert side < -4 if move == "glance left" else side > 4


def test_visibility_agrees_with_the_rendered_pixels() -> None:
    """In scenes with glances and hide events the computed visibility agrees with the rendered pixels."""
    seen, pixels = [], []
    for index in range(40):
        made = sample_scene("film", 5, index)
        if made.camera.move not in GLANCES and made.event is None:
            continue
        trajectory = simulate(made, 8.0, 9)
        subject = render([made], [trajectory], 48, 48, samples=1).subject[0]
        for number in range(len(made.subjects)):
            seen.append(visibility(made, trajectory)[:, number])
            pixels.append((subject == number).sum((1, 2)).numpy())
    shown, area = np.concatenate(seen), np.concatenate(pixels)
    assert len(seen) >= 6 and (shown < 0.05).sum() > 10
    assert (area[shown == 0] <= 4).mean() > 0.97
    assert (area[shown > 0.5] >= 4).mean() > 0.97


def test_leaving_and_returning_gives_a_leave_event() -> None:
    cat = Subject("cat", "black", "matte", "large", (0.2, 0.0, 0.5), emotion="happy")
    camera = Camera((0.0, -4.5, 1.4), (0.0, 0.0, 0.5), "glance right", speed=1.5, reach=1.5)
    made = Scene((cat,), "snow", "noon", camera, 2.0)
    facts = facts_of(made, simulate(made, 8.0, 17))
    assert Fact("event", "leave", 0) in facts and Fact("camera", "glance right") in facts
    shown = visibility(made, simulate(made, 8.0, 17))[:, 0]
    assert comes_back(shown) and 4 < absences(shown).sum() < 15 and not absences(shown)[[0, -1]].any()
    stays = replace(made, camera=replace(camera, move="static"))
    assert not comes_back(visibility(stays, simulate(stays, 8.0, 17))[:, 0])
    assert Fact("event", "leave", 0) not in facts_of(stays, simulate(stays, 8.0, 17))


def test_directions_do_not_depend_on_a_glance() -> None:
    cat = Subject("cat", "black", "matte", "large", (-0.6, 0.0, 0.5), np.pi / 2, Motion("walk", "right", 0.6), "sad")
    camera = Camera((0.0, -4.5, 1.4), (0.0, 0.0, 0.5), "glance left", speed=1.5, reach=1.5)
    made = Scene((cat,), "snow", "noon", camera, 2.0)
    assert Fact("direction", "right", 0) in facts_of(made, simulate(made, 8.0, 17))
