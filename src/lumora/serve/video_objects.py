"""From a row to the object that clients receive."""

from __future__ import annotations

from typing import Any

from lumora.serve.schemas import MadeVideo, VideoFailure, VideoObject, VideoUrls
from lumora.serve.signed_urls import signed_url
from lumora.serve.video_store import Estimates, Row


def video_object(row: Row, estimates: Estimates | None = None, variations: list[str] | None = None) -> VideoObject:
    """The object of a row; `estimates` are needed for one that waits or runs."""
    position = None
    if estimates is not None and row["status"] == "queued" and row["id"] in estimates.queue:
        position = estimates.queue.index(row["id"]) + 1
    failed = row["status"] == "failed"
    return VideoObject(
        id=row["id"],
        created_at=int(row["created_at"]),
        completed_at=_whole(row["completed_at"]),
        expires_at=_whole(row["expires_at"]),
        error=VideoFailure(code=row["error_code"], message=row["error_message"]) if failed else None,
        model=row["model"],
        progress=row["progress"],
        prompt=row["prompt"],
        revised_prompt=row["spec"]["prompt"] if row["spec"].get("original_prompt") else None,
        remixed_from_video_id=row["remixed_from_video_id"],
        seconds=row["seconds"],
        size=row["size"],
        status=row["status"],
        task=row["task"],
        made=MadeVideo(**row["made"]) if row["made"] else None,
        warnings=row["warnings"],
        seed=row["seed"],
        group_id=row["group_id"],
        variations=variations,
        parent_video_ids=row["parent_video_ids"],
        queue_position=position,
        eta_seconds=estimates.eta_seconds(row) if estimates else None,
        favorite=row["favorite"],
        tags=row["tags"],
        title=row["title"],
        request=request_of(row["spec"]),
        urls=_urls(row["id"]) if row["status"] == "completed" else None,
    )


def request_of(spec: dict[str, Any]) -> dict[str, Any]:
    """A spec without what is not set: what a client fills a form with."""
    return {name: value for name, value in spec.items() if value not in (None, "", [], False)}


def _urls(video_id: str) -> VideoUrls:
    path = f"/v1/videos/{video_id}/content"
    return VideoUrls(
        video=signed_url(path),
        thumbnail=signed_url(path, variant="thumbnail"),
        spritesheet=signed_url(path, variant="spritesheet"),
    )


def _whole(seconds: float | None) -> int | None:
    return None if seconds is None else int(seconds)
