"""Stand-ins of the video routers of SGLang, vLLM-Omni and FastVideo over HTTP, by their recorded contracts: the same
paths, forms, answers and errors, with an engine that makes gray frames."""

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
from python_multipart.multipart import parse_options_header
from video_server_contracts import CONTRACTS

from lumora.media.video import Video


class VideoServerStub(ThreadingHTTPServer):
    """A job runs at the first GET, and is completed at the second one; or failed, if `fails`."""

    def __init__(self, kind: str, folder: Path, fails: bool = False, busy: int = 0) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.contract, self.folder, self.fails = CONTRACTS[kind], folder, fails
        self.busy = busy
        """Calls that are answered with 503 first."""
        self.forms: list[dict[str, Any]] = []
        self.jobs: dict[str, dict[str, Any]] = {}
        self.deleted: list[str] = []
        self.stuck = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


@contextlib.contextmanager
def video_server(kind: str, folder: Path, **options: Any) -> Iterator[VideoServerStub]:
    server = VideoServerStub(kind, folder, **options)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: VideoServerStub  # type: ignore[assignment]

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _send(self, code: int, content: dict[str, Any]) -> None:
        body = json.dumps(content).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        if self.path != "/v1/videos":
            self._send(404, {"detail": "Not Found"})
            return
        form = self._form()
        self.server.forms.append(form)
        if wrong := [name for name, value in form.items() if not self._is_valid(name, value)]:
            self._send(422, {"detail": [{"loc": ["body", name], "msg": "Input should be valid"} for name in wrong]})
            return
        job_id = f"job-{len(self.server.forms)}"
        job = {"id": job_id, "status": "queued", "progress": 0, "size": form["size"], "seconds": form["seconds"]}
        self.server.jobs[job_id] = {**job, "created_at": 1, **self.server.contract.job, "form": form}
        self._send(200, self._shown(job_id))

    def _is_valid(self, name: str, value: Any) -> bool:
        kind = self.server.contract.form.get(name, str)
        try:
            return isinstance(value, bytes) if kind is bytes else kind(value) is not None
        except ValueError:
            return False

    def do_GET(self) -> None:
        if self.server.busy:
            self.server.busy -= 1
            self._send(503, {"detail": "starting"})
            return
        parts = self.path.strip("/").split("/")
        if parts == ["v1", "models"]:
            model = {"id": "Wan-AI/Wan2.1-T2V-1.3B-Diffusers", "object": "model"}
            self._send(200, {"object": "list", "data": [{**model, "owned_by": self.server.contract.owned_by}]})
        elif parts[2] not in self.server.jobs:
            self._send(404, {"detail": "Video not found"})
        elif parts[-1] == "content":
            self._send_content(self.server.jobs[parts[2]])
        else:
            self._send_job(parts[2])

    def do_DELETE(self) -> None:
        job_id = self.path.rsplit("/", 1)[1]
        if job_id not in self.server.jobs:
            self._send(404, {"detail": "Video not found"})
            return
        self.server.deleted.append(job_id)
        del self.server.jobs[job_id]
        self._send(200, {"id": job_id, **self.server.contract.deleted})

    def _shown(self, job_id: str) -> dict[str, Any]:
        return {name: value for name, value in self.server.jobs[job_id].items() if name not in ("form", "asked")}

    def _send_job(self, job_id: str) -> None:
        """The first answer is of a job that runs, the second one of a job that is finished."""
        job = self.server.jobs[job_id]
        contract = self.server.contract
        job["asked"] = job.get("asked", 0) + (not self.server.stuck)
        job["status"], job["progress"] = contract.running
        if job["asked"] > 1 and self.server.fails:
            message = "CUDA out of memory in /opt/engine/worker.py"
            job |= {"status": "failed", "error": {"code": 500, "message": message}}
        elif job["asked"] > 1:
            job |= {"status": "completed", "progress": 100}
        self._send(contract.failed_code if job["status"] == "failed" else 200, self._shown(job_id))

    def _send_content(self, job: dict[str, Any]) -> None:
        if job["status"] == "completed":
            self._send_video(job)
        elif job["status"] == "failed":
            self._send(self.server.contract.failed_content_code, {"detail": "Video generation failed"})
        else:
            self._send(404, {"detail": "Generation is still in-progress"})

    def _send_video(self, job: dict[str, Any]) -> None:
        width, height = map(int, job["form"]["size"].split("x"))
        count, fps = int(job["form"]["num_frames"]), float(job["form"]["fps"])
        file = self.server.folder / f"{job['id']}.mp4"
        Video(np.full((count, height, width, 3), 90, np.uint8), fps).save(file)
        body = file.read_bytes()
        self.send_response(200)
        self.send_header("Content-Type", "video/mp4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _form(self) -> dict[str, Any]:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        kind, options = parse_options_header(self.headers["Content-Type"])
        assert kind == b"multipart/form-data"
        form: dict[str, Any] = {}
        for part in body.split(b"--" + options[b"boundary"])[1:-1]:
            head, _, value = part.partition(b"\r\n\r\n")
            name = head.split(b'name="')[1].split(b'"')[0].decode()
            value = value.removesuffix(b"\r\n")
            form[name] = value if b"filename=" in head else value.decode()
        return form
