"""The inputs of a request's body: uploads are stored, ids are looked up, and all of them become paths."""

from __future__ import annotations

import base64
import binascii
import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from starlette.datastructures import UploadFile

from lumora.serve.api_key import ApiKey
from lumora.serve.context import ServerContext
from lumora.serve.database import files
from lumora.serve.errors import ApiError, not_found
from lumora.serve.schemas import MediaReference
from lumora.serve.uploads import add_file

_DATA_URI = re.compile(r"data:[\w.+-]+/[\w.+-]+;base64,(.*)", re.DOTALL)


def store_uploads(context: ServerContext, key: ApiKey, body: Any) -> Any:
    """The body with a reference `{"file_id": …}` in place of each uploaded file and data URI."""
    if isinstance(body, UploadFile):
        return {"file_id": add_file(context, key, body.file, body.filename or "upload")}
    if isinstance(body, dict):
        uri = body.get("image_url")
        if isinstance(uri, str):
            rest = {name: value for name, value in body.items() if name != "image_url"}
            return {**rest, "file_id": add_file(context, key, io.BytesIO(_decoded(uri)), "image")}
        return {name: store_uploads(context, key, value) for name, value in body.items()}
    return [store_uploads(context, key, item) for item in body] if isinstance(body, list) else body


def input_id(reference: MediaReference) -> str:
    """The id of a video or a file that a reference names. Raises ApiError 400 for a data URI that was not stored."""
    found = reference.file_id or reference.video_id or reference.id
    if found is None:  # in a form, within a text, where `store_uploads` does not look
        raise ApiError(400, "Give a data URI in a JSON body or as field[image_url] of a form.", param="image_url")
    return found


def input_paths(context: ServerContext, key: ApiKey, ids: Sequence[str]) -> dict[str, Path]:
    """The files of finished videos and uploads. Raises ApiError 404 for unknown ones, 409 for unfinished videos."""
    return {object_id: _input_path(context, key, object_id) for object_id in ids}


def _input_path(context: ServerContext, key: ApiKey, object_id: str) -> Path:
    if object_id.startswith("video_"):
        row = context.store.get(object_id, key)
        if row["status"] != "completed":
            raise ApiError(409, f"{object_id} is not finished; wait until it is.", "video_not_ready")
        return context.path(row["file"])
    with context.engine.connect() as connection:
        row = connection.execute(sa.select(files).where(files.c.id == object_id)).mappings().first()
    if row is None or not key.sees(row["owner"]):
        raise not_found("file", object_id)
    return context.path(row["file"])


def _decoded(uri: str) -> bytes:
    match = _DATA_URI.fullmatch(uri.strip())
    if not match:
        message = "Give a picture as a data URI, such as data:image/png;base64,…; nothing is fetched from an address."
        raise ApiError(400, message, param="image_url")
    try:
        return base64.b64decode(match[1], validate=True)
    except binascii.Error:
        raise ApiError(400, "The data URI is not base64.", param="image_url") from None
