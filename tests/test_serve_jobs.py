"""The rows of videos and the queue: states, order, claims, takeover, limits. No model and no process."""

import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from lumora.serve.api_key import OPEN, ApiKey
from lumora.serve.database import create_tables, events, make_engine, metadata, videos, workers
from lumora.serve.errors import ApiError
from lumora.serve.queue import QUEUE_NAME, JobQueue
from lumora.serve.settings import ServeLimits, ServeSettings
from lumora.serve.video_objects import video_object
from lumora.serve.video_store import ACTIVE, VideoStore


def row(**values: Any) -> dict[str, Any]:
    """What the API stores for a new job."""
    now = time.time()
    return {
        "id": f"video_{secrets.token_hex(8)}",
        "owner": "",
        "status": "queued",
        "created_at": now,
        "task": "text",
        "model": "lumora",
        "prompt": "a ball",
        "seconds": "2",
        "size": "64x64",
        "seed": 0,
        "spec": {"task": "text", "prompt": "a ball"},
        "queue_order": now,
        "work": 1.0,
        **values,
    }


class Server:
    """A database of its own."""

    def __init__(self, folder: Path, **limits: Any) -> None:
        self.settings = ServeSettings(str(folder), limits=ServeLimits(**limits), takeover_seconds=5.0)
        self.engine = make_engine(self.settings)
        self.store, self.queue = VideoStore(self.engine, self.settings), JobQueue(self.engine, self.settings)

    def clear(self) -> None:
        with self.engine.begin() as connection:
            for table in reversed(metadata.sorted_tables):
                connection.execute(sa.delete(table))

    def add(self, count: int = 1, key: ApiKey = OPEN, **values: Any) -> list[str]:
        return [r["id"] for r in self.queue.add(key, [row(owner=key.id, **values) for _ in range(count)])]

    def start(self, token: str = "token", batch_size: int = 1) -> list[str]:
        """Claims and begins as a worker does; the ids."""
        ticket = secrets.token_hex(4)
        self.store.claim(ticket, batch_size)
        return [r["id"] for r in self.store.begin(ticket, "worker", token)]


@pytest.fixture(scope="module")
def new_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Server]]:
    """Servers on one empty database."""
    folder = tmp_path_factory.mktemp("serve")
    create_tables(ServeSettings(str(folder)))
    servers: list[Server] = []

    def new(**limits: Any) -> Server:
        servers.append(Server(folder, **limits))
        servers[-1].clear()
        return servers[-1]

    yield new
    for server in servers:
        server.queue.close()
        server.engine.dispose()


