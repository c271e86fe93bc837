"""The API of `lumora serve` in this process: no checker, no worker, and no model."""

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from PIL import Image

from lumora.serve.app import create_app
from lumora.serve.checker_client import CheckerClient
from lumora.serve.context import ServerContext
from lumora.serve.database import create_tables, videos
from lumora.serve.settings import ServeSettings

REFUSED = "forbidden"
"""The stand-in of the checker refuses prompts with this word."""
MADE = {"size": "64x64", "seconds": 2.0, "fps": 8.0, "num_frames": 17}


def stand_in_checker(self: CheckerClient, method: str, **parameters: Any) -> Any:
    """Answers as the checker does, without PyTorch."""
    from lumora.serve.errors import ApiError

    refused = ["hate"] if REFUSED in str(parameters) else []
    match method:
        case "check_job":
            if refused:
                raise ApiError(400, "The prompt does not pass.", "moderation_blocked", categories=refused)
            return {"made": MADE, "seconds": 2.0, "warnings": [], "work": 1.0, "batch_key": None}
        case "check_prompt":
            scores = {name: {"value": 0.9, "source": "a test"} for name in refused}
            reason = "Refused: hate." if refused else "Allowed."
            verdict = {"allowed": not refused, "refused": refused, "reason": reason, "failure": None}
            return {**verdict, "scores": scores, "policy": "test"}
    return True


@contextlib.contextmanager
def api(folder: Path, **settings: Any) -> Iterator[TestClient]:
    """A client of an API of its own."""
    served = ServeSettings(str(folder), runtime_dir=str(folder), **settings)
    create_tables(served)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CheckerClient, "call", stand_in_checker)
        with TestClient(create_app(served), base_url="http://127.0.0.1") as client:
            yield client


def context_of(client: TestClient) -> ServerContext:
    return client.app.state.context  # type: ignore[attr-defined]


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def new_key(client: TestClient, *scopes: Any, max_jobs: int | None = None) -> dict[str, str]:
    """The headers of a new key."""
    return bearer(context_of(client).access.keys.create("test", scopes or ("create", "read"), max_jobs)[1])


def png(width: int = 32, height: int = 24, color: int = 90) -> bytes:
    content = io.BytesIO()
    Image.fromarray(np.full((height, width, 3), color, np.uint8)).save(content, "PNG")
    return content.getvalue()


def upload(client: TestClient, content: bytes | None = None, headers: dict[str, str] | None = None) -> dict[str, Any]:
    answer = client.post("/v1/files", files={"file": ("a.png", content or png())}, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


def finished_video(client: TestClient, headers: dict[str, str] | None = None, content: bytes = b"a video") -> str:
    """The id of a video that counts as made; its file holds `content`."""
    video_id = client.post("/v1/videos", json={"prompt": "a red ball"}, headers=headers).json()["id"]
    context = context_of(client)
    path = context.path(f"videos/{video_id}/video.mp4")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    values = {"status": "completed", "file": f"videos/{video_id}/video.mp4", "record": "0" * 8, "sha256": "00"}
    with context.engine.begin() as connection:
        connection.execute(sa.update(videos).where(videos.c.id == video_id).values(**values))
    return video_id
