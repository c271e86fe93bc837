"""Of every video that was delivered: when, from what request, by which model, and what its pictures look like.

The looks are a hash a frame: signs of the slow waves of its luma (Zauner, "Implementation and Benchmarking of
Perceptual Image Hash Functions", 2010), which codecs, sizes and colours hardly change. No picture is kept.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from lumora.provenance.state import state_folder
from lumora.video import Video

WAVES = 12
"""Waves a side of a frame that its hash has a bit of."""
FRAMES = 9
"""Most frames that are looked at, spread over a video."""

_TABLE = """CREATE TABLE IF NOT EXISTS delivered (
    record TEXT NOT NULL, sha256 TEXT NOT NULL, recipe TEXT NOT NULL, manifest BLOB NOT NULL, looks BLOB NOT NULL)"""


@dataclass(frozen=True)
class Delivered:
    """One video that left. `record` is the value of its watermark, eight hexadecimal digits."""

    record: str
    sha256: str
    """Of the file."""
    recipe: dict[str, Any]
    """As in its manifest: `request`, `model`, `made_at`."""
    manifest: bytes
    """As it was signed, to be given back to a file that lost it."""
    looks: UInt8[np.ndarray, "t b"]


class Index:
    """The list, in an SQLite file; of several processes each may add to it."""

    def __init__(self, file: Path | None = None) -> None:
        self._file = file or state_folder() / "delivered.sqlite3"

    def add(self, delivered: Delivered) -> None:
        """A record that is made again stands there again. Raises OSError, in a sentence, where it can't be written."""
        row = (
            delivered.record,
            delivered.sha256,
            json.dumps(delivered.recipe),
            delivered.manifest,
            delivered.looks.tobytes(),
        )
        with self._open() as database:
            database.execute("INSERT INTO delivered VALUES (?, ?, ?, ?, ?)", row)

    def all(self) -> list[Delivered]:
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
                yield database
        except sqlite3.Error as error:
            raise OSError(f"The index of what was delivered, {self._file}, can't be used: {error}.") from error


def looks_of(video: Video) -> UInt8[np.ndarray, "t b"]:
    """A hash a frame, of at most FRAMES frames from the first to the last."""
    chosen = np.unique(np.linspace(0, len(video.frames) - 1, FRAMES).round().astype(int))
    small = [Image.fromarray(f).convert("L").resize((32, 32), Image.Resampling.BOX) for f in video.frames[chosen]]
    luma = np.stack([np.asarray(s) for s in small]).astype(float)
    waves = np.cos(np.pi * np.arange(WAVES)[:, None] * (np.arange(32) + 0.5) / 32)
    found = (waves @ luma @ waves.T).reshape(len(luma), -1)[:, 1:]  # without the mean, which has no sign
    return np.packbits(found > 0, axis=1)


def distances(looks: UInt8[np.ndarray, "t b"], others: list[UInt8[np.ndarray, "_ b"]]) -> list[float]:
    """How unlike each of some videos is, in shares of a hash's bits: of each frame to the likest of the other's
    frames."""
    bits = WAVES**2 - 1
    unlike = [np.bitwise_count(looks[:, None] ^ other[None]).sum(axis=-1).min(axis=1) for other in others]
    return [float(u.mean()) / bits for u in unlike]


def chance_of(distance: float) -> float:
    """How often, at most, a foreign video is that like a given one of ours.

    Of 3,540 pairs of the simulated world's clips, which all look alike, 17 were within 0.35, 5 within 0.30, 2 within
    0.25 and none within 0.20 (`benchmarks/detect.py`). The line here lies above all of these; below 0.20 it is an
    extrapolation.
    """
    return min(1.0, 10 ** (-3 - (0.25 - distance) / 0.05))


def _delivered(record: str, sha256: str, recipe: str, manifest: bytes, looks: bytes) -> Delivered:
    width = -(-(WAVES**2 - 1) // 8)
    return Delivered(record, sha256, json.loads(recipe), manifest, np.frombuffer(looks, np.uint8).reshape(-1, width))
