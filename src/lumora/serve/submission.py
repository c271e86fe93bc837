"""From a checked body to stored jobs: inputs, checks, rows and tickets. Every route that makes a video ends here."""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel

from lumora.serve.api_key import ApiKey
from lumora.serve.bodies import read_body
from lumora.serve.characters import with_characters
from lumora.serve.context import ServerContext
from lumora.serve.errors import ApiError
from lumora.serve.job_inputs import input_paths, store_uploads
from lumora.serve.jobs import JobSpec
from lumora.serve.schemas import MAX_SEED, CommonFields, VideoObject, VideoPatch
from lumora.serve.video_objects import video_object
from lumora.service.prompt_expander import check_expandable, load_expander

Body = TypeVar("Body", bound=BaseModel)
MAX_IDEMPOTENCY_KEY = 255


@dataclass(frozen=True)
class Submission:
    """A job as a route understood it, before it is checked."""

    spec: JobSpec
    model: str | None = None
    n: int = 1
    has_seed: bool = True
    priority: int = 0
    tags: Sequence[str] = ()
    title: str | None = None
    remixed_from_video_id: str | None = None
    character_ids: Sequence[str] = ()
    expand: bool = False
    """Whether the prompt is expanded."""


def submission_of(body: CommonFields, spec: JobSpec, remixed_from_video_id: str | None = None) -> Submission:
    """A job with the fields that all requests have; `spec` has those of its task."""
    spec = replace(
        spec,
        size=body.size,
        fps=body.fps,
        seed=body.seed or 0,
        negative_prompt=body.negative_prompt,
        num_inference_steps=body.num_inference_steps,
        guidance_scale=body.guidance_scale,
    )
    return Submission(
        spec,
        body.model,
        body.n,
        body.seed is not None,
        body.priority,
        tuple(body.tags),
        body.title,
        remixed_from_video_id,
    )


async def parsed_body(request: Request, context: ServerContext, key: ApiKey, schema: type[Body]) -> Body:
    """The body as a schema; its uploads are stored. Raises pydantic's ValidationError (400) for a wrong field."""
    body = await read_body(request)
    check_idempotency_key(request)
    schema.model_validate(_without_uploads(body))
    return schema.model_validate(await run_in_threadpool(store_uploads, context, key, body))


async def submit(request: Request, context: ServerContext, key: ApiKey, submission: Submission) -> VideoObject:
    """Checks and stores the jobs of a request; answers the first. Raises ApiError for what is refused."""
    return await run_in_threadpool(_submit, request, context, key, submission)


def _submit(request: Request, context: ServerContext, key: ApiKey, submission: Submission) -> VideoObject:
    model = _model(context, submission.model)
    spec = replace(submission.spec, model=model)
    spec, has_seed = with_characters(context, key, spec, submission.character_ids, submission.has_seed)
    if not has_seed:
        spec = replace(spec, seed=secrets.randbelow(2**31))
    checked = _checked(context, key, spec)
    if submission.expand:
        spec = _expanded(spec)
        checked = _checked(context, key, spec)
    rows = [
        _row(key, replace(spec, seed=(spec.seed + number) % (MAX_SEED + 1)), submission, checked)
        for number in range(submission.n)
    ]
    if submission.n > 1:
        group_id = f"group_{secrets.token_hex(8)}"
        rows = [{**row, "group_id": group_id} for row in rows]
    idempotency_key = request.headers.get("idempotency-key")
    if idempotency_key:
        body_hash = _hash(submission, request.url.path)
        rows[0] |= {"idempotency_key": idempotency_key, "idempotency_hash": body_hash}
    stored = context.queue.add(key, rows)
    variations = [row["id"] for row in stored] if len(stored) > 1 else None
    return video_object(stored[0], context.store.estimates(), variations)


def change(context: ServerContext, key: ApiKey, video_id: str, body: VideoPatch) -> VideoObject:
    """Changes a video, and a waiting job after it was checked anew. Raises ApiError 409 for one that does not wait."""
    row = context.store.get(video_id, key)
    said = body.model_dump(exclude_unset=True)
    values = {name: said[name] for name in ("favorite", "tags", "title", "priority") if said.get(name) is not None}
    if "title" in said:
        values["title"] = said["title"]
    asked = {name: said[name] for name in ("prompt", "seconds", "size", "seed") if said.get(name) is not None}
    if asked:
        spec = replace(JobSpec.from_json(row["spec"]), **asked)
        spec = replace(spec, original_prompt="") if "prompt" in asked else spec
        values |= _asked_values(spec, _checked(context, key, spec))
    queued_only = bool(asked) or "priority" in values
    if values and not context.store.change(video_id, queued_only, **values):
        raise ApiError(409, f"{video_id} does not wait any more, so it cannot be changed.", "not_queued")
    changed = context.store.get(video_id, key)
    return video_object(changed, context.store.estimates())


