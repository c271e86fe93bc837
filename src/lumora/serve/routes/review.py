"""Reports of published videos, appeals against refused prompts, and the reviewer's queue."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

import sqlalchemy as sa
from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from lumora.provenance.manifest import read
from lumora.safety.verdict import Score, Verdict
from lumora.serve.bodies import body_of, openapi_body
from lumora.serve.context import Context, ServerContext
from lumora.serve.database import videos
from lumora.serve.errors import ApiError
from lumora.serve.keys import Creator, Reader, Reviewer
from lumora.serve.schemas import Prompt, Strict
from lumora.service.feedback import MAX_CHARACTERS, Complaint, ComplaintKind, Feedback, FeedbackCase, Ruling, appeal
from lumora.service.feedback import report_record as report_of

router = APIRouter(prefix="/v1", tags=["review"])

Reason: TypeAlias = Annotated[str, Field(min_length=1, max_length=MAX_CHARACTERS)]


class ReportBody(Strict):
    reason: Reason
    allow_training: bool = False


class AppealBody(Strict):
    prompt: Annotated[Prompt, Field(min_length=1)]
    reason: Reason
    allow_training: bool = False


class RulingBody(Strict):
    ruling: Ruling
    note: Annotated[str, Field(max_length=MAX_CHARACTERS)] = ""
    category: Annotated[str, Field(max_length=60)] | None = None
    """The category of something harmful."""


class ComplaintReceipt(BaseModel):
    id: str
    object: Literal["complaint"] = "complaint"
    kind: ComplaintKind
    created_at: str


class ReviewDecision(BaseModel):
    created_at: str
    ruling: Ruling
    note: str
    category: str | None


class ReviewCase(BaseModel):
    id: str
    object: Literal["review_case"] = "review_case"
    kind: ComplaintKind
    created_at: str
    prompt: str
    reason: str
    allow_training: bool
    refused: list[str]
    """Of an appeal: the categories for which the prompt was refused."""
    video_id: str | None
    """Of a report, while the video exists."""
    record: str | None
    policy: str
    decision: ReviewDecision | None


class ReviewList(BaseModel):
    object: Literal["list"] = "list"
    data: list[ReviewCase]


class RefusedVideo(BaseModel):
    """A video whose frames were refused. It was never stored."""

    id: str
    object: Literal["refused_video"] = "refused_video"
    created_at: int
    prompt: str
    message: str


class RefusedList(BaseModel):
    object: Literal["list"] = "list"
    data: list[RefusedVideo]


@router.post("/videos/{video_id}/report", openapi_extra=openapi_body("ReportBody"))
def report_video(
    video_id: str, context: Context, key: Reader, body: Annotated[ReportBody, body_of(ReportBody)]
) -> ComplaintReceipt:
    """Reports a published video to the reviewers."""
    row = context.store.get(video_id, key)
    if row["status"] != "completed":
        raise ApiError(409, f"{video_id} was not published, so there is nothing to report.", "video_not_ready")
    recipe = read(context.path(row["file"])).recipe
    return _add(lambda: report_of(recipe, body.reason, body.allow_training))


@router.post("/appeals", openapi_extra=openapi_body("AppealBody"))
def appeal_refusal(
    context: Context, key: Creator, body: Annotated[AppealBody, body_of(AppealBody)]
) -> ComplaintReceipt:
    """Appeals against the refusal of a harmless prompt. Raises 400 for a prompt that is not refused."""
    checked = context.checker.call("check_prompt", prompt=body.prompt)
    scores = {name: Score(score["value"], score["source"]) for name, score in checked["scores"].items()}
    verdict = Verdict(scores, tuple(checked["refused"]), checked["failure"])
    return _add(lambda: appeal(body.prompt, verdict, checked["policy"], body.reason, body.allow_training))


@router.get("/review")
def list_cases(
    context: Context,
    key: Reviewer,
    state: Literal["open", "decided", "all"] = "open",
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> ReviewList:
    """Reports and appeals, the oldest first."""
    wanted = {"open": (False,), "decided": (True,), "all": (False, True)}[state]
    cases = [case for case in Feedback().cases() if (case.decision is not None) in wanted][:limit]
    ids = _video_ids(context, [case.complaint for case in cases])
    return ReviewList(data=[_case(case, ids) for case in cases])


@router.get("/review/refused")
def list_refused(context: Context, key: Reviewer, limit: Annotated[int, Query(ge=1, le=500)] = 100) -> RefusedList:
    """Videos of all keys whose frames were refused, the newest first."""
    refused = (videos.c.error_code == "content_filter") & videos.c.deleting.is_(False)
    query = sa.select(videos).where(refused).order_by(videos.c.number.desc()).limit(limit)
    with context.engine.connect() as connection:
        rows = connection.execute(query).mappings().all()
    return RefusedList(
        data=[
            RefusedVideo(
                id=row["id"],
                created_at=int(row["created_at"]),
                prompt=row["prompt"],
                message=row["error_message"],
            )
            for row in rows
        ]
    )


@router.post("/review/{case_id}", openapi_extra=openapi_body("RulingBody"))
def decide_case(
    case_id: str, context: Context, key: Reviewer, body: Annotated[RulingBody, body_of(RulingBody)]
) -> ReviewCase:
    """Decides a case, once: whether lumora was right to refuse or to publish."""
    try:
        case = Feedback().decide(case_id, body.ruling, body.note, body.category)
    except ValueError as error:
        raise _complaint_error(case_id, error) from None
    return _case(case, _video_ids(context, [case.complaint]))


def _complaint_error(case_id: str, error: ValueError) -> ApiError:
    known = {case.complaint.id: case for case in Feedback().cases()}.get(case_id)
    status = 404 if known is None else 409 if known.decision else 400
    return ApiError(status, f"There is no case {case_id!r}." if known is None else str(error))


def _add(make: Any) -> ComplaintReceipt:
    try:
        complaint = make()
    except ValueError as error:
        raise ApiError(400, str(error)) from None
    Feedback().add(complaint)
    return ComplaintReceipt(id=complaint.id, kind=complaint.kind, created_at=complaint.created_at)


def _video_ids(context: ServerContext, complaints: list[Complaint]) -> dict[str, str]:
    """The videos of records, as far as they exist."""
    records = [complaint.record for complaint in complaints if complaint.record]
    if not records:
        return {}
    query = sa.select(videos.c.record, videos.c.id).where(videos.c.record.in_(records), videos.c.deleting.is_(False))
    with context.engine.connect() as connection:
        return dict(connection.execute(query).tuples().all())


def _case(case: FeedbackCase, video_ids: dict[str, str]) -> ReviewCase:
    complaint, decision = case.complaint, case.decision
    return ReviewCase(
        id=complaint.id,
        kind=complaint.kind,
        created_at=complaint.created_at,
        prompt=complaint.prompt,
        reason=complaint.reason,
        allow_training=complaint.allow_training,
        refused=list(complaint.refused),
        video_id=video_ids.get(complaint.record or ""),
        record=complaint.record,
        policy=complaint.policy,
        decision=None if decision is None else ReviewDecision(**{k: v for k, v in vars(decision).items() if k != "id"}),
    )
