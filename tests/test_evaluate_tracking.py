"""The color tracker finds objects and reads facts in clips with known answers."""

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lumora.config import VideoShape
from lumora.evaluate.instruments.blob import BlobTrack, track_blob
from lumora.evaluate.instruments.camera_path import CameraPath
from lumora.evaluate.instruments.color_tables import ColorTables, color_bins
from lumora.evaluate.instruments.color_tracker import ColorReading, read_clip
from lumora.evaluate.instruments.labeled_clips import LabeledClip, rendered_clips
from lumora.evaluate.metrics.permanence import casts, permanence_columns
from lumora.evaluate.metrics.proportions import Proportion
from lumora.world.facts import Fact

SHAPE = VideoShape(9, 48, 48)


@pytest.fixture(scope="module")
def clips() -> list[LabeledClip]:
    return list(rendered_clips("simple", 5, range(24), SHAPE))


def test_color_tables_read_the_clips_they_were_counted_on(clips: list[LabeledClip], tmp_path):
    ColorTables.count(clips).save(tmp_path / "tables.npz")
    tables = ColorTables.load(tmp_path / "tables.npz")
    right: dict[str, list[bool]] = defaultdict(list)
    for clip in clips:
        sighting = read_clip(tables, clip.pixels.numpy())
        for fact in clip.facts:
            shown = sighting.shows(fact, clip.facts)
            if shown is not None:
                right[fact.category].append(shown)
    assert np.mean(right["place"]) == np.mean(right["light"]) == 1
    assert np.mean(right["color"]) > 0.8 and np.mean(right["direction"]) > 0.7


def test_color_tables_need_segmentations(clips: list[LabeledClip]):
    with pytest.raises(ValueError, match="no segmentation"):
        ColorTables.count([clips[0]._replace(subject=None)])


@given(x=st.integers(4, 20), y=st.integers(4, 20), step=st.integers(-1, 1), side=st.integers(3, 6))
def test_a_blob_is_tracked(x: int, y: int, step: int, side: int):
    mask = np.zeros((5, 32, 32), bool)
    for number in range(5):
        mask[number, y : y + side, x + step * number : x + step * number + side] = True
    mask[2, 31, 31] = True  # a single pixel is not an object
    track = track_blob(mask)
    assert track.found_share == 1 and np.allclose(track.areas, side**2 / 32**2)
    assert np.allclose(np.diff(track.centers[:, 0]), step / 32) and np.allclose(
        track.centers[:, 1], (y + side / 2) / 32
    )


def test_stripes_are_joined_and_separate_objects_are_not():
    mask = np.zeros((2, 64, 64), bool)
    mask[:, 20:32, 10:26] = True
    mask[:, 20:32, 16:20] = False  # a stripe of another color
    mask[:, 40:44, 50:54] = True
    track = track_blob(mask)
    assert np.allclose(track.boxes, np.array([10, 20, 26, 32]) / 64) and np.allclose(track.areas, 12 * 16 / 64**2)
    assert np.allclose(track.color_areas, 12 * 12 / 64**2) and np.allclose(track.centers[:, 0], 18 / 64)


def test_an_empty_mask_has_an_empty_track():
    track = track_blob(np.zeros((4, 16, 16), bool))
    assert track.found_share == 0 and np.isnan(track.centers).all()


def placed(places: np.ndarray, areas: np.ndarray) -> BlobTrack:
    """A track of squares with these centers."""
    half = np.sqrt(areas)[:, None] / 2
    return BlobTrack(places, areas, np.concatenate([places - half, places + half], axis=1), areas)


STILL = CameraPath(*np.zeros((5, 9)))


def found_in(**frames: list[int]) -> ColorReading:
    """A reading of objects of these colors in these of nine frames."""
    tracks = {c: placed(np.zeros((9, 2)), np.isin(np.arange(9), seen).astype(float)) for c, seen in frames.items()}
    return ColorReading("room", "noon", tracks, STILL, 1.0)


def test_permanence_of_the_cast():
    always, late, early = [*range(9)], [5, 6, 7, 8], [0, 1, 2, 3]
    steady = found_in(red=always, blue=[0, 1, 4, 5, 6, 8])
    assert casts(steady) == [frozenset({"red", "blue"})] * 3
    made = [steady, found_in(red=always, blue=late), found_in(red=early), found_in(red=always)]
    shares = permanence_columns([steady, steady, steady, found_in(red=early)], made)
    assert shares["generated"]["cast stays"] == Proportion(1, 3) and shares["real clips"]["cast stays"] == Proportion(
        3, 4
    )
    assert shares["generated"]["nothing vanishes"] == Proportion(2, 3) == shares["generated"]["nothing appears"]


def test_every_color_has_one_bin():
    pixels = np.array([[0, 0, 0], [255, 255, 255], [16, 0, 0], [0, 0, 15]], np.uint8)
    assert color_bins(pixels).tolist() == [0, 16**3 - 1, 256, 0]


def going(column: float, step: float, area: float = 0.04) -> BlobTrack:
    """A track of nine frames in the middle row."""
    places = np.stack([column + step * np.arange(9), np.full(9, 0.5)], axis=1)
    return placed(places, np.full(9, area))


RED, BLUE = Fact("color", "red", 0), Fact("color", "blue", 1)


@given(red=st.floats(0.1, 0.45), blue=st.floats(0.55, 0.9))
def test_left_and_right_are_read_from_positions(red: float, blue: float):
    sighting = ColorReading("room", "noon", {"red": going(red, 0), "blue": going(blue, 0)}, STILL, 1.0)
    stated = (RED, BLUE, Fact("relation", "left of", 0, 1), Fact("relation", "right of", 1, 0))
    assert all(sighting.shows(fact, stated) for fact in stated)
    wrong = Fact("relation", "right of", 0, 1)
    assert sighting.shows(wrong, (RED, BLUE, wrong)) is False
    nameless = Fact("relation", "left of", 0, 2)
    assert sighting.shows(nameless, (RED, nameless)) is None


def test_speed_is_relative_to_the_width_of_the_object():
    """0.4 of the frame is twice the width of a large object and four times that of a small one."""
    for area, speed in ((0.04, "slow"), (0.01, "fast")):
        sighting = ColorReading("room", "noon", {"red": going(0.3, 0.05, area)}, STILL, 1.0)
        fact = Fact("speed", speed, 0)
        assert sighting.shows(fact, (RED, fact)) and sighting.direction("red") == "right"
    assert ColorReading("room", "noon", {"red": going(0.3, 0.001)}, STILL, 1.0).speed("red") is None


def test_motion_of_the_background_is_not_motion_of_the_object():
    """If the camera moves to the right, objects that stand on the ground move to the left in the frame."""
    path = CameraPath(np.zeros(9), np.zeros(9), np.linspace(0, 1, 9), np.zeros(9), np.full(9, 0.3))
    places = np.tile([[0.5, 0.6]], (9, 1))
    stays = placed(places + path.background_shift(places, 1.0), np.full(9, 0.02))
    assert stays.centers[-1, 0] < 0.4
    sighting = ColorReading("room", "noon", {"red": stays, "blue": going(0.5, 0)}, path, 1.0)
    assert sighting.direction("red") is None and sighting.direction("blue") == "right"
