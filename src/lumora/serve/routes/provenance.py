"""`/v1/content_provenance_checks`: where does this file come from, and was it made here?"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any, Literal

import sqlalchemy as sa
from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel
from starlette.datastructures import UploadFile

from lumora.serve.api_key import ApiKey
from lumora.serve.bodies import FILE_FORM, read_body
from lumora.serve.context import Context, ServerContext
from lumora.serve.database import videos
from lumora.serve.errors import ApiError
from lumora.serve.job_inputs import input_paths
from lumora.serve.keys import Reader
from lumora.serve.uploads import copy_upload, in_sandbox, inspected

router = APIRouter(prefix="/v1/content_provenance_checks", tags=["provenance"])

CHECK_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            **FILE_FORM,
            "application/json": {
                "schema": {
                    "type": "object",
                    "properties": {"video_id": {"type": "string"}, "file_id": {"type": "string"}},
                }
            },
        },
    }
}


class ProvenanceCheck(BaseModel):
    object: Literal["content_provenance_check"] = "content_provenance_check"
    created_at: int
    results: list[dict[str, Any]]
    """Of the types c2pa, watermark and detector, each with `outcome` and, in words, `explanation`."""
    summary: str
    """The answer in one sentence."""
    manifest: dict[str, Any]
    """The tree of what the file and the files that it was made from say about themselves."""
    video_id: str | None
    """The own video that it is, if it is one."""


@router.post("", openapi_extra=CHECK_BODY)
async def check_provenance(request: Request, context: Context, key: Reader) -> ProvenanceCheck:
    """Examines a file, or a video or upload of this server: its manifest, the watermark, the detector.

    A file that is sent is not kept.
    """
    body = await read_body(request)
    upload = body.get("file")
    if isinstance(upload, UploadFile):
        return await run_in_threadpool(_check_upload, upload, context, key)
    object_id = body.get("video_id") or body.get("file_id")
    if not isinstance(object_id, str):
        raise ApiError(400, "Send a file, or the id of a video in video_id.", param="file")
    return await run_in_threadpool(_check_object, object_id, context, key)


def _check_upload(upload: UploadFile, context: ServerContext, key: ApiKey) -> ProvenanceCheck:
    with tempfile.NamedTemporaryFile(dir=context.settings.folder, prefix=".check-", suffix=".part") as file:
        path = Path(file.name)
        copy_upload(upload.file, path, context.settings.limits.max_upload_bytes)
        inspected(context, path)
        return _check(path, context, key)


def _check_object(object_id: str, context: ServerContext, key: ApiKey) -> ProvenanceCheck:
    return _check(input_paths(context, key, [object_id])[object_id], context, key)


def _check(path: Path, context: ServerContext, key: ApiKey) -> ProvenanceCheck:
    try:
        found = in_sandbox(context, "provenance_examination", "examine", path=str(path))
    except ValueError as error:
        raise ApiError(400, str(error), "invalid_file") from None
    return ProvenanceCheck(
        created_at=int(time.time()),
        results=found["results"],
        summary=found["summary"],
        manifest=found["manifest"],
        video_id=_own_video(found["record"], context, key),
    )


def _own_video(record: str | None, context: ServerContext, key: ApiKey) -> str | None:
    query = sa.select(videos.c.id, videos.c.owner).where(videos.c.record == record, videos.c.deleting.is_(False))
    with context.engine.connect() as connection:
        found = connection.execute(query).first() if record else None
    return found.id if found is not None and key.sees(found.owner) else None
