"""A stand-in of the Hugging Face hub over HTTP: what `lumora models pull` asks of it, with ranges, for one folder."""

import contextlib
import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class HubStub(ThreadingHTTPServer):
    """Serves the files of `folder` as the repository `hub_id`, at one commit, which is "main"."""

    def __init__(self, folder: Path, hub_id: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder, self.hub_id = folder, hub_id
        self.sent: list[tuple[str, str]] = []
        """Path and range of each file that was sent."""
        self.revisions: list[str] = []
        """Of each question for the list of files."""
        self.break_off: dict[str, int] = {}
        """After so many bytes the connection for a file is closed, once."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


@contextlib.contextmanager
def hub_stub(folder: Path, hub_id: str) -> Iterator[HubStub]:
    server = HubStub(folder, hub_id)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: HubStub  # type: ignore[assignment]

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer(send_body=False)

    def do_GET(self) -> None:
        self._answer(send_body=True)

    def _answer(self, send_body: bool) -> None:
        path = self.path.partition("?")[0]
        hub_id = self.server.hub_id
        if path.startswith(f"/api/models/{hub_id}"):
            self.server.revisions.append(path.rpartition("/revision/")[2])
            self._send_json(self._info())
        elif path.startswith(f"/{hub_id}/resolve/"):
            self._send_file("/".join(path.removeprefix(f"/{hub_id}/resolve/").split("/")[1:]), send_body)
        else:
            self.send_response(404)
            self.send_header("X-Error-Code", "RepoNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()

    def _info(self) -> dict[str, object]:
        files = [path for path in sorted(self.server.folder.rglob("*")) if path.is_file()]
        siblings = [
            {"rfilename": path.relative_to(self.server.folder).as_posix(), "size": path.stat().st_size}
            for path in files
        ]
        return {"id": self.server.hub_id, "sha": COMMIT, "siblings": siblings, "private": False, "tags": []}

    def _send_json(self, content: dict[str, object]) -> None:
        body = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _send_file(self, name: str, send_body: bool) -> None:
        body = (self.server.folder / name).read_bytes()
        sha256, wanted = hashlib.sha256(body).hexdigest(), self.headers.get("Range", "")
        begin = int(wanted.removeprefix("bytes=").partition("-")[0]) if wanted else 0
        self.send_response(206 if wanted else 200)
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{sha256}"')
        if wanted:
            self.send_header("Content-Range", f"bytes {begin}-{len(body) - 1}/{len(body)}")
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(body) - begin))
        self.end_headers()
        if send_body:
            self.server.sent.append((name, wanted))
            stop = self.server.break_off.pop(name, None)
            self.wfile.write(body[begin:stop])
            if stop is not None:
                self.close_connection = True
