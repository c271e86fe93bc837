"""The files of a model: their hash, and which of them are read."""

from __future__ import annotations

import hashlib
import re
from functools import cache
from pathlib import Path

READ_SUFFIXES = (".safetensors", ".json", ".txt", ".model", ".jinja")
"""Weights, configurations and tokenizers. Formats that can run code when they are read are never downloaded."""
_BLOB = re.compile(r"[0-9a-f]{64}")


def model_digest(folder: Path) -> str:
    """SHA-256 over the names and contents of all files that are read.

    A file in the hub's cache is a link to a blob whose name is the hash of its content, which is not computed again.
    """
    files = sorted(path for path in folder.rglob("*") if path.suffix in READ_SUFFIXES and path.is_file())
    digest = hashlib.sha256()
    for path in files:
        content = path.resolve()
        known = content.name if _BLOB.fullmatch(content.name) and content.parent.name == "blobs" else None
        sha256 = known or file_sha256(content)
        digest.update(f"{path.relative_to(folder).as_posix()} {sha256}\n".encode())
    return digest.hexdigest()


def file_sha256(path: Path) -> str:
    """Hexadecimal; computed once for each version of a file."""
    status = path.stat()
    return _sha256(path, status.st_size, status.st_mtime_ns)


@cache
def _sha256(path: Path, size: int, changed: int) -> str:
    """`size` and `changed` (nanoseconds) tell versions of a file apart."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
