"""`/v1/queue`: what waits, and in which order."""

from __future__ import annotations

from fastapi import APIRouter

from lumora.serve.context import Context
from lumora.serve.keys import Creator, Reader
from lumora.serve.routes.videos import video_list
from lumora.serve.schemas import Reorder, VideoList

router = APIRouter(prefix="/v1/queue", tags=["queue"])


@router.get("")
def list_queue(context: Context, key: Reader) -> VideoList:
    """The own videos that wait, in the order in which they are made."""
    return video_list(context, [row for row in context.store.queued() if key.sees(row["owner"])])


@router.post("/reorder")
def reorder_queue(body: Reorder, context: Context, key: Creator) -> VideoList:
    """Puts own waiting videos into a new order; they share the places that they have now."""
    context.queue.reorder(key, body.ids)
    return list_queue(context, key)
