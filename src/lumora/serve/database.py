"""The tables that clients read, and the engine that API, workers and DBOS share. SQLite and PostgreSQL."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, TypeAlias

import sqlalchemy as sa
from dbos import DBOS
from sqlalchemy import event

from lumora.serve.settings import ServeSettings

metadata = sa.MetaData()

Row: TypeAlias = Mapping[Any, Any]
"""A row of a table, by the names of its columns."""
NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")
"""SQLite counts up only keys of type INTEGER."""

videos = sa.Table(
    "videos",
    metadata,
    sa.Column("number", NUMBER, primary_key=True, autoincrement=True),  # the order of lists
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("owner", sa.Text, nullable=False, index=True),  # the id of the key; "" without keys
    sa.Column("status", sa.Text, nullable=False, index=True),
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("started_at", sa.Float),
    sa.Column("completed_at", sa.Float),
    sa.Column("expires_at", sa.Float),
    sa.Column("error_code", sa.Text),
    sa.Column("error_message", sa.Text),
    sa.Column("task", sa.Text, nullable=False),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("prompt", sa.Text, nullable=False),
    sa.Column("seconds", sa.Text, nullable=False),
    sa.Column("size", sa.Text, nullable=False),
    sa.Column("seed", sa.BigInteger, nullable=False),
    sa.Column("progress", sa.Integer, nullable=False, default=0),
    sa.Column("step", sa.Integer, nullable=False, default=0),
    sa.Column("total_steps", sa.Integer, nullable=False, default=0),
    sa.Column("spec", sa.JSON, nullable=False),  # a JobSpec: what is asked for
    sa.Column("parent_video_ids", sa.JSON, nullable=False, default=list),
    sa.Column("remixed_from_video_id", sa.Text),
    sa.Column("group_id", sa.Text, index=True),
    sa.Column("made", sa.JSON),
    sa.Column("warnings", sa.JSON, nullable=False, default=list),
    sa.Column("work", sa.Float, nullable=False, default=0.0),  # pixels · frames · steps, for estimates
    sa.Column("batch_key", sa.Text),  # jobs with the same key can be made together
    sa.Column("priority", sa.Integer, nullable=False, default=0),  # higher is earlier
    sa.Column("queue_order", sa.Float, nullable=False, default=0.0),  # lower is earlier
    sa.Column("ticket", sa.Text),  # the DBOS workflow that makes it
    sa.Column("run_token", sa.Text),  # of the process that may write the row
    sa.Column("worker_id", sa.Text),
    sa.Column("attempts", sa.Integer, nullable=False, default=0),
    sa.Column("file", sa.Text),  # relative to the data folder
    sa.Column("record", sa.Text),  # of the watermark
    sa.Column("sha256", sa.Text),
    sa.Column("tags", sa.JSON, nullable=False, default=list),
    sa.Column("title", sa.Text),
    sa.Column("favorite", sa.Boolean, nullable=False, default=False),
    sa.Column("idempotency_key", sa.Text),
    sa.Column("idempotency_hash", sa.Text),  # of the body that came with the key
    sa.Column("deleting", sa.Boolean, nullable=False, default=False),  # hidden; files and row are being removed
    sa.Index("videos_queue", "status", "priority", "queue_order"),
    sa.UniqueConstraint("owner", "idempotency_key", name="videos_idempotency"),
)

files = sa.Table(
    "files",
    metadata,
    sa.Column("number", NUMBER, primary_key=True, autoincrement=True),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("owner", sa.Text, nullable=False, index=True),
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("filename", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),  # image or video
    sa.Column("mime", sa.Text, nullable=False),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("width", sa.Integer, nullable=False),
    sa.Column("height", sa.Integer, nullable=False),
    sa.Column("seconds", sa.Float),
    sa.Column("fps", sa.Float),
    sa.Column("sha256", sa.Text, nullable=False),
    sa.Column("warnings", sa.JSON, nullable=False),
    sa.Column("provenance", sa.JSON, nullable=False),
    sa.Column("expires_at", sa.Float, index=True),
    sa.Column("file", sa.Text, nullable=False),  # relative to the data folder
)

characters = sa.Table(
    "characters",
    metadata,
    sa.Column("number", NUMBER, primary_key=True, autoincrement=True),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("owner", sa.Text, nullable=False, index=True),
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("description", sa.Text, nullable=False, default=""),
    sa.Column("file_id", sa.Text),
    sa.Column("seed", sa.BigInteger),
)

keys = sa.Table(
    "keys",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("prefix", sa.Text, nullable=False),
    sa.Column("hash", sa.Text, nullable=False),  # of the secret part
    sa.Column("scopes", sa.JSON, nullable=False),
    sa.Column("max_jobs", sa.Integer),
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("revoked_at", sa.Float),
)

webhook_endpoints = sa.Table(
    "webhook_endpoints",
    metadata,
    sa.Column("number", NUMBER, primary_key=True, autoincrement=True),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("owner", sa.Text, nullable=False, index=True),
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("updated_at", sa.Float, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("event_types", sa.JSON, nullable=False),
    sa.Column("secret", sa.Text, nullable=False),  # as it is: signatures need it
    sa.Column("old_secret", sa.Text),
    sa.Column("old_secret_until", sa.Float),
)

webhook_deliveries = sa.Table(
    "webhook_deliveries",
    metadata,
    sa.Column("number", NUMBER, primary_key=True, autoincrement=True),
    sa.Column("endpoint_id", sa.Text, nullable=False, index=True),
    sa.Column("event_id", sa.Text, nullable=False),
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),  # pending, delivered or failed
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("next_attempt_at", sa.Float, nullable=False),
    sa.Column("last_status", sa.Integer),
    sa.Index("webhook_deliveries_due", "state", "next_attempt_at"),
)

events = sa.Table(
    "events",
    metadata,
    sa.Column("number", NUMBER, primary_key=True, autoincrement=True),
    sa.Column("created_at", sa.Float, nullable=False, index=True),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("video_id", sa.Text),
    sqlite_autoincrement=True,  # a number is never used twice, so that Last-Event-ID stays valid
)

workers = sa.Table(
    "workers",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("host", sa.Text, nullable=False),
    sa.Column("pid", sa.Integer, nullable=False),
    sa.Column("started_at", sa.Float, nullable=False),
    sa.Column("heartbeat_at", sa.Float, nullable=False, index=True),
)

timings = sa.Table(
    "timings",
    metadata,
    sa.Column("model", sa.Text, primary_key=True),
    sa.Column("seconds_per_work", sa.Float, nullable=False),  # of denoising, averaged over the last jobs
    sa.Column("overhead_seconds", sa.Float, nullable=False),  # of review, encoding and signing
    sa.Column("jobs", sa.Integer, nullable=False),
    sa.Column("steps", sa.BigInteger, nullable=False),  # denoising steps of all jobs
    sa.Column("step_seconds", sa.Float, nullable=False),  # how long they took
)


def make_engine(settings: ServeSettings) -> sa.Engine:
    """An engine for the database of `settings`, whose tables must exist (`create_tables`)."""
    if settings.database_url is not None:
        return sa.create_engine(settings.sqlalchemy_url, pool_size=10, max_overflow=20, pool_pre_ping=True)
    engine = sa.create_engine(
        settings.sqlalchemy_url, connect_args={"check_same_thread": False}, pool_size=10, max_overflow=30
    )

    @event.listens_for(engine, "connect")
    def set_pragmas(connection: Any, _: Any) -> None:
        connection.isolation_level = "IMMEDIATE"
        connection.execute("PRAGMA busy_timeout=30000")
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")

    return engine


def create_tables(settings: ServeSettings) -> None:
    """Creates or migrates the tables of DBOS, and creates those of this module that are missing.

    Raises ValueError, in one sentence, for a database of another version.
    """
    settings.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    DBOS.migrate(settings.sqlalchemy_url)
    engine = make_engine(settings)
    try:
        metadata.create_all(engine)
        _check_columns(engine)
    finally:
        engine.dispose()


def _check_columns(engine: sa.Engine) -> None:
    """Refuses a database of a version whose tables were different."""
    inspector = sa.inspect(engine)
    for table in metadata.sorted_tables:
        present = {column["name"] for column in inspector.get_columns(table.name)}
        if missing := sorted(set(table.columns.keys()) - present):
            raise ValueError(
                f"The database was made by another version of lumora: its table {table.name} lacks {missing[0]}. "
                "Use an empty data folder or database."
            )


def add_event(connection: sa.Connection, owner: str, event_type: str, video_id: str | None = None) -> None:
    """Adds an event in the caller's transaction; the API sends it to the clients that may see it."""
    connection.execute(
        sa.insert(events).values(created_at=time.time(), owner=owner, type=event_type, video_id=video_id)
    )
