"""With the record at hand a mark is read where it can't be read without; a wrong key finds nothing there either."""

import sqlite3
from pathlib import Path

import numpy as np
import pytest
from clips import film, recoded

from lumora.media.video import Video
from lumora.provenance import watermark
from lumora.provenance.dct import reduced, reduction_stages
from lumora.provenance.detect import detect
from lumora.provenance.fingerprint import fingerprint_of, likeness
from lumora.provenance.index import Index, PublishedRecord
from lumora.provenance.informed_detector import NOTHING, chance_of_mark, reference_dct_of, votes_of
from lumora.provenance.keystore import watermark_key

KEY = bytes(range(32))
RECIPE = {"request": {"prompt": "a red ball"}, "made_at": "now"}


def chance(video: Video, original: Video, payload: int, key: bytes = KEY) -> float:
    (like,) = likeness(reduction_stages(video), [fingerprint_of(original)])
    signs = watermark.signs_of(payload, key, len(video.frames))
    return chance_of_mark(reduced(video), video.fps, reference_dct_of(original), like.place, signs)


def part_of(video: Video, side: int = 45) -> Video:
    return Video(np.ascontiguousarray(video.frames[:, 9 : 9 + side, 13 : 13 + side]), video.fps).resize(64, 64)


@pytest.mark.parametrize("seed", (0, 2))
def test_the_mark_is_read_against_the_record_after_a_cut_a_crop_a_codec_and_another_tone(seed: int, tmp_path: Path):
    original = film(seed)
    marked = watermark.embed(original, 77, KEY)
    toned = Video((255 * (marked.frames / 255.0) ** 1.15 * 0.9 + 9).astype(np.uint8), 8.0)
    for changed in (
        Video.load(recoded(part_of(marked), tmp_path / "part.mp4", 20)),
        Video.load(recoded(toned, tmp_path / "toned.mp4", 26)),
        Video(marked.frames[4:], 8.0),
        Video(marked.frames[::2], 4.0),
    ):
        assert chance(changed, original, 77) <= 1e-9
        assert chance(changed, original, 77, bytes(32)) > 1e-4
    assert chance(marked, original, 77 ^ 0xFFFFFFFF) == 1.0


def test_a_picture_is_recognised_by_its_record():
    original = film(1, 1)
    marked = watermark.embed(original, 7, KEY)
    assert chance(marked, original, 7) <= 1e-9 and chance(original, original, 7) > 1e-4


def test_the_bound_holds_for_wrong_keys_though_the_record_is_the_right_one():
    marked = part_of(watermark.embed(film(), 77, KEY))
    (like,) = likeness(reduction_stages(marked), [fingerprint_of(film())])
    whole = reference_dct_of(film())
    coins = np.random.default_rng(0).choice([-1.0, 1.0], (300, 17, 52))
    chances = np.array([chance_of_mark(reduced(marked), 8.0, whole, like.place, signs) for signs in coins[:20]])
    votes = votes_of(reduced(marked), 8.0, whole, like.place)
    assert votes is not None and np.abs(votes).max() <= 1
    sums = np.tensordot(coins, votes, axes=2) / np.linalg.norm(votes)
    assert all((np.exp(-(np.maximum(sums, 0) ** 2) / 2) <= level).mean() <= level for level in (0.5, 0.3, 0.1, 0.03))
    assert (chances < 1).any() and chances.min() > 1e-3


def test_where_nothing_is_known_nothing_is_said():
    signs = watermark.signs_of(1, KEY, 17)
    assert chance_of_mark(reduced(film()), 8.0, NOTHING, 0, signs) == 1.0
    assert chance_of_mark(reduced(film()), 8.0, reference_dct_of(film(0, 1)), 0, signs) == 1.0
    flat = Video(np.full((17, 64, 64, 3), 90, np.uint8), 8.0)
    assert chance_of_mark(reduced(flat), 8.0, reference_dct_of(flat), 0, signs) > 1e-3


def test_a_crop_is_ours_by_the_index_and_not_by_the_mark_alone(tmp_path: Path):
    index = Index(tmp_path / "index.sqlite3")
    for seed in (0, 2):
        marked = watermark.embed(film(seed), seed, watermark_key())
        about = {**RECIPE, "record": f"{seed:08x}"}
        delivered = PublishedRecord(
            about["record"], "00", about, b"", fingerprint_of(film(seed)), reference_dct_of(film(seed))
        )
        index.add(delivered)
        file = recoded(part_of(marked), tmp_path / "part.mp4", 20)
        found = detect(file, index)
        assert found.answer == "ours" and found.record and found.record.record == f"{seed:08x}"


def test_an_index_of_an_older_version_is_read_and_written(tmp_path: Path):
    file = tmp_path / "index.sqlite3"
    with sqlite3.connect(file) as database:
        database.execute("CREATE TABLE delivered (record TEXT, sha256 TEXT, recipe TEXT, manifest BLOB, looks BLOB)")
        database.execute("INSERT INTO delivered VALUES ('0badcafe', 'ab', '{}', x'', x'0102')")
    database.close()
    Index(file).add(PublishedRecord("00000001", "cd", {}, b"", fingerprint_of(film()), reference_dct_of(film())))
    old, new = Index(file).all()
    assert (old.record, old.fingerprint.tolist(), len(old.reference_dct)) == ("0badcafe", [1, 2], 0)
    assert np.array_equal(new.reference_dct, reference_dct_of(film()))
