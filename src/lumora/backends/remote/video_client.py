"""A client of servers with OpenAI's Videos API: SGLang, vLLM-Omni, FastVideo, or another lumora.

What such servers have in common is used: multipart forms, `GET /v1/videos/{id}` and `/content`. Paths and addresses in
their answers are never followed. tests/video_server_contracts.py names the releases and files that this was read from.
"""

from __future__ import annotations

import http.client
import json
import re
import secrets
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

Status: TypeAlias = Literal["queued", "in_progress", "completed", "failed"]
ATTEMPTS, FIRST_PAUSE = 4, 0.5
"""Of a call that finds no server, and the seconds before the second attempt; each further pause is twice as long."""
TIMEOUT = 60.0
"""Seconds of one call."""
MAX_VIDEO_BYTES = 2 << 30
_PATH = re.compile(r"(?:[A-Za-z]:)?(?:/[\w.@+-]+){2,}/?")


class RemoteFailure(ValueError):
    """What another server refuses or fails at, in one sentence."""


@dataclass(frozen=True)
class RemoteJob:
    id: str
    status: Status
    progress: int
    """Percent."""
    error: str = ""


@dataclass(frozen=True)
class VideoClient:
    """Calls of one server; `url` ends before `/v1`."""

    url: str
    api_key: str | None = None
    sleep: Callable[[float], None] = time.sleep

    def model(self) -> dict[str, Any]:
        """The server's first model. Raises RemoteFailure if it does not answer as such a server does."""
        models = self._json("GET", "/v1/models").get("data")
        if not isinstance(models, list) or not models or not isinstance(models[0], dict):
            raise RemoteFailure(f"{self.url} lists no model at /v1/models, so it is not a server of videos.")
        return models[0]

    def create(self, fields: Mapping[str, str], image: bytes | None, key: str) -> RemoteJob:
        """Asks for a video. `key` is an Idempotency-Key, which servers that know it answer once."""
        body, content_type = _form(fields, image)
        headers = {"Content-Type": content_type, "Idempotency-Key": key}
        return _job(self._json("POST", "/v1/videos", body, headers))

    def get(self, job_id: str) -> RemoteJob:
        """The state of a job. Some servers answer for a failed job with its error's status and the job as body."""
        return _job(self._json("GET", f"/v1/videos/{_checked_id(job_id)}", allow_failed_job=True))

    def download(self, job_id: str, file: Path) -> None:
        """Writes the video of a finished job to `file`."""
        with self._open("GET", f"/v1/videos/{_checked_id(job_id)}/content") as answer, file.open("wb") as target:
            size = 0
            while chunk := answer.read(1 << 20):
                size += len(chunk)
                if size > MAX_VIDEO_BYTES:
                    raise RemoteFailure(f"{self.url} sends more than {MAX_VIDEO_BYTES >> 30} GiB for one video.")
                target.write(chunk)

    def cancel(self, job_id: str, is_lumora: bool) -> None:
        """Stops a job where the server can: lumora cancels, vLLM-Omni aborts what is deleted, the others go on."""
        try:
            if is_lumora:
                self._json("POST", f"/v1/videos/{_checked_id(job_id)}/cancel")
            self._json("DELETE", f"/v1/videos/{_checked_id(job_id)}")
        except RemoteFailure:
            return  # it is finished or gone

    def _json(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        allow_failed_job: bool = False,
    ) -> dict[str, Any]:
        try:
            with self._open(method, path, body, headers) as answer:
                content = json.loads(answer.read())
        except urllib.error.HTTPError as error:
            content = _json_of(error)
            if not (allow_failed_job and content.get("status") == "failed"):
                raise RemoteFailure(f"The other server answers {error.code}: {_message(content)}") from None
        except ValueError as error:
            if isinstance(error, RemoteFailure):
                raise
            raise RemoteFailure(f"{self.url} does not answer in JSON, so it is not a server of videos.") from None
        if not isinstance(content, dict):
            raise RemoteFailure(f"{self.url} does not answer as a server of videos does.")
        return content

    def _open(self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None) -> Any:
        """Calls again while there is no connection; what a server may have received is sent once more only if it is
        a question, or has an Idempotency-Key."""
        authorization = {"Authorization": f"Bearer {self.api_key}"} if self.api_key else {}
        request = urllib.request.Request(self.url + path, body, {**authorization, **(headers or {})}, method=method)
        for attempt in range(ATTEMPTS):
            try:
                return _OPENER.open(request, timeout=TIMEOUT)
            except urllib.error.HTTPError as error:
                if error.code not in (429, 502, 503, 504) or attempt == ATTEMPTS - 1:
                    raise
            except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
                if attempt == ATTEMPTS - 1:
                    reason = getattr(error, "reason", None) or error
                    raise RemoteFailure(f"The server {self.url} cannot be reached: {reason}.") from None
            self.sleep(FIRST_PAUSE * 2**attempt)
        raise AssertionError("unreachable")


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """An answer that names another address is an error: keys and prompts stay with the server that was named."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirects)


def _form(fields: Mapping[str, str], image: bytes | None) -> tuple[bytes, str]:
    """A multipart form and its content type."""
    boundary = secrets.token_hex(16)
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    if image is not None:
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="input_reference"; filename="image.png"\r\n'
        parts.append(head.encode() + b"Content-Type: image/png\r\n\r\n" + image + b"\r\n")
    return b"".join([*parts, f"--{boundary}--\r\n".encode()]), f"multipart/form-data; boundary={boundary}"


def _job(content: Mapping[str, Any]) -> RemoteJob:
    status = content.get("status")
    if status not in ("queued", "in_progress", "completed", "failed") or not isinstance(content.get("id"), str):
        raise RemoteFailure("The other server does not answer with a video job.")
    progress = content.get("progress")
    percent = int(progress) if isinstance(progress, (int, float)) else 0
    return RemoteJob(content["id"], status, percent, _message(content) if status == "failed" else "")


def _message(content: Mapping[str, Any]) -> str:
    """What an answer says is wrong, in one line, without paths of the other machine."""
    error = content.get("error") or content.get("detail") or content.get("message") or "no reason is given"
    text = error.get("message", "no reason is given") if isinstance(error, dict) else str(error)
    return _PATH.sub("…", " ".join(str(text).split()))[:500].rstrip(".") + "."


def _json_of(error: urllib.error.HTTPError) -> dict[str, Any]:
    try:
        content = json.loads(error.read())
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _checked_id(job_id: str) -> str:
    if not re.fullmatch(r"[\w.-]{1,200}", job_id) or set(job_id) == {"."}:
        raise RemoteFailure("The other server gives its job an id that is not one.")
    return job_id
