"""Calls that handle files of strangers, each in a process of its own with limits on memory, processor and clock time.

A template process imports what the calls need, once, and forks for each call, so that a call costs milliseconds. It
answers on a socket that only this user can connect to, with JSON: what a child sends is data, never code. The template
ends with the process that started it.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import resource
import secrets
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from typing import Any

START_SECONDS = 120.0
"""Within this time the template must have imported its modules. PyTorch takes long on a busy machine."""
MAX_ANSWER_BYTES = 16 << 20


@dataclass(frozen=True)
class SandboxLimits:
    memory_bytes: int = 2 << 30
    """Beyond what the template has."""
    cpu_seconds: int = 60
    wall_seconds: float = 90.0


class SandboxError(Exception):
    """A call did not end within its limits, or its process died. The message is one sentence."""


class SandboxBusyError(Exception):
    """Too many calls wait."""


class Sandbox:
    """Starts the template with the first call, and again where it died. Several threads may call at once."""

    def __init__(
        self, modules: Sequence[str], limits: SandboxLimits | None = None, parallel: int = 2, waiting: int = 8
    ) -> None:
        """The template imports `modules`, and calls their `warm_up` if they have one.

        Only their functions can be called, `parallel` at a time, while `waiting` more wait.
        """
        self._modules, self._limits = tuple(modules), limits or SandboxLimits()
        self._template: subprocess.Popen[bytes] | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._authkey = secrets.token_bytes(32)
        self._starting = threading.Lock()
        self._running = threading.BoundedSemaphore(parallel)
        self._places = threading.BoundedSemaphore(parallel + waiting)

    def call(self, module: str, function: str, **arguments: Any) -> Any:
        """The result of a function of one of the modules; arguments and result are JSON.

        Raises ValueError where the function does, SandboxError where it exceeds a limit, and SandboxBusyError.
        """
        if module not in self._modules:
            raise ValueError(f"{module} is none of the sandbox's modules.")
        if not self._places.acquire(blocking=False):
            raise SandboxBusyError
        try:
            with self._running, contextlib.closing(self._connect()) as connection:
                request = {"module": module, "function": function, "arguments": arguments, **asdict(self._limits)}
                connection.send_bytes(json.dumps(request).encode())
                answer = self._answer(connection)
        finally:
            self._places.release()
        if "error" in answer:
            raise ValueError(answer["error"])
        return answer["result"]

    def close(self) -> None:
        with self._starting:
            if self._template is not None:
                self._template.kill()
                self._template.wait()
                self._template = None
            if self._folder is not None:
                self._folder.cleanup()
                self._folder = None

    def _answer(self, connection: Connection) -> dict[str, Any]:
        # The child's own timer ends it; the second more is for a machine that is late.
        try:
            if connection.poll(self._limits.wall_seconds + 1):
                return json.loads(connection.recv_bytes(MAX_ANSWER_BYTES))
        except (EOFError, OSError):
            raise SandboxError("It needs more memory or time than one file may take.") from None
        raise SandboxError(f"It takes longer than {self._limits.wall_seconds:g} seconds.")

    def _connect(self) -> Connection:
        deadline = time.monotonic() + START_SECONDS
        while True:
            with self._starting:
                address = self._start()
            try:
                return Client(address, "AF_UNIX", self._authkey)
            except (FileNotFoundError, ConnectionError):
                if time.monotonic() > deadline:
                    raise SandboxError("The process that examines files does not start.") from None
                time.sleep(0.05)

    def _start(self) -> str:
        """The address of the template, which is started unless it runs."""
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="lumora-")  # mode 0700
        address = str(Path(self._folder.name) / "sandbox")
        if self._template is None or self._template.poll() is not None:
            Path(address).unlink(missing_ok=True)
            command = [sys.executable, "-m", __name__, address, *self._modules]
            environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
            self._template = subprocess.Popen(command, stdin=subprocess.PIPE, env=environment)
            assert self._template.stdin is not None
            self._template.stdin.write(self._authkey)
            self._template.stdin.flush()  # and stays open: its end tells the template to end
        return address


def main(address: str, modules: Sequence[str]) -> None:
    """The template: forks for each connection until standard input ends."""
    authkey = os.read(0, 32)
    for module in map(importlib.import_module, modules):
        getattr(module, "warm_up", lambda: None)()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # ended children are not kept as zombies
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all processes; the one that started this one decides
    # The folder may be gone before the socket is closed.
    with contextlib.suppress(FileNotFoundError), Listener(address, "AF_UNIX", backlog=64) as listener:
        socket: Any = listener._listener._socket  # type: ignore[attr-defined]  # nothing public can be waited for
        while True:
            ready, _, _ = select.select([socket, 0], [], [])
            if 0 in ready:
                return
            connection = listener.accept()
            if os.fork() == 0:
                socket.close()
                with contextlib.suppress(BaseException):
                    _serve(connection, authkey)
                os._exit(0)
            connection.close()


def _serve(connection: Connection, authkey: bytes) -> None:
    from multiprocessing.connection import answer_challenge, deliver_challenge

    deliver_challenge(connection, authkey)
    answer_challenge(connection, authkey)
    request = json.loads(connection.recv_bytes(MAX_ANSWER_BYTES))
    _limit(SandboxLimits(*(request[name] for name in ("memory_bytes", "cpu_seconds", "wall_seconds"))))
    try:
        function = getattr(sys.modules[request["module"]], request["function"])
        answer = {"result": function(**request["arguments"])}
    except MemoryError:
        return
    except (ValueError, OSError) as error:
        answer = {"error": str(error)}
    connection.send_bytes(json.dumps(answer).encode())


def _limit(limits: SandboxLimits) -> None:
    """Limits this process. Nothing can be written to files, and no core is dumped."""
    for kind, value in _rlimits(limits):
        with contextlib.suppress(ValueError, OSError):  # not every system has every limit
            resource.setrlimit(kind, (value, value))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, limits.wall_seconds)


def _rlimits(limits: SandboxLimits) -> Iterator[tuple[int, int]]:
    try:
        present = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except OSError:  # not on Linux
        present = 1 << 30
    yield resource.RLIMIT_AS, present + limits.memory_bytes
    yield resource.RLIMIT_CPU, limits.cpu_seconds
    yield resource.RLIMIT_FSIZE, 0
    yield resource.RLIMIT_CORE, 0


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
