"""`lumora serve` as processes of its own, for tests: the real API, checker and workers."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

START_SECONDS = 240.0
JOB_SECONDS = 240.0


class ServeProcess:
    """A server on a free port of loopback."""

    def __init__(self, data_dir: Path, model: Path | None, *flags: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.data_dir, self.url = data_dir, f"http://127.0.0.1:{self.port}"
        command = [sys.executable, "-m", "lumora", "serve", "--port", str(self.port), "--data-dir", str(data_dir)]
        self.command = [*command, *(["--model", str(model)] if model else []), *flags]
        self.log = data_dir.with_suffix(".log")
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, ready: bool = True) -> None:
        self.process = subprocess.Popen(self.command, stdout=self.log.open("ab"), stderr=subprocess.STDOUT)
        deadline = time.monotonic() + START_SECONDS
        while ready and not self.is_ready():
            assert self.process.poll() is None and time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.1)

    def is_ready(self) -> bool:
        try:
            return self.call("GET", "/readyz")[0] == 200
        except OSError:
            return False

    def stop(self) -> int:
        """Stops it as a service manager does; the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def children(self, module: str) -> list[int]:
        """Process ids of the running children with this module's `main`."""
        assert self.process is not None
        found = subprocess.run(
            ["pgrep", "-P", str(self.process.pid), "-f", f"lumora.serve.{module} import"],
            capture_output=True,
            text=True,
        )
        return [int(pid) for pid in found.stdout.split()]

    def kill(self, module: str) -> None:
        for pid in self.children(module):
            os.kill(pid, signal.SIGKILL)

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """Status and JSON of an answer. Raises OSError while the server cannot be reached."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self.url + path, data, {"Content-Type": "application/json", **headers}, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())

    def content(self, path: str) -> bytes:
        with urllib.request.urlopen(self.url + path, timeout=120) as answer:
            return answer.read()

    def create(self, prompt: str = "a ball", path: str = "/v1/videos", **fields: Any) -> dict[str, Any]:
        status, video = self.call("POST", path, {"prompt": prompt, "num_inference_steps": 2, **fields})
        assert status == 200, video
        return video

    def finished(self, video_id: str) -> dict[str, Any]:
        """The video once it is completed or failed."""
        deadline = time.monotonic() + JOB_SECONDS
        while time.monotonic() < deadline:
            video = self.call("GET", f"/v1/videos/{video_id}")[1]
            if video["status"] in ("completed", "failed"):
                return video
            time.sleep(0.1)
        raise AssertionError(f"{video_id} is not finished: {self.log.read_text()[-3_000:]}")
