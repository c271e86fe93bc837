"""The parent of `lumora serve`: starts API, checker and workers, restarts what dies, and stops all of them cleanly."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout

from lumora.safety.policy import policy_file
from lumora.serve.child_process import WORKER_ID, child_environment, command
from lumora.serve.database import create_tables, make_engine
from lumora.serve.key_store import KeyStore, check_address
from lumora.serve.served_models import ServedModels
from lumora.serve.settings import ServeSettings

LOG = logging.getLogger("lumora.serve")
STOP_SECONDS = 40.0
"""A process that takes longer to stop is killed; its jobs are continued later."""
MAX_RESTART_SECONDS = 30.0


@dataclass
class _Child:
    """A process that is restarted when it dies; the pauses grow while it dies at once."""

    name: str
    module: str
    environment: dict[str, str]
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    pause: float = 0.0
    restart_at: float = 0.0

    def start(self) -> None:
        self.started_at = time.monotonic()
        # Its own group: Ctrl-C reaches the supervisor alone, which then stops the others in order.
        self.process = subprocess.Popen(command(self.module), env=self.environment, start_new_session=True)

    def keep_running(self) -> None:
        if self.process is None or self.process.poll() is None:
            return
        now = time.monotonic()
        if self.restart_at < self.started_at:
            self.pause = 0.2 if now - self.started_at > 10 else min(MAX_RESTART_SECONDS, 2 * self.pause + 0.2)
            self.restart_at = now + self.pause
            LOG.warning("%s ended with code %s; it is started again.", self.name, self.process.returncode)
        elif now >= self.restart_at:
            self.start()


@dataclass
class Supervisor:
    settings: ServeSettings
    with_api: bool = True
    """False: workers only, for further machines."""
    stopping: threading.Event = field(default_factory=threading.Event)

    def run(self, on_start: Callable[[], None] = lambda: None) -> None:
        """Serves until SIGTERM or SIGINT; calls `on_start` once the settings are checked.

        Raises ValueError and OSError for settings that cannot be used.
        """
        settings = self.settings
        _check_settings(settings, self.with_api)
        settings.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        create_tables(settings)
        check_policy(settings)
        if self.with_api:
            _check_keys(settings)
        with _only_workers_here(settings), tempfile.TemporaryDirectory(prefix="lumora-") as folder:
            settings = settings.with_runtime_dir(Path(settings.runtime_dir or folder))
            children = self._children(settings)
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: self.stopping.set())
            for child in children:
                child.start()
            on_start()
            try:
                while not self.stopping.wait(0.2):
                    for child in children:
                        child.keep_running()
            finally:
                _stop(children)

    def _children(self, settings: ServeSettings) -> list[_Child]:
        environment = child_environment(settings)
        children = []
        if self.with_api:
            children += [_Child("checker", "checker", environment), _Child("API", "app", environment)]
        num_gpus = len(list(Path("/proc/driver/nvidia/gpus").glob("*")))
        for number in range(settings.workers):
            own = {**environment, WORKER_ID: f"{socket.gethostname()}-{number}"}
            if num_gpus > 1:
                own.setdefault("CUDA_VISIBLE_DEVICES", gpus_of_worker(number, settings.gpus_per_worker, num_gpus))
            children.append(_Child(f"worker {number}", "worker", own))
        return children


def gpus_of_worker(number: int, gpus_per_worker: int, num_gpus: int) -> str:
    """As CUDA_VISIBLE_DEVICES names them. Workers share GPUs if there are too few."""
    first = number * gpus_per_worker
    return ",".join(str((first + index) % num_gpus) for index in range(gpus_per_worker))


def _check_settings(settings: ServeSettings, with_api: bool) -> None:
    if not with_api:
        return
    with socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            raise ValueError(
                f"Port {settings.port} of {settings.host} cannot be used: {os.strerror(error.errno or 0)}."
            ) from None


@contextlib.contextmanager
def _only_workers_here(settings: ServeSettings) -> Iterator[None]:
    """Workers have fixed names on each machine, so only one supervisor may start some for a data folder."""
    lock = FileLock(settings.folder / f"workers-of-{socket.gethostname()}.lock", timeout=0)
    if not settings.workers:
        yield
        return
    try:
        lock.acquire()
    except Timeout:
        raise ValueError(
            f"Another `lumora serve` of this machine has workers for {settings.folder}; stop it or use --workers 0."
        ) from None
    try:
        yield
    finally:
        lock.release()


def _check_keys(settings: ServeSettings) -> None:
    """Raises ValueError for an address that others can reach while there are no keys."""
    engine = make_engine(settings)
    try:
        check_address(settings, KeyStore(engine))
    finally:
        engine.dispose()


def check_policy(settings: ServeSettings) -> None:
    """Raises ValueError, in one sentence, for a model that is not here, and for models that can show people at an
    address that others can reach while the operator has no policy of their own."""
    models = ServedModels(settings.models, settings.gpus_per_worker)
    if models.show_people and not settings.is_loopback and policy_file(None) is None:
        raise ValueError(
            f"Others can reach {settings.host}, and a model can show people; review the policy and name your own with "
            "LUMORA_POLICY (docs/safety.md), or serve on 127.0.0.1."
        )


def _stop(children: list[_Child]) -> None:
    """Workers first, so that clients can read and create until these have left their jobs; then the API, which needs
    the checker for what it still answers."""
    deadline = time.monotonic() + STOP_SECONDS
    for module in ("worker", "app", "checker"):
        processes = [child.process for child in children if child.module == module and child.process is not None]
        for process in processes:
            process.terminate()
        for process in processes:
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
