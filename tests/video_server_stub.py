"""Stand-ins of the video routers of SGLang and vLLM-Omni over HTTP, after their sources: the same paths, forms, answers
and errors, with an engine that makes gray frames."""

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal

import numpy as np
from python_multipart.multipart import parse_options_header

from lumora.media.video import Video

Kind = Literal["sglang", "vllm"]


class VideoServerStub(ThreadingHTTPServer):
    """Each GET of a job advances it by one state: queued, in_progress, completed; or failed, if `fails`."""

    def __init__(self, kind: Kind, folder: Path, fails: bool = False, busy: int = 0) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.kind, self.folder, self.fails = kind, folder, fails
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
def video_server(kind: Kind, folder: Path, **options: Any) -> Iterator[VideoServerStub]:
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
        form = self._form()
        self.server.forms.append(form)
        if self.server.kind == "vllm" and not form["seconds"].isdigit():
            self._send(422, {"detail": "String should match pattern '^[1-9]\\d*$'"})
            return
        job_id = f"job-{len(self.server.jobs)}"
        job = {"id": job_id, "object": "video", "status": "queued", "progress": 0, "size": form["size"]}
        if self.server.kind == "sglang":
            job["file_path"] = "/srv/outputs/secret.mp4"
        self.server.jobs[job_id] = {**job, "form": form}
        self._send(200, job)

    def do_GET(self) -> None:
        if self.server.busy:
            self.server.busy -= 1
            self._send(503, {"detail": "starting"})
            return
        parts = self.path.strip("/").split("/")
        if parts == ["v1", "models"]:
            self._send(200, {"data": [{"id": "Wan-AI/Wan2.1-T2V-1.3B-Diffusers", "owned_by": self.server.kind}]})
        elif parts[-1] == "content":
            self._send_video(self.server.jobs[parts[2]])
        elif parts[2] not in self.server.jobs:
            self._send(404, {"detail": "Video not found"})
        else:
            self._send_job(self.server.jobs[parts[2]])

    def do_DELETE(self) -> None:
        job_id = self.path.rsplit("/", 1)[1]
        self.server.deleted.append(job_id)
        self._send(200, {**self.server.jobs.pop(job_id), "form": None, "status": "deleted"})

    def _send_job(self, job: dict[str, Any]) -> None:
        shown = {name: value for name, value in job.items() if name != "form"}
        if job["status"] == "in_progress" and self.server.fails:
            message = "CUDA out of memory in /opt/engine/worker.py"
            shown |= {"status": "failed", "error": {"code": 500, "message": message}}
            self._send(500 if self.server.kind == "vllm" else 200, shown)
            return
        if not self.server.stuck:
            following = {"queued": "in_progress", "in_progress": "completed"}
            job["status"] = following.get(job["status"], job["status"])
            job["progress"] = 50 if self.server.kind == "sglang" and job["status"] == "in_progress" else 0
        self._send(200, shown)

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
