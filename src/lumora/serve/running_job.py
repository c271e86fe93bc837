"""A job that runs: its progress, and whether it is still this process's to make."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy.exc import OperationalError

from lumora.serve.video_store import Row, VideoStore

CHECK_SECONDS = 0.1
"""How often a running job looks whether it was cancelled."""
PROGRESS_SECONDS = 0.25
"""How often the progress of a job is written."""


@dataclass
class RunningJob:
    """`Cancel` and `Progress` of a backend for one row."""

    store: VideoStore
    row: Row
    stopping: threading.Event
    """Set when the worker stops; the job is continued by another one."""
    step: int = 0
    total_steps: int = 0
    first_step_at: float | None = None
    last_step_at: float | None = None
    _lost: bool = False
    _checked_at: float = field(default_factory=time.monotonic)
    _written_at: float = 0.0

    @property
    def id(self) -> str:
        return self.row["id"]

    @property
    def token(self) -> str:
        return self.row["run_token"]

    def is_set(self) -> bool:
        return self.stopping.is_set() or self.is_lost()

    def is_lost(self) -> bool:
        """Whether it was cancelled, deleted, or taken over by another worker."""
        if not self._lost and time.monotonic() - self._checked_at >= CHECK_SECONDS:
            self._checked_at = time.monotonic()
            with contextlib.suppress(OperationalError):
                self._lost = not self.store.is_running(self.id, self.token)
        return self._lost

    def report(self, step: int, total_steps: int) -> None:
        now = time.monotonic()
        self.step, self.total_steps, self.last_step_at = step, total_steps, now
        self.first_step_at = now if self.first_step_at is None else self.first_step_at
        if step < total_steps and now - self._written_at < PROGRESS_SECONDS:
            return
        self._written_at = now
        with contextlib.suppress(OperationalError):  # the next report writes it
            self.store.set_progress(self.id, self.token, step, total_steps)


@dataclass
class RunningBatch:
    """The same for jobs that are made together; they go on until all of them are lost."""

    jobs: Sequence[RunningJob]

    def is_set(self) -> bool:
        return self.jobs[0].stopping.is_set() or all(job.is_lost() for job in self.jobs)

    def report(self, step: int, total_steps: int) -> None:
        for job in self.jobs:
            job.report(step, total_steps)
