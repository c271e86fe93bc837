"""`/v1/videos`: create, list, retrieve, change, cancel, delete, download."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import sqlalchemy as sa
from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse

from lumora.serve.bodies import openapi_body
from lumora.serve.context import Context, ServerContext
from lumora.serve.database import Row, videos
from lumora.serve.errors import ApiError
from lumora.serve.job_inputs import input_id
from lumora.serve.jobs import JobSpec, JobTask, ReferenceSpec, ShotSpec
from lumora.serve.keys import Creator, MediaReader, Reader
from lumora.serve.media_variants import SPRITESHEET, THUMBNAIL
from lumora.serve.schemas import Reference, Status, VideoCreate, VideoDeleted, VideoList, VideoObject, VideoPatch
from lumora.serve.submission import Submission, change, parsed_body, submission_of, submit
from lumora.serve.video_objects import video_object
from lumora.serve.video_store import ACTIVE

router = APIRouter(prefix="/v1/videos", tags=["videos"])

POLL_AFTER_MS = "500"
"""The SDKs poll again after so many milliseconds."""
Variant = Literal["video", "thumbnail", "spritesheet"]
Format = Literal["mp4", "gif", "webp"]
MEDIA_TYPES = {".mp4": "video/mp4", ".gif": "image/gif", ".webp": "image/webp", ".jpg": "image/jpeg"}


@router.post("", openapi_extra=openapi_body("VideoCreate"))
async def create_video(request: Request, context: Context, key: Creator) -> VideoObject:
    """Makes a video from a prompt, an image, references on a time line, or the shots of a storyboard."""
    body = await parsed_body(request, context, key, VideoCreate)
    return await submit(request, context, key, _submission(body))


def _submission(body: VideoCreate) -> Submission:
    references = [_reference(reference) for reference in body.references]
    if body.input_reference is not None:
        references.insert(0, ReferenceSpec(input_id(body.input_reference)))
    spec = JobSpec(
        task="shots" if body.shots else "image" if references else "text",
        prompt=body.prompt,
        seconds=body.seconds,
        loop=body.loop,
        shots=tuple(ShotSpec(shot.prompt, shot.seconds, shot.hard_cut) for shot in body.shots),
        references=tuple(references),
    )
    ids = tuple(character.id for character in body.characters)
    return replace(submission_of(body, spec), character_ids=ids, expand=body.expand)


def _reference(reference: Reference) -> ReferenceSpec:
    start = {"start": 0.0, "end": None}.get(str(reference.position), reference.position)
    assert start is None or isinstance(start, float)
    name = reference.file_id or reference.video_id or ""
    return ReferenceSpec(name, start, reference.shot_index, whole_clip=reference.video_id is not None)


@router.get("")
def list_videos(
    context: Context,
    key: Reader,
    after: str | None = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    order: Literal["asc", "desc"] = "desc",
    status: Status | None = None,
    q: Annotated[str | None, Query(max_length=200)] = None,
    tag: Annotated[str | None, Query(max_length=60)] = None,
    favorite: bool | None = None,
    task: JobTask | None = None,
) -> VideoList:
    """The own videos, the newest first; `after` is the last id of the page before."""
    where: list[sa.ColumnElement[bool]] = []
    if status is not None:
        where.append(videos.c.status == status)
    if task is not None:
        where.append(videos.c.task == task)
    if favorite is not None:
        where.append(videos.c.favorite.is_(favorite))
    if q:
        where.append(
            sa.or_(videos.c.prompt.icontains(q, autoescape=True), videos.c.title.icontains(q, autoescape=True))
        )
    if tag is not None:
        where.append(sa.cast(videos.c.tags, sa.Text).contains(_json_text(tag), autoescape=True))
    rows, has_more = context.store.page(key, after, limit, order == "asc", where)
    return video_list(context, rows, has_more)


def video_list(context: ServerContext, rows: Sequence[Row], has_more: bool = False) -> VideoList:
    estimates = context.store.estimates() if any(row["status"] in ACTIVE for row in rows) else None
    data = [video_object(row, estimates) for row in rows]
    return VideoList(
        data=data, has_more=has_more, first_id=data[0].id if data else None, last_id=data[-1].id if data else None
    )


@router.get("/{video_id}")
def get_video(video_id: str, context: Context, key: Reader, response: Response) -> VideoObject:
    """One video. A job that failed is a video with status `failed`, not an error."""
    row = context.store.get(video_id, key)
    response.headers["openai-poll-after-ms"] = POLL_AFTER_MS
    variations = context.store.group(row["group_id"]) if row["group_id"] else None
    return video_object(row, context.store.recent_estimates() if row["status"] in ACTIVE else None, variations)


@router.patch("/{video_id}")
async def change_video(video_id: str, body: VideoPatch, context: Context, key: Creator) -> VideoObject:
    """Changes `favorite`, `tags` and `title` at any time, and what is asked for while the job waits.

    Raises 409 if the job does not wait any more.
    """
    return await run_in_threadpool(change, context, key, video_id, body)


@router.post("/{video_id}/cancel")
def cancel_video(video_id: str, context: Context, key: Creator) -> VideoObject:
    """Stops a job that waits or runs, within one denoising step. Raises 409 if it is finished."""
    row = context.store.get(video_id, key)
    if not context.store.cancel(video_id) and row["error_code"] != "cancelled":
        raise ApiError(409, f"{video_id} is finished, so there is nothing to cancel.", "not_active")
    return video_object(context.store.get(video_id, key))


@router.delete("/{video_id}")
def delete_video(video_id: str, context: Context, key: Creator) -> VideoDeleted:
    """Removes a video and its files; a running job is stopped."""
    context.store.get(video_id, key)
    context.store.delete(video_id)
    return VideoDeleted(id=video_id)


@router.get("/{video_id}/content", response_class=FileResponse)
@router.head("/{video_id}/content", response_class=FileResponse, operation_id="video_content_head")
def video_content(
    video_id: str, context: Context, key: MediaReader, variant: Variant = "video", format: Format = "mp4"
) -> FileResponse:
    """The video as mp4, gif or webp, a thumbnail (webp), or a sprite sheet (jpg). Answers ranges."""
    row = context.store.get(video_id, key)
    if row["status"] != "completed":
        raise ApiError(409, f"{video_id} is not finished: its status is {row['status']!r}.", "video_not_ready")
    path = context.path(row["file"])
    if variant != "video":
        path = path.with_name(THUMBNAIL if variant == "thumbnail" else SPRITESHEET)
    elif format != "mp4":
        path = _converted(context, path, format)
    return _file(path, f"{video_id}{path.suffix}")


def _converted(context: ServerContext, path: Path, format: Format) -> Path:
    """The video in another format, which is made when it is asked for the first time."""
    converted = path.with_suffix(f".{format}")
    if not converted.is_file():
        context.checker.call("convert_video", source=str(path), destination=str(converted))
    return converted


def _file(path: Path, filename: str) -> FileResponse:
    if not path.is_file():
        raise ApiError(404, "The file of this video is gone.")
    headers = {"Cache-Control": "private, max-age=3600"}
    return FileResponse(
        path, media_type=MEDIA_TYPES[path.suffix], filename=filename, content_disposition_type="inline", headers=headers
    )


def _json_text(text: str) -> str:
    """A text as it stands in a JSON list."""
    return json.dumps(text)