def _checked(context: ServerContext, key: ApiKey, spec: JobSpec) -> dict[str, Any]:
    """What the checker says of a job; raises its ApiError."""
    paths = input_paths(context, key, spec.input_ids)
    return context.checker.call(
        "check_job", spec=spec.to_json(), paths={name: str(path) for name, path in paths.items()}
    )


def _expanded(spec: JobSpec) -> JobSpec:
    """The job with its prompt expanded, after the prompt was checked. Raises ApiError for one that is not expanded, and
    where the language model that the settings name does not answer."""
    try:
        check_expandable(bool(spec.shots), bool(spec.references or spec.cast))
    except ValueError as error:
        raise ApiError(400, str(error), "invalid_value", "expand") from None
    try:
        prompt = load_expander().expand(spec.prompt, spec.seed)
    except ValueError as error:
        raise ApiError(503, str(error), "expander_failed", headers={"Retry-After": "5"}) from None
    return replace(spec, prompt=prompt, original_prompt=spec.prompt)


def expanded_prompt(context: ServerContext, key: ApiKey, prompt: str, seed: int) -> str:
    """A prompt with details that it leaves open. Raises the ApiError that a video of either prompt would get."""
    spec, _ = with_characters(context, key, JobSpec("text", prompt, model=_model(context, None), seed=seed))
    _checked(context, key, spec)
    spec = _expanded(spec)
    _checked(context, key, spec)
    return spec.prompt


def check_idempotency_key(request: Request) -> None:
    key = request.headers.get("idempotency-key")
    if key is not None and not 0 < len(key) <= MAX_IDEMPOTENCY_KEY:
        raise ApiError(400, f"An Idempotency-Key has 1 to {MAX_IDEMPOTENCY_KEY} characters.", param="Idempotency-Key")


def _model(context: ServerContext, name: str | None) -> str:
    try:
        return context.models.resolve(name)
    except KeyError:
        known = ", ".join(repr(served) for served in context.models.names)
        raise ApiError(
            400, f"There is no model {name!r}; this server has {known}.", "model_not_found", "model"
        ) from None


def _row(key: ApiKey, spec: JobSpec, submission: Submission, checked: dict[str, Any]) -> dict[str, Any]:
    now = time.time()
    return {
        "id": f"video_{secrets.token_hex(16)}",
        "owner": key.id,
        "status": "queued",
        "created_at": now,
        "task": spec.task,
        "model": spec.model if submission.model is None else submission.model,
        "parent_video_ids": spec.parent_video_ids,
        "remixed_from_video_id": submission.remixed_from_video_id,
        "priority": submission.priority,
        "queue_order": now,
        "tags": list(submission.tags),
        "title": submission.title,
        "progress": 0,
        "step": 0,
        "total_steps": 0,
        "attempts": 0,
        "favorite": False,
        "deleting": False,
        **_asked_values(spec, checked),
    }


def _asked_values(spec: JobSpec, checked: dict[str, Any]) -> dict[str, Any]:
    """Columns that follow from what is asked for and from what the checker says of it."""
    made = checked["made"]
    return {
        "prompt": spec.original_prompt or spec.prompt or " ".join(shot.prompt for shot in spec.shots),
        "seconds": f"{checked['seconds']:g}",
        "size": spec.size or made["size"],
        "seed": spec.seed,
        "spec": spec.to_json(),
        "made": made,
        "warnings": checked["warnings"],
        "work": checked["work"],
        "batch_key": checked["batch_key"],
    }


def _hash(submission: Submission, path: str) -> str:
    """Of what a request asks for, so that an Idempotency-Key of another request is noticed."""
    spec = submission.spec if submission.has_seed else replace(submission.spec, seed=0)
    said = [path, spec.to_json(), submission.model, submission.n, submission.priority, list(submission.tags)]
    said += [submission.expand] if submission.expand else []
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def _without_uploads(body: Any) -> Any:
    """The body with a reference in place of each upload, to be validated before anything is stored."""
    if isinstance(body, dict):
        return {name: _without_uploads(value) for name, value in body.items()}
    if isinstance(body, list):
        return [_without_uploads(item) for item in body]
    return {"file_id": "file_upload"} if hasattr(body, "filename") else body
