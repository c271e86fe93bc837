"""Uploaded files: stored under an id of the server, after the checker has looked at their content."""

from __future__ import annotations

import hashlib
import secrets
import shutil
import time
from typing import BinaryIO

import sqlalchemy as sa

from lumora.atomic_io import atomic_write
from lumora.media.sniff import sniff
from lumora.serve.api_key import ApiKey
from lumora.serve.context import ServerContext
from lumora.serve.database import files
from lumora.serve.errors import ApiError


def add_file(context: ServerContext, key: ApiKey, content: BinaryIO, filename: str) -> str:
    """Stores an image or a video; returns its id. Raises ApiError for what cannot be read or is too large."""
    file_id = f"file_{secrets.token_hex(12)}"
    path = context.path(f"files/{file_id}")
    path.parent.mkdir(mode=0o700, exist_ok=True)
    with atomic_write(path) as part:
        with part.open("wb") as target:
            shutil.copyfileobj(content, target)
        found = sniff(part)
        if found is None:
            raise ApiError(415, "This is neither an image nor a video that can be read.", "unsupported_media")
    values = {
        "id": file_id,
        "owner": key.id,
        "created_at": time.time(),
        "filename": filename[:200],
        "kind": "video" if found.pillow is None else "image",
        "bytes": path.stat().st_size,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "file": f"files/{file_id}",
    }
    with context.engine.begin() as connection:
        connection.execute(sa.insert(files).values(**values))
    return file_id
