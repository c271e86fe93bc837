"""Emotions are read from the faces of whom the tables find, and from nobody else's."""

from pathlib import Path

import numpy as np
import pytest
import torch

from lumora.evaluate.evaluation_data import COLOR_TABLES, EMOTION_READER
from lumora.evaluate.instruments.blob import track_blob
from lumora.evaluate.instruments.camera_path import estimate_camera_path
from lumora.evaluate.instruments.color_tables import ColorTables
from lumora.evaluate.instruments.color_tracker import ColorReading
from lumora.evaluate.instruments.emotion_training import characters, emotion_accuracy, examples
from lumora.evaluate.instruments.emotions import SIDE, EmotionReader, crop_character, hog_features
from lumora.evaluate.instruments.labeled_clips import LabeledClip
from lumora.world.facts import Fact
from lumora.world.scene import CHARACTERS, EMOTIONS

MARKS = {emotion: np.random.default_rng(n).random((8, 8, 3)) for n, emotion in enumerate(EMOTIONS)}
"""EmotionReader that nobody could mix up."""


def head(emotion: str, rng: np.random.Generator) -> np.ndarray:
    return np.kron(MARKS[emotion], np.ones((4, 4, 1))) + 0.05 * rng.standard_normal((SIDE, SIDE, 3))


def heads(emotion: str, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.stack([head(emotion, rng) for _ in range(4)]).astype(np.float32)


def trained_reader() -> EmotionReader:
    return EmotionReader.fit(
        (kind, felt, heads(felt, seed)) for kind in CHARACTERS for felt in EMOTIONS for seed in range(3)
    )


def shown(emotion: str) -> tuple[np.ndarray, np.ndarray]:
    """A clip with such a head on grey ground, and where it is."""
    frames, mask = np.full((3, 64, 64, 3), 128, np.uint8), np.zeros((3, 64, 64), bool)
    mask[:, 13:40, 13:40] = True
    frames[:, 10:42, 10:42] = (255 * head(emotion, np.random.default_rng(9)).clip(0, 1)).astype(np.uint8)
    return frames, mask


def test_emotions_are_read_from_the_tracked_character(tmp_path: Path):
    trained_reader().save(tmp_path / "faces.npz")
    faces = EmotionReader.load(tmp_path / "faces.npz")
    for felt in EMOTIONS:
        frames, mask = shown(felt)
        assert faces.read(frames, track_blob(mask)) == dict.fromkeys(CHARACTERS, felt)
    assert faces.read(shown("sad")[0], track_blob(np.zeros((3, 64, 64), bool))) == {}, "There is no character."


def test_crops_do_not_depend_on_the_resolution():
    frames, mask = shown("sad")
    large, where = (np.kron(x, np.ones((1, 2, 2, 1)[: x.ndim])).astype(x.dtype) for x in (frames, mask))
    one, two = crop_character(frames, track_blob(mask)), crop_character(large, track_blob(where))
    assert one.shape == two.shape == (3, SIDE, SIDE, 3) and 0 <= one.min() <= one.max() <= 1
    other = crop_character(shown("angry")[0], track_blob(mask))
    assert np.abs(one - two).mean() < 0.3 * np.abs(one - other).mean(), "The crops may differ by a pixel."


def test_features_do_not_depend_on_brightness():
    bright = heads("angry", 3)
    assert np.abs(hog_features(bright) - hog_features(0.5 * bright + 0.2)).mean() < 0.05


def test_training_needs_every_kind_of_character():
    with pytest.raises(ValueError, match="shows the face of a"):
        EmotionReader.fit([(CHARACTERS[0], "sad", heads("sad", 0))])


def sighting(emotions: dict[str, dict[str, str]]) -> ColorReading:
    frames, mask = shown("happy")
    return ColorReading("meadow", "noon", {"red": track_blob(mask)}, estimate_camera_path(frames, mask), 1.0, emotions)


def test_an_emotion_must_be_that_of_the_stated_character():
    told = (Fact("color", "red", 0), Fact("kind", "cat", 0), Fact("emotion", "happy", 0))
    happy, sad = (sighting({"red": dict.fromkeys(CHARACTERS, felt)}) for felt in ("happy", "sad"))
    assert happy.shows(told[-1], told) is True and sad.shows(told[-1], told) is False
    assert sighting({"blue": {"cat": "happy"}}).shows(told[-1], told) is False, "There is no red object."
    assert sighting({}).shows(told[-1], told) is None, "Emotions are not read."
    white = (Fact("color", "white", 0), *told[1:])
    assert happy.shows(white[-1], white) is None and happy.shows(told[-1], told[:1]) is None


def test_the_accuracy_counts_all_reliable_characters():
    frames, _ = shown("angry")
    facts = (Fact("color", "red", 0), Fact("kind", "robot", 0), Fact("emotion", "angry", 0), Fact("color", "white", 1),
             Fact("kind", "cat", 1), Fact("emotion", "sad", 1), Fact("kind", "ball", 2))  # fmt: skip
    assert characters(facts) == [("red", "robot", "angry")]
    clips = [LabeledClip(torch.from_numpy(frames), facts)]
    tables = ColorTables.load(COLOR_TABLES)
    assert {kind for kind, _, _ in examples(tables, clips)} <= {"robot"}
    columns = emotion_accuracy(EmotionReader.load(EMOTION_READER), tables, clips)
    assert columns.keys() == {"renders", "blur", "noise"} and columns["blur"]["angry"].count == 1
