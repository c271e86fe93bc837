"""The second reading finds coloured things without any learning, in clips whose truth is known."""

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lumora.config import VideoShape
from lumora.evaluate.permanence import casts, permanence
from lumora.evaluate.probe_training import Clip, rendered_clips
from lumora.evaluate.shares import Share
from lumora.evaluate.tracking import Sighting, Tables, Track, background_drift, binned, follow, sight

SHAPE = VideoShape(9, 48, 48)


@pytest.fixture(scope="module")
def clips() -> list[Clip]:
    return list(rendered_clips("simple", 5, range(24), SHAPE))


def test_what_the_tables_have_counted_they_find_again(clips: list[Clip], tmp_path):
    Tables.count(clips).save(tmp_path / "tables.npz")
    tables = Tables.load(tmp_path / "tables.npz")
    right: dict[str, list[bool]] = defaultdict(list)
    for clip in clips:
        sighting = sight(tables, clip.pixels.numpy())
        for fact in clip.facts:
            shown = sighting.shows(fact, clip.facts)
            if shown is not None:
                right[fact.category].append(shown)
    assert np.mean(right["place"]) == np.mean(right["light"]) == 1
    assert np.mean(right["color"]) > 0.8 and np.mean(right["direction"]) > 0.7


def test_tables_need_to_know_what_pixels_show(clips: list[Clip]):
    with pytest.raises(ValueError, match="pixels show"):
        Tables.count([clips[0]._replace(subject=None)])


@given(x=st.integers(4, 20), y=st.integers(4, 20), step=st.integers(-1, 1), side=st.integers(3, 6))
def test_a_spot_is_followed(x: int, y: int, step: int, side: int):
    mask = np.zeros((5, 32, 32), bool)
    for number in range(5):
        mask[number, y : y + side, x + step * number : x + step * number + side] = True
    mask[2, 0, 0] = True  # a single pixel is no thing
    track = follow(mask)
    assert track.seen == 1 and np.allclose(track.areas, side**2 / 32**2)
    assert np.allclose(np.diff(track.places[:, 0]), step / 32) and np.allclose(track.places[:, 1], (y + side / 2) / 32)


def test_nothing_is_followed_where_nothing_is():
    track = follow(np.zeros((4, 16, 16), bool))
    assert track.seen == 0 and np.isnan(track.places).all()


@given(across=st.sampled_from([-2, 0, 2]), down=st.sampled_from([-2, 0, 2]), seed=st.integers(0, 9))
def test_the_background_drifts_as_the_camera_turns(across: int, down: int, seed: int):
    wide = np.random.default_rng(seed).integers(0, 256, (80, 80, 3), dtype=np.uint8)
    frames = np.stack([wide[20 - down * i : 56 - down * i, 20 - across * i : 56 - across * i] for i in range(4)])
    things = np.zeros(frames.shape[:3], bool)
    frames[:, 10:16, 10:16], things[:, 10:16, 10:16] = 0, True  # a thing that stays in the middle of the picture
    drift = background_drift(frames, things)
    assert np.allclose(drift[-1], np.array([across, down]) * 3 / 36)
    sighting = Sighting("room", "noon", {}, drift)
    if across and not down:
        assert sighting.camera == ("pan left" if across > 0 else "pan right")
    if down and not across:
        assert sighting.camera == ("tilt up" if down > 0 else "tilt down")
    if not across and not down:
        assert sighting.camera is None


def seen_in(**frames: list[int]) -> Sighting:
    """A sighting of things of these colours in these of nine frames."""
    tracks = {c: Track(np.zeros((9, 2)), np.isin(np.arange(9), seen).astype(float)) for c, seen in frames.items()}
    return Sighting("room", "noon", tracks, np.zeros((9, 2, 2, 2)))


def test_a_cast_stays_or_it_does_not():
    always, late, early = [*range(9)], [5, 6, 7, 8], [0, 1, 2, 3]
    steady = seen_in(red=always, blue=[0, 1, 4, 5, 6, 8])
    assert casts(steady) == [frozenset({"red", "blue"})] * 3
    made = [steady, seen_in(red=always, blue=late), seen_in(red=early), seen_in(red=always)]
    shares = permanence([steady, steady, steady, seen_in(red=early)], made)
    assert shares["cast stays"] == Share(1, 3)
    assert shares["nothing vanishes"] == Share(2, 3) == shares["nothing appears"]


def test_every_color_has_one_bin():
    pixels = np.array([[0, 0, 0], [255, 255, 255], [16, 0, 0], [0, 0, 15]], np.uint8)
    assert binned(pixels).tolist() == [0, 16**3 - 1, 256, 0]
