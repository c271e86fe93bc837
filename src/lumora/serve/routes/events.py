"""`GET /v1/events`: one stream of server-sent events for everything that a client may see."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header
from fastapi.responses import StreamingResponse
from fastapi.sse import format_sse_event

from lumora.serve.context import Context
from lumora.serve.events import StreamEvent, parsed_event_id
from lumora.serve.keys import Reader

router = APIRouter(tags=["events"])
KEEP_ALIVE_SECONDS = 15.0


@router.get("/v1/events", response_class=StreamingResponse, responses={200: {"content": {"text/event-stream": {}}}})
async def stream_events(
    context: Context, key: Reader, last_event_id: Annotated[str | None, Header()] = None
) -> StreamingResponse:
    """Events `video.updated` (the object), `video.deleted`, `video.preview` and `queue.updated`.

    With the header Last-Event-ID the stream continues after that event.
    """
    after = parsed_event_id(last_event_id)
    lines = _lines(context.broker.subscribe(key, after))
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(lines, media_type="text/event-stream", headers=headers)


async def _lines(events: AsyncIterator[StreamEvent]) -> AsyncIterator[bytes]:
    """Encoded events, and a comment where there is none for long, so that proxies keep the connection."""
    yield b"retry: 1000\n\n"
    pending = asyncio.ensure_future(anext(events))
    try:
        while True:
            done, _ = await asyncio.wait({pending}, timeout=KEEP_ALIVE_SECONDS)
            if not done:
                yield b": keep-alive\n\n"
                continue
            try:
                event = pending.result()
            except StopAsyncIteration:
                return
            number = None if event.number is None else str(event.number)
            yield format_sse_event(data_str=json.dumps(event.data), event=event.type, id=number)
            pending = asyncio.ensure_future(anext(events))
    finally:
        pending.cancel()