class VideoStates(RuleBasedStateMachine):
    """Every sequence of what clients, workers, zombies and cancels do, against a model of the states."""

    folder: Path
    ids = Bundle("ids")
    runs = Bundle("runs")

    @initialize()
    def begin(self) -> None:
        self.server = Server(self.folder)
        self.server.clear()
        self.states: dict[str, str] = {}
        self.tokens: dict[str, str] = {}

    @rule(target=ids, priority=st.integers(-2, 2))
    def create(self, priority: int) -> str:
        (video_id,) = self.server.add(priority=priority)
        self.states[video_id] = "queued"
        return video_id

    @rule(target=runs)
    def take(self) -> tuple[str, str] | None:
        waiting = [r["id"] for r in self.server.store.queued()]
        token = secrets.token_hex(4)
        started = self.server.start(token)
        assert started == waiting[:1]
        for video_id in started:
            self.states[video_id], self.tokens[video_id] = "in_progress", token
        return (started[0], token) if started else None

    @rule(run=runs)
    def progress(self, run: tuple[str, str] | None) -> None:
        if run:
            assert self.server.store.set_progress(*run, 1, 4) == self.is_valid(run)

    @rule(run=consumes(runs), success=st.booleans())
    def end(self, run: tuple[str, str] | None, success: bool) -> None:
        if not run:
            return
        valid = self.is_valid(run)
        if success:
            assert self.server.store.finish(*run, "file", "00", "00") == valid
        else:
            assert self.server.store.fail(*run, "server_error", "It failed.") == valid
        if valid:
            self.states[run[0]] = "completed" if success else "failed"

    @rule(target=runs, video_id=ids)
    def take_over(self, video_id: str) -> tuple[str, str] | None:
        """Another process continues the ticket; the first one is a zombie from now on."""
        if self.states.get(video_id) != "in_progress":
            return None
        ticket, token = self.server.store.get(video_id)["ticket"], secrets.token_hex(4)
        self.server.store.begin(ticket, "other", token)
        self.tokens[video_id] = token
        return video_id, token

    @rule(video_id=ids)
    def cancel(self, video_id: str) -> None:
        active = self.states.get(video_id) in ACTIVE
        assert self.server.store.cancel(video_id) == active
        if active:
            self.states[video_id] = "failed"

    @rule(video_id=ids)
    def edit(self, video_id: str) -> None:
        changed = self.server.store.change(video_id, queued_only=True, prompt="a cube")
        assert changed == (self.states.get(video_id) == "queued")

    @rule(video_id=consumes(ids))
    def delete(self, video_id: str) -> None:
        self.server.store.delete(video_id)
        self.states.pop(video_id, None)

    def is_valid(self, run: tuple[str, str]) -> bool:
        video_id, token = run
        return self.states.get(video_id) == "in_progress" and self.tokens[video_id] == token

    @invariant()
    def rows_are_as_expected(self) -> None:
        if not hasattr(self, "server"):
            return
        rows, _ = self.server.store.page(OPEN, limit=1_000)
        assert {r["id"]: r["status"] for r in rows} == self.states
        assert all((r["file"] is not None) == (r["status"] == "completed") for r in rows)
        assert all((r["error_code"] is not None) == (r["status"] == "failed") for r in rows)
        assert all(video_object(r).urls is None for r in rows if r["status"] != "completed")

    def teardown(self) -> None:
        if hasattr(self, "server"):
            self.server.queue.close()
            self.server.engine.dispose()


def test_no_order_of_events_breaks_a_state(tmp_path: Path):
    create_tables(ServeSettings(str(tmp_path)))
    VideoStates.folder = tmp_path
    from hypothesis.stateful import run_state_machine_as_test

    limits = hypothesis_settings(max_examples=8, stateful_step_count=20, deadline=None)
    run_state_machine_as_test(VideoStates, settings=limits)


def test_a_row_and_its_ticket_are_stored_together_or_not_at_all(new_server: Callable[..., Server]):
    server = new_server(max_queued_jobs=3)
    server.add(3)
    with pytest.raises(ApiError) as full:
        server.add()
    assert full.value.status == 429 and int(full.value.headers["Retry-After"]) <= 120
    tickets = server.queue._client.list_workflows(status="ENQUEUED", queue_name=QUEUE_NAME)
    assert len(server.store.queued()) == 3 and len([t for t in tickets if t.created_at]) >= 3


def test_a_key_has_a_limit_of_its_own_and_finished_jobs_do_not_count(new_server: Callable[..., Server]):
    server = new_server(max_jobs_per_key=2)
    key, other = ApiKey("a", frozenset({"create", "read"})), ApiKey("b", frozenset({"create", "read"}), max_jobs=1)
    first, _ = server.add(2, key)
    with pytest.raises(ApiError, match="at most 2"):
        server.add(1, key)
    server.add(1, other)
    with pytest.raises(ApiError, match="at most 1"):
        server.add(1, other)
    server.store.cancel(first)
    server.add(1, key)


def test_jobs_of_equal_shape_are_claimed_together_in_their_order(new_server: Callable[..., Server]):
    server = new_server()
    small = [server.add(batch_key="small")[0] for _ in range(3)]
    (large,) = server.add(batch_key="large")
    (urgent,) = server.add(batch_key=None, priority=5)
    assert server.start(batch_size=4) == [urgent]
    assert server.start(batch_size=2) == small[:2]
    assert server.start(batch_size=2) == small[2:] and server.start(batch_size=2) == [large]
    assert server.start() == []


