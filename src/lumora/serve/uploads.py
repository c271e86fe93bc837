"""Uploaded files: bytes, never addresses, stored under ids of the server after a sandbox has decoded them."""

from __future__ import annotations

import hashlib
import secrets
import time
from pathlib import Path
from typing import Any, BinaryIO

import sqlalchemy as sa

from lumora.atomic_io import atomic_write
from lumora.serve.api_key import ApiKey
from lumora.serve.context import ServerContext
from lumora.serve.database import Row, files
from lumora.serve.errors import ApiError, not_found
from lumora.serve.file_expiry import needed_files
from lumora.serve.sandbox import SandboxBusyError, SandboxError

_STATUS = {"unsupported_media": 415, "file_too_large": 413, "invalid_file": 400}
_INSPECTED = ("kind", "mime", "width", "height", "seconds", "fps", "warnings", "provenance")
_CHUNK_BYTES = 1 << 20


def add_file(context: ServerContext, key: ApiKey, content: BinaryIO, filename: str) -> str:
    """Stores an image or a video; returns its id. Raises ApiError for what cannot be read or exceeds a limit."""
    _check_room(context, key)
    file_id = f"file_{secrets.token_hex(12)}"
    relative = f"files/{file_id}"
    path = context.path(relative)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    with atomic_write(path) as part:
        size, sha256 = copy_upload(content, part, context.settings.limits.max_upload_bytes)
        found = inspected(context, part)
    hours = context.settings.limits.expire_uploads_after_hours
    now = time.time()
    values = {
        "id": file_id,
        "owner": key.id,
        "created_at": now,
        "expires_at": None if hours is None else now + 3600 * hours,
        "filename": _clean(filename),
        "bytes": size,
        "sha256": sha256,
        "file": relative,
        **{column: found[column] for column in _INSPECTED},
    }
    with context.engine.begin() as connection:
        connection.execute(sa.insert(files).values(**values))
    return file_id


def inspected(context: ServerContext, path: Path) -> dict[str, Any]:
    """What the sandbox finds of a file (`upload_inspection.inspect`). Raises ApiError for what it refuses."""
    limits = context.settings.limits
    found = in_sandbox(
        context,
        "upload_inspection",
        "inspect",
        path=str(path),
        max_pixels=limits.max_upload_pixels,
        max_seconds=limits.max_upload_seconds,
        max_tracks=limits.max_upload_tracks,
    )
    if "refused" in found:
        raise ApiError(_STATUS[found["refused"]], found["message"], found["refused"])
    return found


def in_sandbox(context: ServerContext, module: str, function: str, **arguments: Any) -> Any:
    """The result of a function that runs in the sandbox of its module. Raises ApiError: 413 where it takes too much,
    429 where too many wait."""
    try:
        return context.sandboxes[module].call(f"lumora.serve.{module}", function, **arguments)
    except SandboxBusyError:
        message = "Too many files are being examined; try again in some seconds."
        raise ApiError(429, message, headers={"Retry-After": "5"}) from None
    except SandboxError as error:
        raise ApiError(413, f"The file cannot be examined. {error}", "file_too_large") from None


def get_file(context: ServerContext, key: ApiKey, file_id: str) -> Row:
    """The row of a file that the key may see. Raises ApiError 404."""
    with context.engine.connect() as connection:
        row = connection.execute(sa.select(files).where(files.c.id == file_id)).mappings().first()
    if row is None or not key.sees(row["owner"]):
        raise not_found("file", file_id)
    return row


def delete_file(context: ServerContext, key: ApiKey, file_id: str) -> None:
    """Removes a file. Raises ApiError: 404, and 409 while a job or a character needs it."""
    row = get_file(context, key, file_id)
    with context.engine.begin() as connection:
        if file_id in needed_files(connection):
            raise ApiError(409, f"A job that is not finished or a character needs {file_id}.", "file_in_use")
        connection.execute(sa.delete(files).where(files.c.id == file_id))
    context.path(row["file"]).unlink(missing_ok=True)


def _check_room(context: ServerContext, key: ApiKey) -> None:
    most = context.settings.limits.max_files_per_key
    query = sa.select(sa.func.count()).select_from(files).where(files.c.owner == key.id)
    with context.engine.connect() as connection:
        if connection.execute(query).scalar_one() >= most:
            raise ApiError(409, f"This key has {most:,} files; delete some.", "too_many_files")


def copy_upload(content: BinaryIO, target: Path, max_bytes: int) -> tuple[int, str]:
    """Copies a file; its size and hash. Raises ApiError 413."""
    size, sha256 = 0, hashlib.sha256()
    with target.open("wb") as file:
        while chunk := content.read(_CHUNK_BYTES):
            size += len(chunk)
            if size > max_bytes:
                raise ApiError(413, f"A file has at most {max_bytes / 1e6:.0f} MB.", "file_too_large")
            sha256.update(chunk)
            file.write(chunk)
    if not size:
        raise ApiError(400, "The file is empty.", "invalid_file")
    return size, sha256.hexdigest()


def _clean(filename: str) -> str:
    """The name without folders and control characters; it is shown, and never used as a path."""
    name = filename.replace("\\", "/").rpartition("/")[2]
    return "".join(character for character in name if character.isprintable())[:200] or "upload"
