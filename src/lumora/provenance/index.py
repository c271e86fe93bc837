"""The index of published videos: when and how each was made, its manifest, its fingerprint and its reference.

The index is an SQLite file. `PRAGMA user_version` is its schema version; older files are migrated when they are
written, and read as they are.
"""

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

from lumora.atomic_io import error_reason
from lumora.provenance.fingerprint import Fingerprint
from lumora.provenance.informed_detector import NO_REFERENCE, ReferenceDct
from lumora.provenance.keystore import state_folder, state_path

FILE_NAME = "delivered.sqlite3"
SCHEMA_VERSION = 2
_TABLE = """CREATE TABLE IF NOT EXISTS delivered (
    record TEXT NOT NULL, sha256 TEXT NOT NULL, recipe TEXT NOT NULL, manifest BLOB NOT NULL,
    fingerprint BLOB NOT NULL, reference_dct BLOB NOT NULL DEFAULT x'')"""
_RENAMED = {"looks": "fingerprint", "whole": "reference_dct"}
"""Columns of schema 1, whose files have user_version 0. The first files do not have the second one."""
_COLUMNS = ("record", "sha256", "recipe", "manifest", "fingerprint", "reference_dct")


@dataclass(frozen=True)
class PublishedRecord:
    """A published video."""

    record: str
    """The payload of its watermark, as eight hexadecimal digits."""
    sha256: str
    """Of the file."""
    recipe: dict[str, Any]
    """As in its manifest: `request`, `model`, `made_at`, `video` (the hash of the frames before watermarking)."""
    manifest: bytes
    """As it was signed, for a file that lost it."""
    fingerprint: Fingerprint
    reference_dct: ReferenceDct = field(default_factory=lambda: NO_REFERENCE)
    """What the informed detector needs."""


class Index:
    """Several processes may use the same file. All methods raise OSError, with a sentence, where it cannot be used.

    Without a `file`, the index is the one in the state folder. Nothing is created by reading.
    """

    def __init__(self, file: Path | None = None) -> None:
        self._file = file

    def prepare(self) -> None:
        """Creates the file, or brings it up to date, so that an index that cannot be written is known before work."""
        with self._writable():
            pass

    def add(self, published: PublishedRecord) -> None:
        """Appends a record. A video that is published again is listed again."""
        row = (
            published.record,
            published.sha256,
            json.dumps(published.recipe),
            published.manifest,
            published.fingerprint.tobytes(),
            published.reference_dct.tobytes(),
        )
        with self._writable() as database:
            database.execute(f"INSERT INTO delivered ({', '.join(_COLUMNS)}) VALUES (?, ?, ?, ?, ?, ?)", row)

    def all(self) -> list[PublishedRecord]:
        with self._readable() as database:
            if database is None:
                return []
            present = {_RENAMED.get(name, name): name for _, name, *_ in database.execute(_TABLE_INFO)}
            columns = (f'"{present[name]}"' if name in present else "x''" for name in _COLUMNS)
            rows = database.execute(f"SELECT {', '.join(columns)} FROM delivered ORDER BY rowid")
            return [_published(*row) for row in rows]

    def new_record(self) -> str:
        """A random record number that is not in use."""
        while self.has(record := secrets.token_hex(4)):
            pass
        return record

    def has(self, record: str) -> bool:
        with self._readable() as database:
            query = "SELECT 1 FROM delivered WHERE record = ?"
            return database is not None and database.execute(query, (record,)).fetchone() is not None

    @contextlib.contextmanager
    def _writable(self) -> Iterator[sqlite3.Connection]:
        file = self._file or state_folder() / FILE_NAME
        with _errors(file), contextlib.closing(sqlite3.connect(file, timeout=20)) as database, database:
            file.chmod(0o600)
            database.execute("BEGIN IMMEDIATE")  # so that no two processes migrate the same file
            _migrate(database)
            yield database

    @contextlib.contextmanager
    def _readable(self) -> Iterator[sqlite3.Connection | None]:
        """None where there is no file, or an empty one."""
        file = self._file or state_path() / FILE_NAME
        if not file.exists() or not file.stat().st_size:
            yield None
            return
        uri = f"{file.absolute().as_uri()}?mode=ro"
        with _errors(file), contextlib.closing(sqlite3.connect(uri, timeout=20, uri=True)) as database:
            _check_version(database)
            yield database


_TABLE_INFO = "PRAGMA table_info(delivered)"


@contextlib.contextmanager
def _errors(file: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise OSError(f"The index of published videos, {file}, cannot be used: {error_reason(error)}.") from error


def _check_version(database: sqlite3.Connection) -> None:
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if version > SCHEMA_VERSION:
        raise OSError("it was written by a newer version of lumora")


def _migrate(database: sqlite3.Connection) -> None:
    """Creates the table, or brings one of an older version up to date."""
    _check_version(database)
    database.execute(_TABLE)
    present = {name for _, name, *_ in database.execute(_TABLE_INFO)}
    for old, new in _RENAMED.items():
        if old in present:
            database.execute(f"ALTER TABLE delivered RENAME COLUMN {old} TO {new}")
        elif new not in present:
            database.execute(f"ALTER TABLE delivered ADD COLUMN {new} BLOB NOT NULL DEFAULT x''")
    database.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _published(
    record: str, sha256: str, recipe: str, manifest: bytes, fingerprint: bytes, reference_dct: bytes
) -> PublishedRecord:
    return PublishedRecord(
        record,
        sha256,
        json.loads(recipe),
        manifest,
        np.frombuffer(fingerprint, np.int8),
        np.frombuffer(reference_dct, np.float16),
    )
