"""The rows of videos: their state machine, lists, and the objects that clients receive.

A row is queued -> in_progress -> completed or failed. `completed` is the only state in which a file can be reached, and
`finish` the only way to it. Whoever writes a running job's row names its `run_token`, so that a process that lost the
job to another one changes nothing.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from lumora.serve.api_key import ApiKey
from lumora.serve.database import Row, add_event, timings, videos, workers
from lumora.serve.errors import not_found
from lumora.serve.settings import ServeSettings
from lumora.serve.webhooks import enqueue_event

ACTIVE = ("queued", "in_progress")
ESTIMATE_SECONDS = 0.25
QUEUE_ORDER = (videos.c.priority.desc(), videos.c.queue_order, videos.c.number)


@dataclass(frozen=True)
class Estimates:
    """What is known about the time that jobs take: enough for a queue position and an ETA."""

    queue: tuple[str, ...]
    """Ids of all queued videos, in order."""
    work_before: dict[str, float]
    """For each queued video the work of the jobs before it, running ones included."""
    jobs_before: dict[str, int]
    seconds_per_work: float | None
    overhead_seconds: float
    workers: int

    def eta_seconds(self, row: Row) -> float | None:
        """None where nothing was measured yet."""
        if self.seconds_per_work is None or row["status"] not in ACTIVE:
            return None
        left = row["work"] * (1 - row["step"] / row["total_steps"] if row["total_steps"] else 1.0)
        seconds = left * self.seconds_per_work + self.overhead_seconds
        if row["status"] == "queued":
            before = self.work_before.get(row["id"], 0.0) * self.seconds_per_work
            before += self.jobs_before.get(row["id"], 0) * self.overhead_seconds
            seconds += before / max(1, self.workers)
        return round(seconds, 1)


class VideoStore:
    def __init__(self, engine: sa.Engine, settings: ServeSettings) -> None:
        self.engine, self.settings = engine, settings
        self._estimates: tuple[float, Estimates | None] = (0.0, None)

    # Reading

    def get(self, video_id: str, key: ApiKey | None = None) -> Row:
        """The row of a video that `key` may see (None: any). Raises ApiError 404."""
        with self.engine.connect() as connection:
            query = sa.select(videos).where(videos.c.id == video_id, videos.c.deleting.is_(False))
            row = connection.execute(query).mappings().first()
        if row is None or (key is not None and not key.sees(row["owner"])):
            raise not_found("video", video_id)
        return row

    def page(
        self,
        key: ApiKey,
        after: str | None = None,
        limit: int = 20,
        ascending: bool = False,
        where: Sequence[sa.ColumnElement[bool]] = (),
    ) -> tuple[list[Row], bool]:
        """Rows in the order of creation, and whether there are more. Raises ApiError 404 for an unknown `after`."""
        query = sa.select(videos).where(videos.c.deleting.is_(False), *where)
        if not key.may("admin"):
            query = query.where(videos.c.owner == key.id)
        if after is not None:
            number = self.get(after, key)["number"]
            query = query.where(videos.c.number > number if ascending else videos.c.number < number)
        query = query.order_by(videos.c.number if ascending else videos.c.number.desc()).limit(limit + 1)
        with self.engine.connect() as connection:
            rows: list[Row] = list(connection.execute(query).mappings())
        return rows[:limit], len(rows) > limit

    def group(self, group_id: str) -> list[str]:
        query = sa.select(videos.c.id).where(videos.c.group_id == group_id, videos.c.deleting.is_(False))
        with self.engine.connect() as connection:
            return list(connection.execute(query.order_by(videos.c.number)).scalars())

    def queued(self) -> list[Row]:
        """All queued rows, in the order in which they are made."""
        query = sa.select(videos).where(videos.c.status == "queued", videos.c.deleting.is_(False))
        with self.engine.connect() as connection:
            return list(connection.execute(query.order_by(*QUEUE_ORDER)).mappings())

    def recent_estimates(self) -> Estimates:
        """Estimates that are at most a quarter of a second old: many clients poll at once."""
        made_at, estimates = self._estimates
        if estimates is None or time.monotonic() - made_at > ESTIMATE_SECONDS:
            estimates = self.estimates()
            self._estimates = time.monotonic(), estimates
        return estimates

    def estimates(self) -> Estimates:
        columns = videos.c.id, videos.c.status, videos.c.work, videos.c.step, videos.c.total_steps
        query = sa.select(*columns).where(videos.c.status.in_(ACTIVE), videos.c.deleting.is_(False))
        alive = (
            sa.select(sa.func.count())
            .select_from(workers)
            .where(workers.c.heartbeat_at > time.time() - self.settings.takeover_seconds)
        )
        with self.engine.connect() as connection:
            rows = list(connection.execute(query.order_by(*QUEUE_ORDER)).mappings())
            timing = connection.execute(sa.select(timings)).mappings().first()
            num_workers = connection.execute(alive).scalar_one()
        running = [row for row in rows if row["status"] == "in_progress"]
        work = sum((row["work"] * (1 - row["step"] / (row["total_steps"] or 1)) for row in running), 0.0)
        work_before: dict[str, float] = {}
        jobs_before: dict[str, int] = {}
        queue = [row for row in rows if row["status"] == "queued"]
        for count, row in enumerate(queue, len(running)):
            work_before[row["id"]], jobs_before[row["id"]] = work, count
            work += row["work"]
        return Estimates(
            tuple(row["id"] for row in queue),
            work_before,
            jobs_before,
            timing["seconds_per_work"] if timing else None,
            timing["overhead_seconds"] if timing else 0.0,
            num_workers,
        )

    # The state machine

    def claim(self, ticket: str, batch_size: int) -> list[str]:
        """queued -> in_progress: the ids of the jobs of a ticket, which are those that it has claimed before, else the
        next queued one and others of equal shape."""
        with self.engine.begin() as connection:
            if connection.dialect.name == "sqlite":
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            earlier = sa.select(videos.c.id).where(self._of_ticket(ticket))
            if ids := list(connection.execute(earlier).scalars()):
                return ids
            rows = self._next(connection, batch_size)
            for row in rows:
                values = {"status": "in_progress", "ticket": ticket, "started_at": time.time()}
                connection.execute(sa.update(videos).where(videos.c.id == row["id"]).values(**values))
                add_event(connection, row["owner"], "video.updated", row["id"])
            if rows:
                add_event(connection, "", "queue.updated")
        return [row["id"] for row in rows]

    def begin(self, ticket: str, worker_id: str, run_token: str, attempts: int = 1) -> list[Row]:
        """The unfinished jobs that a ticket has claimed. From now on only the process with `run_token` may write them.
        `attempts` is added to their number of attempts."""
        mine = self._of_ticket(ticket)
        values = {"run_token": run_token, "worker_id": worker_id, "attempts": videos.c.attempts + attempts}
        with self.engine.begin() as connection:
            connection.execute(sa.update(videos).where(mine).values(**values))
            return list(connection.execute(sa.select(videos).where(mine).order_by(videos.c.number)).mappings())

    def _of_ticket(self, ticket: str) -> sa.ColumnElement[bool]:
        return sa.and_(videos.c.ticket == ticket, videos.c.status == "in_progress", videos.c.deleting.is_(False))

    def _next(self, connection: sa.Connection, batch_size: int) -> list[Row]:
        queued = sa.select(videos).where(videos.c.status == "queued", videos.c.deleting.is_(False))
        queued = queued.order_by(*QUEUE_ORDER).with_for_update(skip_locked=True)
        first = connection.execute(queued.limit(1)).mappings().first()
        if first is None:
            return []
        if first["batch_key"] is None or batch_size < 2:
            return [first]
        same = queued.where(videos.c.batch_key == first["batch_key"], videos.c.id != first["id"])
        return [first, *connection.execute(same.limit(batch_size - 1)).mappings()]

    def set_progress(self, video_id: str, run_token: str, step: int, total_steps: int) -> bool:
        """Whether the job is still this process's to make."""
        progress = min(99, 95 * step // max(1, total_steps))
        return self._update_running(video_id, run_token, step=step, total_steps=total_steps, progress=progress)

    def set_made(self, video_id: str, run_token: str, made: dict[str, Any], warnings: list[str], work: float) -> bool:
        return self._update_running(video_id, run_token, made=made, warnings=warnings, work=work)

    def is_running(self, video_id: str, run_token: str) -> bool:
        """Whether the job is still this process's to make: not cancelled, deleted or taken over."""
        running = self._running(video_id, run_token)
        with self.engine.connect() as connection:
            return connection.execute(sa.select(videos.c.number).where(running)).first() is not None

    def finish(self, video_id: str, run_token: str, file: str, record: str, sha256: str) -> bool:
        """in_progress -> completed: the published file can be reached from now on."""
        now, hours = time.time(), self.settings.limits.expire_after_hours
        return self._update_running(
            video_id,
            run_token,
            status="completed",
            completed_at=now,
            expires_at=None if hours is None else now + 3600 * hours,
            progress=100,
            file=file,
            record=record,
            sha256=sha256,
        )

    def fail(self, video_id: str, run_token: str, code: str, message: str) -> bool:
        """in_progress -> failed."""
        return self._update_running(
            video_id, run_token, status="failed", completed_at=time.time(), error_code=code, error_message=message
        )

    def cancel(self, video_id: str) -> bool:
        """queued or in_progress -> failed with code `cancelled`; whether it was one of them. The worker stops within a
        denoising step."""
        values = {"status": "failed", "error_code": "cancelled", "error_message": "The job was canceled."}
        active = sa.and_(videos.c.id == video_id, videos.c.status.in_(ACTIVE), videos.c.deleting.is_(False))
        return self._update(video_id, active, **values, completed_at=time.time())

    def _running(self, video_id: str, run_token: str) -> sa.ColumnElement[bool]:
        return sa.and_(
            videos.c.id == video_id,
            videos.c.status == "in_progress",
            videos.c.run_token == run_token,
            videos.c.deleting.is_(False),
        )

    def _update_running(self, video_id: str, run_token: str, **values: Any) -> bool:
        return self._update(video_id, self._running(video_id, run_token), **values)

    def _update(self, video_id: str, where: sa.ColumnElement[bool], **values: Any) -> bool:
        with self.engine.begin() as connection:
            changed = connection.execute(
                sa.update(videos).where(where).values(**values).returning(videos.c.owner)
            ).scalar_one_or_none()
            if changed is None:
                return False
            add_event(connection, changed, "video.updated", video_id)
            if "status" in values:
                add_event(connection, "", "queue.updated")
            if values.get("status") in ("completed", "failed"):
                enqueue_event(connection, changed, f"video.{values['status']}", video_id)
        return True

    def change(self, video_id: str, queued_only: bool, **values: Any) -> bool:
        """Changes fields of a row; with `queued_only`, only while it waits. Whether it was changed."""
        where = sa.and_(videos.c.id == video_id, videos.c.deleting.is_(False))
        if queued_only:
            where = sa.and_(where, videos.c.status == "queued")
        return self._update(video_id, where, **values)

    def add_timing(
        self, model: str, work: float, denoising_seconds: float, other_seconds: float, steps: int = 0
    ) -> None:
        """Remembers how long jobs took, averaged over about the last eight, and how long all `steps` took so far."""
        if work <= 0:
            return
        totals = {"steps": steps, "step_seconds": denoising_seconds}
        measured = {"seconds_per_work": denoising_seconds / work, "overhead_seconds": other_seconds}
        with self.engine.begin() as connection:
            known = connection.execute(sa.select(timings).where(timings.c.model == model)).mappings().first()
            if known is None:
                connection.execute(sa.insert(timings).values(model=model, jobs=1, **totals, **measured))
                return
            share = max(1 / (known["jobs"] + 1), 1 / 8)
            mean = {name: (1 - share) * known[name] + share * value for name, value in measured.items()}
            update = sa.update(timings).where(timings.c.model == model)
            totals = {name: known[name] + value for name, value in totals.items()}
            connection.execute(update.values(jobs=known["jobs"] + 1, **totals, **mean))

    # Removing

    def delete(self, video_id: str) -> None:
        """Removes record and files. The row is hidden first and removed last, so that a crash between leaves neither a
        file without a record nor a record without a file."""
        with self.engine.begin() as connection:
            hidden = sa.update(videos).where(videos.c.id == video_id).values(deleting=True, idempotency_key=None)
            owner = connection.execute(hidden.returning(videos.c.owner)).scalar_one_or_none()
            if owner is None:
                return
            add_event(connection, owner, "video.deleted", video_id)
            add_event(connection, "", "queue.updated")
        self._remove(video_id)

    def finish_deletions(self) -> None:
        """Removes what is expired, and what a process that died left half removed."""
        now = time.time()
        with self.engine.connect() as connection:
            expired = list(connection.execute(sa.select(videos.c.id).where(videos.c.expires_at < now)).scalars())
            hidden = list(connection.execute(sa.select(videos.c.id).where(videos.c.deleting.is_(True))).scalars())
        for video_id in expired:
            self.delete(video_id)
        for video_id in hidden:
            self._remove(video_id)

    def discard_files(self, video_id: str) -> None:
        """Removes what is left of a job that was cancelled or deleted while it ran."""
        with self.engine.connect() as connection:
            query = sa.select(videos.c.status).where(videos.c.id == video_id, videos.c.deleting.is_(False))
            status = connection.execute(query).scalar()
        if status in (None, "failed"):
            shutil.rmtree(self.folder_of(video_id), ignore_errors=True)

    def discard_orphans(self) -> None:
        """Removes folders without a record. A folder is made after its record, so none is removed too early."""
        folders = {folder.name for folder in (self.settings.folder / "videos").glob("video_*")}
        with self.engine.connect() as connection:
            known = set(connection.execute(sa.select(videos.c.id)).scalars())
        for video_id in folders - known:
            shutil.rmtree(self.folder_of(video_id), ignore_errors=True)

    def _remove(self, video_id: str) -> None:
        folder = self.folder_of(video_id)
        if folder.exists():
            shutil.rmtree(folder)
        with self.engine.begin() as connection:
            connection.execute(sa.delete(videos).where(videos.c.id == video_id, videos.c.deleting.is_(True)))

    def folder_of(self, video_id: str) -> Path:
        """The folder of a video's files."""
        return self.settings.folder / "videos" / video_id
