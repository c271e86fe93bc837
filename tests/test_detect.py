"""The index of published videos, and the answers of `detect` that are made with it."""

import hashlib
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clips import film, recoded, remuxed
from signing import RECIPE, signed_outside_validity

from lumora.media.video import Video
from lumora.provenance import watermark
from lumora.provenance.detect import detect
from lumora.provenance.fingerprint import fingerprint_of
from lumora.provenance.index import SCHEMA_VERSION, Index, PublishedRecord
from lumora.provenance.informed_detector import reference_dct_of
from lumora.provenance.keystore import locked, watermark_key
from lumora.provenance.manifest import sign


def published(video: Video, record: str, index: Index, sha256: str = "00") -> Video:
    """Adds the video to the index as `record`; returns it with its watermark."""
    marked = watermark.embed(video, int(record, 16), watermark_key())
    index.add(PublishedRecord(record, sha256, {**RECIPE, "record": record}, b"manifest", fingerprint_of(video)))
    return marked


def test_videos_without_a_manifest_are_matched_to_their_records(tmp_path: Path):
    index = Index(tmp_path / "index.sqlite3")
    marked = [published(film(seed), f"{seed:08x}", index) for seed in range(1, 6)]
    for seed, video in enumerate(marked, start=1):
        for attacked in (recoded(video, tmp_path / "a.mp4", 28), remuxed(tmp_path / "a.mp4", tmp_path / "b.mp4")):
            found = detect(attacked, index)
            assert found.answer == "ours" and 0 < found.p_value <= 1e-6
            assert found.record and found.record.record == f"{seed:08x}" and found.record.manifest == b"manifest"


def test_a_foreign_video_is_not_ours(tmp_path: Path):
    index = Index(tmp_path / "index.sqlite3")
    for seed in range(1, 4):
        published(film(seed), f"{seed:08x}", index)
    found = detect(film(99).save(tmp_path / "foreign.mp4"), index)
    assert found.answer == "not ours" and found.record is None
    assert detect(film(99).save(tmp_path / "foreign.mp4"), Index(tmp_path / "empty.sqlite3")).answer == "not ours"


def test_a_published_file_is_proof_even_after_its_certificate_expired(tmp_path: Path):
    index, file = Index(tmp_path / "index.sqlite3"), signed_outside_validity(tmp_path, -100, -10, "old.mp4")
    published(film(), RECIPE["record"], index, hashlib.sha256(file.read_bytes()).hexdigest())
    found = detect(file, index)
    assert found.manifest.state == "expired" and (found.answer, found.p_value) == ("ours", 0.0)


def test_without_a_key_nothing_is_ours_and_nothing_is_created(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    file = film(1).save(tmp_path / "film.mp4")
    monkeypatch.setenv("LUMORA_STATE", str(tmp_path / "state"))
    found = detect(file)
    assert found.answer == "not ours" and found.watermark is None and not (tmp_path / "state").exists()


def test_a_foreign_signature_over_one_of_our_record_numbers_is_no_proof(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    index = Index(tmp_path / "index.sqlite3")
    published(film(1), RECIPE["record"], index)
    with monkeypatch.context() as stranger:
        stranger.setenv("LUMORA_STATE", str(tmp_path / "stranger"))
        film(99).save(tmp_path / "plain.mp4")
        sign(tmp_path / "plain.mp4", tmp_path / "liar.mp4", ".mp4", "liar.mp4", RECIPE)
    found = detect(tmp_path / "liar.mp4", index)
    assert found.manifest.state == "intact" and found.answer == "not ours"


def test_progress_ends_at_its_total(tmp_path: Path):
    calls: list[tuple[int, int]] = []
    detect(film(1).save(tmp_path / "film.mp4"), progress=lambda done, total: calls.append((done, total)))
    assert calls == sorted(calls) and calls[-1][0] == calls[-1][1]


def fields(record: PublishedRecord) -> tuple[Any, ...]:
    arrays = record.fingerprint.tolist(), record.reference_dct.tolist()
    return record.record, record.sha256, record.recipe, record.manifest, *arrays


def test_the_index_returns_what_was_added(tmp_path: Path):
    index = Index(tmp_path / "index.sqlite3")
    assert index.all() == [] and not (tmp_path / "index.sqlite3").exists()
    fingerprint, reference = fingerprint_of(film()), reference_dct_of(film())
    record = PublishedRecord(index.new_record(), "ab" * 32, RECIPE, b"\x00\x01", fingerprint, reference)
    index.add(record)
    (read_back,) = Index(tmp_path / "index.sqlite3").all()
    assert fields(read_back) == fields(record)
    assert index.has(record.record) and not index.has("ffffffff")


@pytest.mark.parametrize("columns", [("looks",), ("looks", "whole")])
def test_an_index_of_an_older_version_is_read_and_migrated(columns: tuple[str, ...], tmp_path: Path):
    file = tmp_path / "index.sqlite3"
    database = sqlite3.connect(file)
    with database:
        blobs = ", ".join(f"{column} BLOB NOT NULL DEFAULT x''" for column in columns)
        database.execute(f"CREATE TABLE delivered (record TEXT, sha256 TEXT, recipe TEXT, manifest BLOB, {blobs})")
        insert = "INSERT INTO delivered (record, sha256, recipe, manifest, looks)"
        database.execute(f"{insert} VALUES ('0badcafe', 'ab', '{{}}', x'', x'0102')")
    database.close()
    (unmigrated,) = Index(file).all()
    Index(file).add(PublishedRecord("00000001", "cd", {}, b"", fingerprint_of(film()), reference_dct_of(film())))
    old, new = Index(file).all()
    assert fields(unmigrated) == fields(old) == ("0badcafe", "ab", {}, b"", [1, 2], [])
    assert np.array_equal(new.reference_dct, reference_dct_of(film()))
    database = sqlite3.connect(file)
    assert database.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
    names = [name for _, name, *_ in database.execute("PRAGMA table_info(delivered)")]
    database.close()
    assert names == ["record", "sha256", "recipe", "manifest", "fingerprint", "reference_dct"]


def test_a_broken_index_and_one_of_a_newer_version_are_refused_in_a_sentence(tmp_path: Path):
    (tmp_path / "broken.sqlite3").write_bytes(b"no database " * 100)
    database = sqlite3.connect(tmp_path / "newer.sqlite3")
    database.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    database.close()
    for name, reason in (("broken.sqlite3", "not a database"), ("newer.sqlite3", "newer version")):
        record = PublishedRecord("00000001", "cd", {}, b"", fingerprint_of(film(0, 1)))
        for use in (Index(tmp_path / name).all, lambda name=name, record=record: Index(tmp_path / name).add(record)):
            with pytest.raises(OSError, match=rf"^The index of published videos, .*cannot be used: .*{reason}.*\.$"):
                use()


def test_a_locked_file_is_read_and_appended(tmp_path: Path):
    for number in range(3):
        with locked(tmp_path / "log.jsonl") as log:
            assert log.read() == b"line\n" * number
            log.write(b"line\n")
    with pytest.raises(OSError, match=r"cannot be used: .*\.$"), locked(tmp_path):
        pass
