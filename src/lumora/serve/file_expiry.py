"""Which uploaded files are still needed, and the removal of those that are not."""

from __future__ import annotations

import contextlib
import json
import time
from typing import Any

import sqlalchemy as sa

from lumora.serve.database import characters, files, videos
from lumora.serve.settings import ServeSettings
from lumora.serve.video_store import ACTIVE

ORPHAN_SECONDS = 3600
"""A file without a row is removed when it is this old; younger ones may be about to get their row."""


def remove_expired_files(engine: sa.Engine, settings: ServeSettings) -> None:
    """Removes expired files that nothing needs, and files without a row, which a process that died has left."""
    now = time.time()
    folder = settings.folder / "files"
    with engine.begin() as connection:
        expired = set(connection.execute(sa.select(files.c.id).where(files.c.expires_at < now)).scalars())
        expired -= needed_files(connection)
        connection.execute(sa.delete(files).where(files.c.id.in_(expired)))
    for file_id in expired:
        (folder / file_id).unlink(missing_ok=True)
    with engine.connect() as connection:
        known = set(connection.execute(sa.select(files.c.file)).scalars())
    for path in folder.iterdir() if folder.is_dir() else ():
        with contextlib.suppress(FileNotFoundError):  # another worker was first
            if f"files/{path.name}" not in known and path.stat().st_mtime < now - ORPHAN_SECONDS:
                path.unlink()


def needed_files(connection: sa.Connection) -> set[str]:
    """The files that unfinished jobs and characters refer to."""
    specs = connection.execute(sa.select(videos.c.spec).where(videos.c.status.in_(ACTIVE))).scalars()
    needed = {file_id for spec in specs for file_id in _file_ids(spec)}
    return needed | set(connection.execute(sa.select(characters.c.file_id)).scalars())


def _file_ids(spec: Any) -> list[str]:
    """The ids of files anywhere in a JSON value."""
    return [part for part in json.dumps(spec).split('"') if part.startswith("file_")]
