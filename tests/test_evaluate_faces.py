"""Emotions are read from the faces of whom the tables find, and from nobody else's."""

from pathlib import Path

import numpy as np
import pytest
import torch

from lumora.evaluate.instruments.blob import follow
from lumora.evaluate.instruments.camera_path import path_of
from lumora.evaluate.instruments.color_tracker import ColorTables, Sighting
from lumora.evaluate.instruments.emotion_training import accuracy, examples, people
from lumora.evaluate.instruments.emotions import SIDE, Faces, features_of, heads_of
from lumora.evaluate.instruments.probe_training import Clip
from lumora.evaluate.runner import FACES, TABLES
from lumora.world.facts import Fact
from lumora.world.scene import CHARACTERS, EMOTIONS

MARKS = {emotion: np.random.default_rng(n).random((8, 8, 3)) for n, emotion in enumerate(EMOTIONS)}
"""Faces that nobody could mix up."""


def head(emotion: str, rng: np.random.Generator) -> np.ndarray:
    return np.kron(MARKS[emotion], np.ones((4, 4, 1))) + 0.05 * rng.standard_normal((SIDE, SIDE, 3))


def heads(emotion: str, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.stack([head(emotion, rng) for _ in range(4)]).astype(np.float32)


def taught() -> Faces:
    return Faces.fit((kind, felt, heads(felt, seed)) for kind in CHARACTERS for felt in EMOTIONS for seed in range(3))


def shown(emotion: str) -> tuple[np.ndarray, np.ndarray]:
    """A clip with such a head on grey ground, and where it is."""
    frames, mask = np.full((3, 64, 64, 3), 128, np.uint8), np.zeros((3, 64, 64), bool)
    mask[:, 13:40, 13:40] = True
    frames[:, 10:42, 10:42] = (255 * head(emotion, np.random.default_rng(9)).clip(0, 1)).astype(np.uint8)
    return frames, mask


def test_emotions_are_read_from_where_somebody_is(tmp_path: Path):
    taught().save(tmp_path / "faces.npz")
    faces = Faces.load(tmp_path / "faces.npz")
    for felt in EMOTIONS:
        frames, mask = shown(felt)
        assert faces.read(frames, follow(mask)) == dict.fromkeys(CHARACTERS, felt)
    assert faces.read(shown("sad")[0], follow(np.zeros((3, 64, 64), bool))) == {}, "Nobody is there."


def test_a_head_is_the_same_in_a_larger_picture():
    frames, mask = shown("sad")
    large, where = (np.kron(x, np.ones((1, 2, 2, 1)[: x.ndim])).astype(x.dtype) for x in (frames, mask))
    one, two = heads_of(frames, follow(mask)), heads_of(large, follow(where))
    assert one.shape == two.shape == (3, SIDE, SIDE, 3) and 0 <= one.min() <= one.max() <= 1
    other = heads_of(shown("angry")[0], follow(mask))
    assert np.abs(one - two).mean() < 0.3 * np.abs(one - other).mean(), "But for a pixel more or less of the square."


def test_features_forget_the_light():
    bright = heads("angry", 3)
    assert np.abs(features_of(bright) - features_of(0.5 * bright + 0.2)).mean() < 0.05


def test_whom_no_clip_shows_nobody_can_learn():
    with pytest.raises(ValueError, match="no face of a"):
        Faces.fit([(CHARACTERS[0], "sad", heads("sad", 0))])


def sighting(emotions: dict[str, dict[str, str]]) -> Sighting:
    frames, mask = shown("happy")
    return Sighting("meadow", "noon", {"red": follow(mask)}, path_of(frames, mask), 1.0, emotions)


def test_what_is_said_of_the_red_cat_has_to_be_true_of_it():
    told = (Fact("color", "red", 0), Fact("kind", "cat", 0), Fact("emotion", "happy", 0))
    happy, sad = (sighting({"red": dict.fromkeys(CHARACTERS, felt)}) for felt in ("happy", "sad"))
    assert happy.shows(told[-1], told) is True and sad.shows(told[-1], told) is False
    assert sighting({"blue": {"cat": "happy"}}).shows(told[-1], told) is False, "There is nothing red."
    assert sighting({}).shows(told[-1], told) is None, "Nobody has looked at faces."
    white = (Fact("color", "white", 0), *told[1:])
    assert happy.shows(white[-1], white) is None and happy.shows(told[-1], told[:1]) is None


def test_faces_are_counted_against_the_truth():
    frames, _ = shown("angry")
    facts = (Fact("color", "red", 0), Fact("kind", "robot", 0), Fact("emotion", "angry", 0), Fact("color", "white", 1),
             Fact("kind", "cat", 1), Fact("emotion", "sad", 1), Fact("kind", "ball", 2))  # fmt: skip
    assert people(facts) == [("red", "robot", "angry")]
    clips = [Clip(torch.from_numpy(frames), facts)]
    tables = ColorTables.load(TABLES)
    assert {kind for kind, _, _ in examples(tables, clips)} <= {"robot"}
    columns = accuracy(Faces.load(FACES), tables, clips)
    assert columns.keys() == {"renders", "blur", "noise"} and columns["blur"]["angry"].stated == 1