def test_waiting_jobs_are_reordered_among_themselves(new_server: Callable[..., Server]):
    server = new_server()
    a, b, c, d = (server.add()[0] for _ in range(4))
    server.queue.reorder(OPEN, [d, a])
    assert [r["id"] for r in server.store.queued()] == [d, b, c, a]
    server.start()
    with pytest.raises(ApiError) as error:
        server.queue.reorder(OPEN, [d, b])
    assert error.value.status == 409
    with pytest.raises(ApiError):  # of another key
        server.queue.reorder(ApiKey("x", frozenset({"create"})), [b, c])


def test_an_idempotency_key_makes_one_job(new_server: Callable[..., Server]):
    server = new_server()
    first = server.add(idempotency_key="k", idempotency_hash="1")
    assert server.add(idempotency_key="k", idempotency_hash="1") == first
    with pytest.raises(ApiError) as conflict:
        server.add(idempotency_key="k", idempotency_hash="2")
    assert conflict.value.status == 409 and conflict.value.headers["x-should-retry"] == "false"
    server.store.delete(first[0])
    assert server.add(idempotency_key="k", idempotency_hash="1") != first


def test_positions_and_times_follow_from_measured_work(new_server: Callable[..., Server]):
    server = new_server()
    first, second, third = (server.add(work=100.0)[0] for _ in range(3))
    assert server.store.estimates().eta_seconds(server.store.get(first)) is None
    server.store.add_timing("", work=100.0, denoising_seconds=10.0, other_seconds=1.0)
    server.queue.heartbeat("w", "host", 1)
    server.start()
    server.store.set_progress(first, "token", 5, 10)
    estimates = server.store.estimates()
    objects = [video_object(server.store.get(video_id), estimates) for video_id in (first, second, third)]
    assert [o.queue_position for o in objects] == [None, 1, 2]
    assert [o.eta_seconds for o in objects] == [6.0, 17.0, 28.0]


def test_tickets_of_silent_workers_and_lost_jobs_come_back(new_server: Callable[..., Server]):
    server = new_server()
    (video_id,) = server.add()
    server.start()
    with server.engine.begin() as connection:
        connection.execute(sa.update(videos).values(started_at=time.time() - 60, created_at=time.time() - 60))
        connection.execute(sa.text("DELETE FROM workflow_status"))
    assert server.queue.take_over() == 1
    assert server.store.get(video_id)["status"] == "queued"
    assert server.queue.take_over() == 0, "its new ticket waits"


def test_what_expires_or_was_left_half_removed_is_removed(new_server: Callable[..., Server]):
    server = new_server(expire_after_hours=1.0)
    kept, expired, hidden = (server.add()[0] for _ in range(3))
    for _ in range(2):
        (started,) = server.start()
        server.store.finish(started, "token", f"videos/{started}/a.mp4", "00", "00")
    for video_id in (kept, expired, hidden):
        folder = server.store.folder_of(video_id)
        folder.mkdir(parents=True)
        (folder / "a.mp4").touch()
    with server.engine.begin() as connection:
        connection.execute(sa.update(videos).where(videos.c.id == expired).values(expires_at=time.time() - 1))
        connection.execute(sa.update(videos).where(videos.c.id == hidden).values(deleting=True))
    server.store.finish_deletions()
    assert [r["id"] for r in server.store.page(OPEN)[0]] == [kept]
    assert [folder.name for folder in server.store.folder_of(kept).parent.iterdir()] == [kept]
    server.store.folder_of("video_unknown").mkdir()
    server.store.discard_orphans()
    assert [folder.name for folder in server.store.folder_of(kept).parent.iterdir()] == [kept]


def test_heartbeats_keep_one_row_for_a_worker(new_server: Callable[..., Server]):
    server = new_server()
    for _ in range(2):
        server.queue.heartbeat("w", "host", 1)
    with server.engine.connect() as connection:
        assert len(list(connection.execute(sa.select(workers)))) == 1
        assert not list(connection.execute(sa.select(events)))
    server.queue.remove_worker("w")
    assert server.store.estimates().workers == 0


def test_a_database_of_another_version_is_refused_in_a_sentence(tmp_path: Path):
    settings = ServeSettings(str(tmp_path))
    create_tables(settings)
    with make_engine(settings).begin() as connection:
        connection.execute(sa.text("ALTER TABLE workers DROP COLUMN host"))
    with pytest.raises(ValueError, match=r"workers lacks host"):
        create_tables(settings)
