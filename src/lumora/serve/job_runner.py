"""Runs claimed jobs: request, checks, plan, video, published file. Every outcome ends in the row."""

from __future__ import annotations

import contextlib
import errno
import logging
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from lumora.backends.base import Backend, Cancelled, Plan
from lumora.provenance.index import PublishedRecord
from lumora.serve.database import files, videos
from lumora.serve.jobs import JobSpec, work_of
from lumora.serve.media_variants import write_variants
from lumora.serve.previews import PreviewSender
from lumora.serve.settings import ServeSettings
from lumora.serve.video_store import Row, VideoStore
from lumora.service.generate import generate
from lumora.service.moderation import Moderation, ModerationBlocked

LOG = logging.getLogger("lumora.serve.worker")
CHECK_SECONDS = 0.1
"""How often a running job looks whether it was cancelled."""
PROGRESS_SECONDS = 0.25
"""How often the progress of a job is written."""


@dataclass
class _RunningJob:
    """Whether a job is still this process's to make; `Cancel` of the backend."""

    store: VideoStore
    row: Row
    stopping: threading.Event
    lost: bool = False
    """Cancelled, deleted, or taken over by another worker."""
    checked_at: float = field(default_factory=time.monotonic)
    written_at: float = 0.0

    @property
    def id(self) -> str:
        return self.row["id"]

    @property
    def token(self) -> str:
        return self.row["run_token"]

    def is_set(self) -> bool:
        if not self.lost and time.monotonic() - self.checked_at >= CHECK_SECONDS:
            self.checked_at = time.monotonic()
            self.lost = not self.store.is_running(self.id, self.token)
        return self.lost or self.stopping.is_set()

    def report(self, step: int, total_steps: int) -> None:
        if step < total_steps and time.monotonic() - self.written_at < PROGRESS_SECONDS:
            return
        self.written_at = time.monotonic()
        self.store.set_progress(self.id, self.token, step, total_steps)


@dataclass
class JobRunner:
    settings: ServeSettings
    store: VideoStore
    backend: Backend
    moderation: Moderation
    stopping: threading.Event
    previews: PreviewSender
    idle: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.idle.set()

    def run(self, ticket: str, rows: Sequence[Row]) -> None:
        """Makes the videos of claimed rows. Raises only what the database raises."""
        self.idle.clear()
        try:
            for row in rows:
                self._run_one(ticket, row)
        finally:
            self.idle.set()

    def _run_one(self, ticket: str, row: Row) -> None:
        job = _RunningJob(self.store, row, self.stopping)
        resume_path = self.settings.folder / "work" / f"{row['id']}.safetensors"
        with self._failing(job):
            self._make(job, resume_path)
        if not self.stopping.is_set():
            resume_path.unlink(missing_ok=True)

    def _make(self, job: _RunningJob, resume_path: Path) -> None:
        folder = self.store.folder_of(job.id)
        folder.mkdir(parents=True, exist_ok=True)
        destination = folder / f"{job.token}.mp4"
        request = JobSpec.from_json(job.row["spec"]).build(self.backend, self._locate)
        began = [time.monotonic()]

        def on_plan(plan: Plan) -> None:
            made = {"size": str(plan.size), "seconds": plan.num_frames / plan.fps, "fps": plan.fps}
            made["num_frames"] = plan.num_frames
            self.store.set_made(job.id, job.token, made, list(plan.warnings), work_of(plan))

        published = generate(
            request.request,
            self.backend,
            destination,
            self.moderation,
            ingredients=request.ingredients,
            on_plan=on_plan,
            progress=job.report,
            cancel=job,
            resume_path=resume_path,
        )
        self._publish(job, destination, published)
        LOG.info("%s was made in %.1f s", job.id, time.monotonic() - began[0])

    def _publish(self, job: _RunningJob, file: Path, published: PublishedRecord) -> None:
        write_variants(file, file.parent)
        relative = str(file.relative_to(self.settings.folder))
        if not self.store.finish(job.id, job.token, relative, published.record, published.sha256):
            file.unlink(missing_ok=True)
            return
        for other in file.parent.glob("*.mp4"):
            if other != file:
                other.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _failing(self, job: _RunningJob) -> Iterator[None]:
        """Every failure ends in the row, with a code and a sentence."""
        try:
            yield
        except Cancelled:
            LOG.info("%s was stopped", job.id)
        except ModerationBlocked as error:
            self._fail(job, "content_filter", str(error))
        except ValueError as error:
            self._fail(job, "invalid_request", str(error))
        except MemoryError:
            self._fail(job, "out_of_memory", "The video needs more memory than there is; ask for a smaller one.")
        except OSError as error:
            full = error.errno == errno.ENOSPC or "space" in str(error)
            self._fail(
                job, "disk_full" if full else "server_error", "The disk of the server is full." if full else str(error)
            )
        except SQLAlchemyError:
            raise
        except Exception as error:
            LOG.exception("%s failed", job.id)
            memory = "out of memory" in str(error).lower()
            sentence = "The video needs more memory than there is; ask for a smaller one."
            self._fail(job, "out_of_memory" if memory else "server_error", sentence if memory else "The worker failed.")

    def _fail(self, job: _RunningJob, code: str, message: str) -> None:
        LOG.info("%s failed: %s", job.id, message)
        self.store.fail(job.id, job.token, code, message)

    def _locate(self, object_id: str) -> Path:
        """The file of a video or an upload. Raises ValueError for one that was deleted since."""
        table = videos if object_id.startswith("video_") else files
        with self.store.engine.connect() as connection:
            file = connection.execute(sa.select(table.c.file).where(table.c.id == object_id)).scalar()
        if file is None:
            raise ValueError(f"The input {object_id} was deleted before this job began.")
        return self.settings.folder / file
