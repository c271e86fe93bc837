"""`/v1/files`: images and videos that were uploaded."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse
from pydantic import BaseModel
from starlette.datastructures import UploadFile

from lumora.serve.bodies import FILE_FORM, read_body
from lumora.serve.context import Context
from lumora.serve.database import Row
from lumora.serve.errors import ApiError
from lumora.serve.keys import Creator, MediaReader, Reader
from lumora.serve.signed_urls import signed_url
from lumora.serve.uploads import add_file, delete_file, get_file

router = APIRouter(prefix="/v1/files", tags=["files"])

FILE_BODY: dict[str, Any] = {"requestBody": {"required": True, "content": FILE_FORM}}


class FileObject(BaseModel):
    id: str
    object: Literal["file"] = "file"
    created_at: int
    expires_at: int | None
    bytes: int
    filename: str
    kind: Literal["image", "video"]
    width: int
    height: int
    seconds: float | None
    warnings: list[str]
    provenance: dict[str, Any]
    url: str


class FileDeleted(BaseModel):
    id: str
    object: Literal["file.deleted"] = "file.deleted"
    deleted: Literal[True] = True


@router.post("", openapi_extra=FILE_BODY)
async def upload_file(request: Request, context: Context, key: Creator) -> FileObject:
    """Stores an image or a video. It is decoded first, with limits on bytes, pixels, duration and tracks."""
    upload = (await read_body(request)).get("file")
    if not isinstance(upload, UploadFile):
        raise ApiError(400, "Send the file as multipart/form-data, in the field file.", param="file")
    file_id = await run_in_threadpool(add_file, context, key, upload.file, upload.filename or "upload")
    return await run_in_threadpool(get_upload, file_id, context, key)


@router.get("/{file_id}")
def get_upload(file_id: str, context: Context, key: Reader) -> FileObject:
    """One file."""
    return file_object(get_file(context, key, file_id))


@router.delete("/{file_id}")
def delete_upload(file_id: str, context: Context, key: Creator) -> FileDeleted:
    """Removes a file. Raises 409 while a job that is not finished or a character needs it."""
    delete_file(context, key, file_id)
    return FileDeleted(id=file_id)


@router.get("/{file_id}/content", response_class=FileResponse)
def upload_content(file_id: str, context: Context, key: MediaReader) -> FileResponse:
    """The bytes, as they were uploaded."""
    row = get_file(context, key, file_id)
    path = context.path(row["file"])
    if not path.is_file():
        raise ApiError(404, "The content of this file is gone.")
    headers = {"Cache-Control": "private, max-age=3600"}
    return FileResponse(
        path,
        media_type=row["mime"],
        filename=row["filename"],
        content_disposition_type="inline",
        headers=headers,
    )


def file_object(row: Row) -> FileObject:
    return FileObject(
        id=row["id"],
        created_at=int(row["created_at"]),
        expires_at=None if row["expires_at"] is None else int(row["expires_at"]),
        bytes=row["bytes"],
        filename=row["filename"],
        kind=row["kind"],
        width=row["width"],
        height=row["height"],
        seconds=row["seconds"],
        warnings=row["warnings"],
        provenance=row["provenance"],
        url=signed_url(f"/v1/files/{row['id']}/content"),
    )
