"""Videos that are made from videos: remixes, edits, extensions, connections, infills, loops and cuts."""

from __future__ import annotations

from fastapi import APIRouter, Request

from lumora.serve.bodies import openapi_body
from lumora.serve.context import Context
from lumora.serve.job_inputs import input_id
from lumora.serve.jobs import JobSpec, JobTask, SegmentSpec
from lumora.serve.keys import Creator
from lumora.serve.schemas import (
    ConnectionBody,
    CutBody,
    EditBody,
    ExtensionBody,
    InfillBody,
    LoopBody,
    MediaReference,
    RemixBody,
    VideoObject,
)
from lumora.serve.submission import Submission, parsed_body, submission_of, submit

router = APIRouter(prefix="/v1/videos", tags=["videos from videos"])


@router.post("/edits", openapi_extra=openapi_body("EditBody"))
async def edit_video(request: Request, context: Context, key: Creator) -> VideoObject:
    """Changes in a video only what the prompt says."""
    body = await parsed_body(request, context, key, EditBody)
    spec = JobSpec(
        "edit",
        body.prompt,
        videos=(input_id(body.video),),
        strength=body.strength,
        source_prompt=body.source_prompt,
    )
    return await submit(request, context, key, submission_of(body, spec))


@router.post("/extensions", openapi_extra=openapi_body("ExtensionBody"))
async def extend_video(request: Request, context: Context, key: Creator) -> VideoObject:
    """Makes a video longer, after its end or before its beginning. `seconds` of the answer is the whole duration."""
    body = await parsed_body(request, context, key, ExtensionBody)
    task: JobTask = "extend" if body.direction == "forward" else "extend_backward"
    spec = JobSpec(task, body.prompt, videos=(input_id(body.video),), seconds=body.seconds)
    return await submit(request, context, key, submission_of(body, spec))


@router.post("/connections", openapi_extra=openapi_body("ConnectionBody"))
async def connect_videos(request: Request, context: Context, key: Creator) -> VideoObject:
    """Generates what lies between two videos."""
    body = await parsed_body(request, context, key, ConnectionBody)
    spec = JobSpec("connect", body.prompt, videos=tuple(map(input_id, body.videos)), seconds=body.seconds)
    return await submit(request, context, key, submission_of(body, spec))


@router.post("/infills", openapi_extra=openapi_body("InfillBody"))
async def infill_video(request: Request, context: Context, key: Creator) -> VideoObject:
    """Generates a part of a video again, or the frames that a higher frame rate needs."""
    body = await parsed_body(request, context, key, InfillBody)
    spec = JobSpec("infill", body.prompt, videos=(input_id(body.video),), start=body.start, end=body.end)
    return await submit(request, context, key, submission_of(body, spec))


@router.post("/loops", openapi_extra=openapi_body("LoopBody"))
async def loop_video(request: Request, context: Context, key: Creator) -> VideoObject:
    """Leads the end of a video back to its beginning."""
    body = await parsed_body(request, context, key, LoopBody)
    spec = JobSpec("loop", body.prompt, videos=(input_id(body.video),), seconds=body.seconds)
    return await submit(request, context, key, submission_of(body, spec))


@router.post("/cuts", openapi_extra=openapi_body("CutBody"))
async def cut_videos(request: Request, context: Context, key: Creator) -> VideoObject:
    """Trims, splits or joins finished videos without a model; the result is reviewed and signed again."""
    body = await parsed_body(request, context, key, CutBody)
    segments = tuple(SegmentSpec(input_id(part.video), part.start, part.end) for part in body.segments)
    submission = Submission(
        JobSpec("cut", segments=segments), priority=body.priority, tags=tuple(body.tags), title=body.title
    )
    return await submit(request, context, key, submission)


@router.post("/{video_id}/remix", openapi_extra=openapi_body("RemixBody"))
async def remix_video(video_id: str, request: Request, context: Context, key: Creator) -> VideoObject:
    """A new version of a finished video: a stronger edit."""
    body = await parsed_body(request, context, key, RemixBody)
    spec = JobSpec("remix", body.prompt, videos=(input_id(MediaReference(video_id=video_id)),), strength=body.strength)
    return await submit(request, context, key, submission_of(body, spec, remixed_from_video_id=video_id))
