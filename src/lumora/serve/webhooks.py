"""Webhooks: endpoints of clients, and a durable queue of deliveries with retries.

A delivery is stored in the transaction that finishes a video (`enqueue_event`), so it survives any crash. Processes
that deliver take a delivery by moving its next attempt into the future: whoever moves it first sends it, and if that
process dies, another one tries later. A client may receive an event twice; `webhook-id` tells.
"""

from __future__ import annotations

import json
import logging
import secrets
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal, TypeAlias, get_args

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from lumora.serve.database import Row, webhook_deliveries, webhook_endpoints
from lumora.serve.webhook_delivery import DeliveryError, post, signed_headers

EventType: TypeAlias = Literal["video.completed", "video.failed"]
EVENT_TYPES: tuple[EventType, ...] = get_args(EventType)
RETRY_SECONDS = (5.0, 30.0, 120.0, 600.0, 3_600.0, 6 * 3_600.0, 24 * 3_600.0)
"""Pauses between the attempts; after the last one the delivery has failed."""
LEASE_SECONDS = 60.0
KEPT_SECONDS = 3 * 24 * 3_600.0
"""Deliveries that have ended are removed after this time."""
OLD_SECRET_SECONDS = 24 * 3_600.0
POLL_SECONDS = 1.0
PARALLEL = 4
_LOG = logging.getLogger("lumora.serve.webhooks")


def event_body(event_id: str, event_type: str, video_id: str) -> str:
    event = {"id": event_id, "object": "event", "created_at": int(time.time()), "type": event_type}
    return json.dumps({**event, "data": {"id": video_id}})


def new_event_id() -> str:
    return f"evt_{secrets.token_hex(12)}"


def enqueue_event(connection: sa.Connection, owner: str, event_type: str, video_id: str) -> None:
    """Adds a delivery to each endpoint of `owner` for this type, in the caller's transaction."""
    endpoints = sa.select(webhook_endpoints.c.id, webhook_endpoints.c.event_types).where(
        webhook_endpoints.c.owner == owner
    )
    event_id, now = new_event_id(), time.time()
    for endpoint_id, event_types in connection.execute(endpoints).all():
        if event_type in event_types:
            values = {"endpoint_id": endpoint_id, "event_id": event_id, "created_at": now, "next_attempt_at": now}
            body = event_body(event_id, event_type, video_id)
            connection.execute(sa.insert(webhook_deliveries).values(**values, body=body, attempts=0, state="pending"))


def signing_secrets(endpoint: Any) -> Sequence[str]:
    """The secrets of an endpoint that are valid now."""
    old = endpoint["old_secret"] if (endpoint["old_secret_until"] or 0) > time.time() else None
    return [endpoint["secret"]] if old is None else [endpoint["secret"], old]


def send(endpoint: Any, event_id: str, body: str, allow_private: bool) -> int:
    """One attempt; the status of the answer. Raises DeliveryError."""
    headers = signed_headers(signing_secrets(endpoint), event_id, int(time.time()), body)
    return post(endpoint["url"], body, headers, allow_private)


class Deliverer:
    """A thread that delivers what is due. Several processes may run one."""

    def __init__(self, engine: sa.Engine, allow_private: bool) -> None:
        self._engine, self._allow_private = engine, allow_private
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="webhooks", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5.0)

    def deliver_due(self) -> int:
        """Tries everything that is due; how many were tried."""
        with ThreadPoolExecutor(PARALLEL) as pool:
            return sum(pool.map(self._deliver, self._due()))

    def _run(self) -> None:
        while not self._stop.wait(POLL_SECONDS):
            try:
                self.deliver_due()
                self._remove_old()
            except SQLAlchemyError as error:
                _LOG.warning("The deliveries cannot be read now: %s", error)

    def _due(self) -> Sequence[Row]:
        due = (webhook_deliveries.c.state == "pending") & (webhook_deliveries.c.next_attempt_at <= time.time())
        query = sa.select(webhook_deliveries).where(due).order_by(webhook_deliveries.c.next_attempt_at).limit(100)
        with self._engine.connect() as connection:
            return connection.execute(query).mappings().all()

    def _deliver(self, delivery: Row) -> bool:
        endpoint = self._take(delivery)
        if endpoint is None:
            return False
        try:
            status = send(endpoint, delivery["event_id"], delivery["body"], self._allow_private)
        except DeliveryError as error:
            _LOG.info("Webhook %s: %s", delivery["endpoint_id"], error)
            status = None
        self._note(delivery, status)
        return True

    def _take(self, delivery: Row) -> Row | None:
        """The endpoint, if this process is the first to take the delivery and the endpoint still exists."""
        table = webhook_deliveries.c
        unchanged = (table.number == delivery["number"]) & (table.state == "pending")
        unchanged &= table.attempts == delivery["attempts"]
        unchanged &= table.next_attempt_at <= time.time()
        values = {"next_attempt_at": time.time() + LEASE_SECONDS}
        with self._engine.begin() as connection:
            if not connection.execute(sa.update(webhook_deliveries).where(unchanged).values(**values)).rowcount:
                return None
            query = sa.select(webhook_endpoints).where(webhook_endpoints.c.id == delivery["endpoint_id"])
            endpoint = connection.execute(query).mappings().first()
            if endpoint is None:
                here = table.endpoint_id == delivery["endpoint_id"]
                connection.execute(sa.delete(webhook_deliveries).where(here))
            return endpoint

    def _note(self, delivery: Row, status: int | None) -> None:
        attempts = delivery["attempts"] + 1
        values: dict[str, Any] = {"attempts": attempts, "last_status": status}
        if status is not None and 200 <= status < 300:
            values["state"] = "delivered"
        elif attempts > len(RETRY_SECONDS):
            values["state"] = "failed"
        else:
            values["next_attempt_at"] = time.time() + RETRY_SECONDS[attempts - 1]
        here = webhook_deliveries.c.number == delivery["number"]
        with self._engine.begin() as connection:
            connection.execute(sa.update(webhook_deliveries).where(here).values(**values))

    def _remove_old(self) -> None:
        old = (webhook_deliveries.c.state != "pending") & (webhook_deliveries.c.created_at < time.time() - KEPT_SECONDS)
        with self._engine.connect() as connection:
            if connection.execute(sa.select(webhook_deliveries.c.number).where(old).limit(1)).first() is None:
                return
        with self._engine.begin() as connection:
            connection.execute(sa.delete(webhook_deliveries).where(old))
