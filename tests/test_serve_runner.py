"""What a worker writes into a row for each outcome of a job. A backend without networks, and no process."""

import errno
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from clips import noise
from fake_backend import FakeBackend, moderation
from test_serve_jobs import Server

from lumora import Request, Video
from lumora.backends.base import Cancelled
from lumora.provenance.manifest import read
from lumora.safety.verdict import Moderator, Verdict
from lumora.serve.api_key import OPEN
from lumora.serve.database import create_tables, videos
from lumora.serve.job_runner import MAX_ATTEMPTS, JobRunner
from lumora.serve.previews import PreviewSender
from lumora.serve.settings import ServeSettings

Make = Callable[[Request], Video]


class Harness:
    def __init__(self, folder: Path) -> None:
        create_tables(ServeSettings(str(folder)))
        (folder / "work").mkdir()
        self.server = Server(folder)
        self.stopping = threading.Event()

    def run(self, make: Make, count: int = 1, frames: Moderator[Any] | None = None) -> list[Any]:
        """Rows of new jobs after a worker ran them together."""
        ids = self.server.add(count, batch_key="same")
        self.server.store.claim("ticket", count)
        return self.finish(ids, make, frames)

    def finish(
        self, ids: list[str], make: Callable[[Request], Video], frames: Moderator[Any] | None = None
    ) -> list[Any]:
        runner = JobRunner(
            self.server.settings,
            self.server.store,
            lambda _: FakeBackend(make),
            moderation(frames=frames),
            self.stopping,
            PreviewSender("/nowhere"),
        )
        runner.run("ticket", self.server.store.begin("ticket", "worker", "token"))
        return [self.server.store.get(video_id) for video_id in ids]


@pytest.fixture
def harness(tmp_path: Path) -> Iterator[Harness]:
    harness = Harness(tmp_path)
    yield harness
    harness.server.queue.close()
    harness.server.engine.dispose()


def test_jobs_that_are_made_together_each_get_their_file(harness: Harness, tmp_path: Path):
    rows = harness.run(lambda request: noise(5), count=3)
    assert [row["status"] for row in rows] == ["completed"] * 3 and len({row["sha256"] for row in rows}) == 3
    for row in rows:
        names = {file.suffix for file in (tmp_path / row["file"]).parent.iterdir()}
        assert names == {".mp4", ".webp", ".jpg"} and read(tmp_path / row["file"]).state == "trusted"


def raises(error: Exception) -> Make:
    def make(_: Request) -> Video:
        raise error

    return make


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (ValueError("It is too long."), "invalid_request", "too long"),
        (MemoryError(), "out_of_memory", "memory"),
        (RuntimeError("CUDA out of memory."), "out_of_memory", "memory"),
        (OSError(errno.ENOSPC, "No space left on device"), "server_error", "disk"),
        (RuntimeError("/secret/path"), "server_error", "log"),
    ],
)
def test_a_failure_ends_in_the_row(harness: Harness, error: Exception, code: str, said: str):
    rows = harness.run(raises(error), count=2)  # first together, then one by one
    assert {(row["status"], row["error_code"]) for row in rows} == {("failed", code)}
    assert all(said in row["error_message"] and "/secret" not in row["error_message"] for row in rows)


def test_refused_frames_fail_one_job_of_several(harness: Harness, tmp_path: Path):
    class RefusesSecond:
        calls = 0

        def check(self, _: Any, /) -> Verdict:
            self.calls += 1
            return Verdict({}) if self.calls != 2 else Verdict({}, failure="It broke.")

    rows = harness.run(lambda request: noise(5), count=3, frames=Moderator([RefusesSecond()]))
    assert [row["error_code"] for row in rows] == [None, "content_filter", None]
    assert not list((tmp_path / "videos" / rows[1]["id"]).glob("*.mp4"))


def test_a_published_file_whose_row_was_not_written_is_used(harness: Harness, tmp_path: Path):
    (row,) = harness.run(lambda request: noise(5))
    with harness.server.engine.begin() as connection:
        unwritten = {"status": "in_progress", "file": None, "record": None, "sha256": None}
        connection.execute(sa.update(videos).values(**unwritten))
    (again,) = harness.finish([row["id"]], raises(AssertionError("It must not be made again.")))
    assert (again["status"], again["record"], again["sha256"]) == ("completed", row["record"], row["sha256"])


def test_a_job_that_ends_its_workers_fails(harness: Harness):
    (video_id,) = harness.server.add()
    harness.server.store.claim("ticket", 1)
    for _ in range(MAX_ATTEMPTS):
        harness.server.store.begin("ticket", "worker", "dead")
    (row,) = harness.finish([video_id], raises(AssertionError("It must not be made again.")))
    assert row["status"] == "failed" and "ended" in row["error_message"]


def test_a_cancelled_job_leaves_no_file_and_a_stopped_one_goes_on(harness: Harness, tmp_path: Path):
    def cancels(_: Request) -> Video:
        harness.server.store.cancel(harness.server.store.page(OPEN)[0][0]["id"])
        return noise(5)

    (row,) = harness.run(cancels)
    assert row["error_code"] == "cancelled" and not (tmp_path / "videos" / row["id"]).exists()

    def stops(_: Request) -> Video:
        harness.stopping.set()
        raise Cancelled

    (row,) = harness.run(stops)
    assert row["status"] == "in_progress" and row["error_code"] is None
