"""The event stream: what the database and the workers report is sent to every client that may see it.

Processes write rows into the table `events`; the broker reads them a few times a second. Previews come over a socket
from the workers of this machine and are stored nowhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from lumora.serve.api_key import ApiKey
from lumora.serve.database import events, videos
from lumora.serve.errors import ApiError
from lumora.serve.previews import UNWANTED, WANTED
from lumora.serve.video_objects import video_object
from lumora.serve.video_store import VideoStore

POLL_SECONDS = 0.2
KEPT_SECONDS = 3_600.0
"""Events are kept so long, for clients that come back with Last-Event-ID."""
MAX_WAITING = 1_000
"""Events that wait for a slow client; it is disconnected beyond that and comes back with Last-Event-ID."""
REREAD = 50
"""Numbers before the last one that are read again: PostgreSQL can commit them later."""
MAX_PREVIEW_BYTES = 1 << 20


@dataclass(frozen=True)
class StreamEvent:
    type: str
    owner: str
    data: dict[str, Any]
    number: int | None = None
    """Of the row; previews have none."""


class EventBroker:
    def __init__(self, engine: sa.Engine, store: VideoStore, preview_socket: str) -> None:
        self._engine, self._store, self._preview_socket = engine, store, preview_socket
        self._subscribers: dict[asyncio.Queue[StreamEvent | None], ApiKey] = {}
        self._workers: set[asyncio.StreamWriter] = set()
        self._last = 0
        self._seen: deque[int] = deque(maxlen=10 * REREAD)

    async def run(self) -> None:
        """Reads and sends until it is cancelled."""
        self._last = await asyncio.to_thread(self._newest)
        server = await asyncio.start_unix_server(self._receive_previews, self._preview_socket, limit=MAX_PREVIEW_BYTES)
        async with server:
            while True:
                await asyncio.sleep(POLL_SECONDS)
                if self._subscribers:
                    with contextlib.suppress(OperationalError):
                        for event in await asyncio.to_thread(self._read_new):
                            self._send(event)
                else:
                    self._last = await asyncio.to_thread(self._newest)
                    self._seen.clear()

    async def subscribe(self, key: ApiKey, last_event_id: int | None) -> AsyncIterator[StreamEvent]:
        """Events that the key may see, first those after `last_event_id`. Ends when the server stops."""
        queue: asyncio.Queue[StreamEvent | None] = asyncio.Queue(MAX_WAITING)
        self._subscribers[queue] = key
        self._tell_workers()
        try:
            sent = last_event_id or 0
            if last_event_id is not None:
                for event in await asyncio.to_thread(self._read, events.c.number > last_event_id):
                    if self._visible(event, key):
                        sent = max(sent, event.number or 0)
                        yield event
            while (event := await queue.get()) is not None:
                if last_event_id is None or event.number is None or event.number > sent:
                    yield event
        finally:
            self._subscribers.pop(queue, None)
            self._tell_workers()

    def close(self) -> None:
        """Ends all streams."""
        for queue in list(self._subscribers):
            self._disconnect(queue)

    def _send(self, event: StreamEvent) -> None:
        for queue, key in list(self._subscribers.items()):
            if self._visible(event, key):
                try:
                    queue.put_nowait(event)
                except asyncio.QueueFull:
                    self._disconnect(queue)

    def _disconnect(self, queue: asyncio.Queue[StreamEvent | None]) -> None:
        self._subscribers.pop(queue, None)
        while not queue.empty():
            queue.get_nowait()
        queue.put_nowait(None)

    def _visible(self, event: StreamEvent, key: ApiKey) -> bool:
        return event.type == "queue.updated" or key.sees(event.owner)

    def _newest(self) -> int:
        with self._engine.connect() as connection:
            return connection.execute(sa.select(sa.func.max(events.c.number))).scalar() or 0

    def _read_new(self) -> list[StreamEvent]:
        new = [e for e in self._read(events.c.number > self._last - REREAD) if self._is_new(e.number or 0)]
        self._seen.extend(e.number or 0 for e in new)
        self._last = max([self._last, *(e.number or 0 for e in new)])
        return new

    def _is_new(self, number: int) -> bool:
        return number > self._last or (number not in self._seen and number > min(self._seen, default=self._last))

    def _read(self, where: sa.ColumnElement[bool]) -> list[StreamEvent]:
        """Events with their objects as they are now; of several updates of a video only the last."""
        query = sa.select(events).where(where).order_by(events.c.number).limit(MAX_WAITING // 2)
        with self._engine.connect() as connection:
            rows = list(connection.execute(query).mappings())
            ids = {row["video_id"] for row in rows if row["type"] == "video.updated"}
            found = connection.execute(sa.select(videos).where(videos.c.id.in_(ids), videos.c.deleting.is_(False)))
            by_id = {row["id"]: row for row in found.mappings()} if ids else {}
        estimates = self._store.estimates() if by_id else None
        last = {(row["type"], row["video_id"]): row["number"] for row in rows}
        result = []
        for row in rows:
            if last[row["type"], row["video_id"]] != row["number"]:
                continue
            if row["type"] == "video.updated":
                if row["video_id"] not in by_id:
                    continue
                data = video_object(by_id[row["video_id"]], estimates).model_dump()
            else:
                data = {} if row["video_id"] is None else {"id": row["video_id"]}
            result.append(StreamEvent(row["type"], row["owner"], data, row["number"]))
        return result

    async def _receive_previews(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._workers.add(writer)
        self._tell_workers()
        try:
            with contextlib.suppress(ValueError, KeyError, ConnectionError):
                while line := await reader.readline():
                    message = json.loads(line)
                    owner = message.pop("owner")
                    self._send(StreamEvent("video.preview", owner, message))
        finally:
            self._workers.discard(writer)
            writer.close()

    def _tell_workers(self) -> None:
        """Whether previews are wanted."""
        for writer in self._workers:
            writer.write(WANTED if self._subscribers else UNWANTED)


def prune_events(engine: sa.Engine) -> None:
    """Removes old events."""
    with engine.begin() as connection:
        connection.execute(sa.delete(events).where(events.c.created_at < time.time() - KEPT_SECONDS))


def parsed_event_id(text: str | None) -> int | None:
    """The header Last-Event-ID. Raises ApiError 400 for what is none."""
    if text is None or text == "":
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise ApiError(400, "Last-Event-ID is the id of an event of this stream.", param="Last-Event-ID")
    return int(text)
