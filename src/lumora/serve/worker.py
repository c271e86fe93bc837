"""A worker: a process that takes tickets from the queue and makes their videos through `service`.

It holds one model at a time. A job that it leaves unfinished, because it is stopped or killed, is continued by the next
worker from the last finished piece.
"""

from __future__ import annotations

import logging
import os
import secrets
import signal
import socket
import threading
import time
from collections.abc import Callable

import torch
from dbos import DBOS
from sqlalchemy.exc import OperationalError

from lumora.serve.child_process import WORKER_ID, begin_process
from lumora.serve.database import make_engine
from lumora.serve.events import prune_events
from lumora.serve.file_expiry import remove_expired_files
from lumora.serve.job_runner import JobRunner
from lumora.serve.previews import PreviewSender
from lumora.serve.queue import APPLICATION_NAME, APPLICATION_VERSION, QUEUE_NAME, WORKFLOW_NAME, JobQueue
from lumora.serve.served_models import ServedModels
from lumora.serve.settings import ServeSettings
from lumora.serve.video_store import VideoStore
from lumora.service.moderation import Moderation

LOG = logging.getLogger("lumora.serve.worker")

POLL_SECONDS = 0.1
MAINTENANCE_SECONDS = 5.0
RETRY_SECONDS = 2.0


class Worker:
    """One worker; `run` returns when it is told to stop."""

    def __init__(self, settings: ServeSettings, worker_id: str) -> None:
        self.settings, self.id = settings, worker_id
        self.engine = make_engine(settings)
        self.store, self.queue = VideoStore(self.engine, settings), JobQueue(self.engine, settings)
        self.stopping = threading.Event()
        models = ServedModels(settings.models, settings.gpus_per_worker)
        self.runner = JobRunner(
            settings,
            self.store,
            models.take,
            Moderation.load(every_frame=models.show_people),
            self.stopping,
            PreviewSender(settings.preview_socket),
        )

    def run(self) -> None:
        self.queue.heartbeat(self.id, socket.gethostname(), os.getpid())
        self.queue.resume_tickets_of(self.id)
        self.store.discard_orphans()
        self._launch()
        maintained = 0.0
        while not self.stopping.wait(self.settings.heartbeat_seconds):
            try:
                self.queue.heartbeat(self.id, socket.gethostname(), os.getpid())
                if time.monotonic() - maintained > MAINTENANCE_SECONDS:
                    maintained = time.monotonic()
                    self._maintain()
            except OperationalError as error:
                LOG.warning("The database cannot be used now: %s", error)
        self.stop()

    def stop(self) -> None:
        """Waits until the running job has stopped, and gives its ticket to another worker."""
        self.runner.idle.wait(30.0)
        self.queue.remove_worker(self.id)
        self.queue.resume_tickets_of(self.id)

    def _launch(self) -> None:
        DBOS(
            config={
                "name": APPLICATION_NAME,
                "system_database_url": self.settings.sqlalchemy_url,
                "system_database_engine": self.engine,
                "executor_id": self.id,
                "application_version": APPLICATION_VERSION,
                "run_migrations": False,
                "console_log_level": "WARNING",
                "use_listen_notify": False,
            }
        )
        DBOS.workflow(name=WORKFLOW_NAME, max_recovery_attempts=1_000_000)(self._workflow())
        DBOS.launch()
        DBOS.register_queue(QUEUE_NAME, worker_concurrency=1, polling_interval_sec=POLL_SECONDS)

    def _workflow(self) -> Callable[[], None]:
        @DBOS.step()
        def claim(ticket: str) -> list[str]:
            return self._claim(ticket)

        @DBOS.step()
        def make(ticket: str) -> None:
            self._make(ticket)

        def make_videos() -> None:
            ticket = DBOS.workflow_id
            assert ticket is not None
            if claim(ticket):
                make(ticket)

        return make_videos

    def _claim(self, ticket: str) -> list[str]:
        self._hold_if_stopping()
        return self.store.claim(ticket, self.settings.batch_size)

    def _make(self, ticket: str) -> None:
        """Runs the jobs of a ticket, again while the database cannot be used: what was made is found then."""
        attempts = 1
        while True:
            self._hold_if_stopping()
            try:
                self.runner.run(ticket, self.store.begin(ticket, self.id, secrets.token_hex(8), attempts))
                break
            except OperationalError as error:
                LOG.warning("The database cannot be used now: %s", error)
                self.stopping.wait(RETRY_SECONDS)
                attempts = 0
        self._hold_if_stopping()

    def _hold_if_stopping(self) -> None:
        """Keeps the ticket unfinished until the process ends; another worker takes it then."""
        if self.stopping.is_set():
            threading.Event().wait()

    def _maintain(self) -> None:
        self.queue.take_over()
        self.store.finish_deletions()
        prune_events(self.engine)
        remove_expired_files(self.engine, self.settings)


def main() -> None:
    settings = begin_process()
    if settings.workers > 1:
        torch.set_num_threads(max(1, torch.get_num_threads() // settings.workers))
    (settings.folder / "work").mkdir(mode=0o700, exist_ok=True)
    worker = Worker(settings, os.environ[WORKER_ID])
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: worker.stopping.set())
    worker.run()
    os._exit(0)  # threads of unfinished tickets wait for ever
