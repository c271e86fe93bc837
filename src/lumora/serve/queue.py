"""The job queue: a row and its DBOS workflow are stored in one transaction.

A workflow is a ticket to make the next job. Which job is next is decided by the rows when a worker takes the ticket, so
that reordering, editing and batching change rows only.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from dbos import DBOSClient
from sqlalchemy.exc import IntegrityError, OperationalError

from lumora.serve.api_key import ApiKey
from lumora.serve.database import add_event, videos, workers
from lumora.serve.errors import ApiError
from lumora.serve.settings import ServeSettings
from lumora.serve.video_store import ACTIVE, Row

QUEUE_NAME = "videos"
WORKFLOW_NAME = "make_videos"
APPLICATION_NAME = "lumora"
APPLICATION_VERSION = "1"
"""Of the workflow's steps. Jobs of another version wait for a worker of that version."""


class JobQueue:
    def __init__(self, engine: sa.Engine, settings: ServeSettings) -> None:
        self.engine, self.settings = engine, settings
        self._client = DBOSClient(system_database_engine=engine, application_name=APPLICATION_NAME)

    def close(self) -> None:
        self._client.destroy()

    def add(self, key: ApiKey, rows: Sequence[dict[str, Any]]) -> list[Row]:
        """Stores rows and enqueues a ticket for each, all or none. Raises ApiError 429 where the queue is full.

        If the first row has the idempotency key of an earlier one, the rows of that request are returned.
        """
        try:
            with self.engine.begin() as connection:
                self._lock(connection)
                earlier = self._earlier(connection, key, rows[0])
                if earlier:
                    return earlier
                self._check_room(connection, key, len(rows))
                return [self._insert(connection, row) for row in rows]
        except IntegrityError:
            with self.engine.connect() as connection:
                earlier = self._earlier(connection, key, rows[0])
            if earlier:
                return earlier
            raise

    def _lock(self, connection: sa.Connection) -> None:
        """Only one process counts and adds at a time. SQLite's transactions do that by themselves."""
        if connection.dialect.name == "postgresql":
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(7265001)"))
        else:
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    def _insert(self, connection: sa.Connection, values: dict[str, Any]) -> Row:
        inserted = connection.execute(sa.insert(videos).values(**values).returning(videos)).mappings().one()
        self._add_ticket(connection)
        add_event(connection, values["owner"], "video.updated", values["id"])
        add_event(connection, "", "queue.updated")
        return inserted

    def _add_ticket(self, connection: sa.Connection) -> None:
        options: Any = {
            "queue_name": QUEUE_NAME,
            "workflow_name": WORKFLOW_NAME,
            "workflow_id": f"ticket_{secrets.token_hex(12)}",
            "app_version": APPLICATION_VERSION,
        }
        self._client.enqueue_in_transaction(connection, options)

    def _earlier(self, connection: sa.Connection, key: ApiKey, row: dict[str, Any]) -> list[Row]:
        if row.get("idempotency_key") is None:
            return []
        mine = videos.c.owner == key.id, videos.c.deleting.is_(False)
        same = sa.select(videos).where(*mine, videos.c.idempotency_key == row["idempotency_key"])
        first = connection.execute(same).mappings().first()
        if first is None:
            return []
        if first["idempotency_hash"] != row["idempotency_hash"]:
            message = "This Idempotency-Key was used for another request; use a new one."
            raise ApiError(409, message, "idempotency_conflict", headers={"x-should-retry": "false"})
        group = sa.select(videos).where(*mine, videos.c.group_id == first["group_id"]).order_by(videos.c.number)
        return list(connection.execute(group).mappings()) if first["group_id"] else [first]

    def _check_room(self, connection: sa.Connection, key: ApiKey, count: int) -> None:
        limits = self.settings.limits
        visible = videos.c.deleting.is_(False)
        waiting = sa.select(sa.func.count()).where(videos.c.status == "queued", visible)
        if connection.execute(waiting).scalar_one() + count > limits.max_queued_jobs:
            raise ApiError(429, "The queue is full; try again later.", "queue_full", headers={"Retry-After": "30"})
        most = limits.max_jobs_per_key if key.max_jobs is None else key.max_jobs
        own = sa.select(sa.func.count()).where(videos.c.owner == key.id, videos.c.status.in_(ACTIVE), visible)
        if connection.execute(own).scalar_one() + count > most:
            message = f"This key has at most {most} jobs that wait or run; try again when some are finished."
            raise ApiError(429, message, "too_many_jobs", headers={"Retry-After": "30"})

    def reorder(self, key: ApiKey, ids: Sequence[str]) -> None:
        """Gives the own queued jobs in `ids` the places that they have together, in the new order.

        Raises ApiError 409 if one of them does not wait any more.
        """
        with self.engine.begin() as connection:
            query = sa.select(videos).where(
                videos.c.id.in_(ids), videos.c.status == "queued", videos.c.deleting.is_(False)
            )
            rows = {row["id"]: row for row in connection.execute(query).mappings() if key.sees(row["owner"])}
            missing = [video_id for video_id in ids if video_id not in rows]
            if missing:
                raise ApiError(409, f"{missing[0]} does not wait in the queue.", "not_queued")
            ordered = sorted(rows.values(), key=lambda row: (-row["priority"], row["queue_order"], row["number"]))
            places = [(row["priority"], row["queue_order"]) for row in ordered]
            for video_id, (priority, order) in zip(dict.fromkeys(ids), places, strict=True):
                values = {"priority": priority, "queue_order": order}
                connection.execute(sa.update(videos).where(videos.c.id == video_id).values(**values))
                add_event(connection, rows[video_id]["owner"], "video.updated", video_id)
            add_event(connection, "", "queue.updated")

    # Takeover

    def heartbeat(self, worker_id: str, host: str, pid: int) -> None:
        now = time.time()
        with self.engine.begin() as connection:
            seen = sa.update(workers).where(workers.c.id == worker_id).values(host=host, pid=pid, heartbeat_at=now)
            if not connection.execute(seen).rowcount:
                values = {"id": worker_id, "host": host, "pid": pid, "started_at": now, "heartbeat_at": now}
                connection.execute(sa.insert(workers).values(**values))

    def take_over(self) -> int:
        """Gives the tickets of workers without a heartbeat to others, and adds tickets where jobs have none.

        Returns how many tickets were given or added. Several processes may call it.
        """
        silent = time.time() - self.settings.takeover_seconds
        with self.engine.connect() as connection:
            alive = set(connection.execute(sa.select(workers.c.id).where(workers.c.heartbeat_at >= silent)).scalars())
        pending = self._client.list_workflows(
            status=["PENDING", "ENQUEUED"], queue_name=QUEUE_NAME, load_input=False, load_output=False
        )
        dead = [w.workflow_id for w in pending if w.status == "PENDING" and w.executor_id not in alive]
        if dead:
            self._client.resume_workflows(dead, queue_name=QUEUE_NAME)
        return len(dead) + self._add_missing_tickets({w.workflow_id for w in pending}, len(pending))

    def resume_tickets_of(self, worker_id: str) -> int:
        """Gives the tickets of one worker back, at once: it stopped, or it starts again."""
        own = self._client.list_workflows(
            status="PENDING", queue_name=QUEUE_NAME, executor_id=worker_id, load_input=False, load_output=False
        )
        if own:
            self._client.resume_workflows([w.workflow_id for w in own], queue_name=QUEUE_NAME)
        return len(own)

    def _add_missing_tickets(self, tickets: set[str], num_tickets: int) -> int:
        """A ticket that failed for good leaves jobs behind: they are queued again, each with a new ticket."""
        old = time.time() - self.settings.takeover_seconds
        with self.engine.begin() as connection:
            lost = sa.and_(videos.c.status == "in_progress", videos.c.ticket.notin_(tickets), videos.c.started_at < old)
            connection.execute(sa.update(videos).where(lost).values(status="queued", ticket=None, run_token=None))
            waiting = sa.select(sa.func.count()).where(videos.c.status == "queued", videos.c.created_at < old)
            missing = max(0, connection.execute(waiting).scalar_one() - num_tickets)
            for _ in range(missing):
                self._add_ticket(connection)
        return missing

    def remove_worker(self, worker_id: str) -> None:
        with contextlib.suppress(OperationalError), self.engine.begin() as connection:
            connection.execute(sa.delete(workers).where(workers.c.id == worker_id))
