"""Of every video that was delivered: when, from what request, by which model, and what it looks like (`looks.py`,
`known.py`)."""

from __future__ import annotations

import contextlib
import json
import secrets
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lumora.provenance.fingerprint import Fingerprint
from lumora.provenance.informed_detector import NOTHING, ReferenceDct
from lumora.provenance.keystore import state_folder

_TABLE = """CREATE TABLE IF NOT EXISTS delivered (
    record TEXT NOT NULL, sha256 TEXT NOT NULL, recipe TEXT NOT NULL, manifest BLOB NOT NULL, looks BLOB NOT NULL,
    whole BLOB NOT NULL DEFAULT x'')"""
_WIDEN = "ALTER TABLE delivered ADD COLUMN whole BLOB NOT NULL DEFAULT x''"
"""A table of before 2026-11-26."""


@dataclass(frozen=True)
class PublishedRecord:
    """One video that left. `record` is the value of its watermark, eight hexadecimal digits."""

    record: str
    sha256: str
    """Of the file."""
    recipe: dict[str, Any]
    """As in its manifest: `request`, `model`, `made_at`."""
    manifest: bytes
    """As it was signed, to be given back to a file that lost it."""
    fingerprint: Fingerprint
    reference_dct: ReferenceDct = field(default_factory=lambda: NOTHING)
    """What the mark is read against."""


class Index:
    """The list, in an SQLite file; of several processes each may add to it."""

    def __init__(self, file: Path | None = None) -> None:
        self._file = file or state_folder() / "delivered.sqlite3"

    def add(self, delivered: PublishedRecord) -> None:
        """A record that is made again stands there again. Raises OSError, in a sentence, where it can't be written."""
        row = (
            delivered.record,
            delivered.sha256,
            json.dumps(delivered.recipe),
            delivered.manifest,
            delivered.fingerprint.tobytes(),
            delivered.reference_dct.tobytes(),
        )
        with self._open() as database:
            database.execute("INSERT INTO delivered VALUES (?, ?, ?, ?, ?, ?)", row)

    def all(self) -> list[PublishedRecord]:
        with self._open() as database:
            return [_delivered(*row) for row in database.execute("SELECT * FROM delivered ORDER BY rowid")]

    def new_record(self) -> str:
        """A random one that isn't in use."""
        while self.has(record := secrets.token_hex(4)):
            pass
        return record

    def has(self, record: str) -> bool:
        with self._open() as database:
            return database.execute("SELECT 1 FROM delivered WHERE record = ?", (record,)).fetchone() is not None

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            with contextlib.closing(sqlite3.connect(self._file, timeout=20)) as database, database:
                self._file.chmod(0o600)
                database.execute(_TABLE)
                with contextlib.suppress(sqlite3.OperationalError):  # it has that column
                    database.execute(_WIDEN)
                yield database
        except sqlite3.Error as error:
            raise OSError(f"The index of what was delivered, {self._file}, can't be used: {error}.") from error


def _delivered(record: str, sha256: str, recipe: str, manifest: bytes, looks: bytes, whole: bytes) -> PublishedRecord:
    seen, known = np.frombuffer(looks, np.int8), np.frombuffer(whole, np.float16)
    return PublishedRecord(record, sha256, json.loads(recipe), manifest, seen, known)
