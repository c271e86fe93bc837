"""What the processes that the supervisor starts have in common."""

from __future__ import annotations

import logging
import os
import sys
import threading

from lumora.serve.settings import ServeSettings

WORKER_ID = "LUMORA_WORKER_ID"
"""Environment variable with the fixed id of a worker, under which it finds its jobs again."""

PARENT = "LUMORA_SUPERVISOR_PID"
"""Environment variable with the process id of the supervisor."""


def child_environment(settings: ServeSettings) -> dict[str, str]:
    """The environment of the children of this process."""
    return {**settings.environment(), PARENT: str(os.getpid())}


def command(module: str) -> list[str]:
    """The command line of a process that runs `main` of a module of this package."""
    return [sys.executable, "-c", f"from lumora.serve.{module} import main; main()"]


def begin_process() -> ServeSettings:
    """Sets up logging and the end with the parent, and returns the settings."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for noisy in ("dbos", "httpx", "uvicorn.access"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    _end_with_parent()
    return ServeSettings.from_environment()


def _end_with_parent() -> None:
    """Ends this process within a second when its parent ends, also when that is killed while this process starts."""
    parent = int(os.environ[PARENT])

    def watch() -> None:
        while os.getppid() == parent:
            threading.Event().wait(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
