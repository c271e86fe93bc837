"""Settings of `lumora serve`. The supervisor hands them to its processes as JSON in an environment variable."""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass, field, replace
from pathlib import Path

from lumora.config import from_json, to_json

ENVIRONMENT_VARIABLE = "LUMORA_SERVE_SETTINGS"


@dataclass(frozen=True)
class ServeLimits:
    """What the server accepts. Requests beyond a limit are refused with a sentence."""

    max_queued_jobs: int = 200
    """Of all keys together; further ones are answered with 429 and Retry-After."""
    max_jobs_per_key: int = 50
    """Queued and running jobs of one key."""
    max_body_bytes: int = 512 << 20
    max_upload_bytes: int = 256 << 20
    max_upload_pixels: int = 4096 * 2304
    """Of one frame."""
    max_upload_seconds: float = 600.0
    max_upload_tracks: int = 8
    max_files_per_key: int = 1_000
    expire_uploads_after_hours: float | None = 720.0
    """Uploaded files that no unfinished job and no character needs are removed after this time; None keeps them."""
    expire_after_hours: float | None = None
    """Finished videos are removed after this time; None keeps them."""


@dataclass(frozen=True)
class ServeSettings:
    data_dir: str
    """Folder of the database, of the videos and of the uploads."""
    host: str = "127.0.0.1"
    port: int = 8000
    database_url: str | None = None
    """`postgresql://user:password@host/name`; None is an SQLite file in `data_dir`."""
    models: tuple[str, ...] = ()
    """Names, folders, repositories or addresses of models; the first is the default. None: the one that comes with
    lumora."""
    workers: int = 1
    """Worker processes on this machine."""
    gpus_per_worker: int = 1
    """GPUs that make one video together (context parallelism); other workers have other GPUs."""
    batch_size: int = 4
    """Most jobs of equal shape that a worker makes together."""
    heartbeat_seconds: float = 2.0
    takeover_seconds: float = 15.0
    """A worker without a heartbeat for this long is dead, and its jobs are given to others."""
    runtime_dir: str = ""
    """Folder of the sockets between the processes of this machine; the supervisor makes one."""
    open_access: bool = True
    """Whether requests without a key are allowed as long as no key exists. Only on loopback."""
    allow_private_webhooks: bool = False
    """Whether webhooks may use http and private networks. Clients can then reach whatever this machine can."""
    limits: ServeLimits = field(default_factory=ServeLimits)

    @property
    def folder(self) -> Path:
        return Path(self.data_dir)

    @property
    def sqlalchemy_url(self) -> str:
        """The URL of the database for SQLAlchemy and DBOS."""
        if self.database_url is None:
            return f"sqlite:///{self.folder / 'lumora.sqlite3'}"
        scheme, separator, rest = self.database_url.partition("://")
        if not separator or scheme.split("+")[0] not in ("postgresql", "postgres"):
            raise ValueError("The database is given as postgresql://user:password@host/name, or not at all (SQLite).")
        return f"postgresql+psycopg://{rest}"

    @property
    def is_loopback(self) -> bool:
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def checker_socket(self) -> str:
        """Where the checker answers the API."""
        return str(Path(self.runtime_dir) / "checker.sock")

    @property
    def preview_socket(self) -> str:
        """Where the API receives previews from the workers of this machine."""
        return str(Path(self.runtime_dir) / "previews.sock")

    def with_runtime_dir(self, folder: Path) -> ServeSettings:
        return replace(self, runtime_dir=str(folder))

    def environment(self) -> dict[str, str]:
        """The environment of a child process."""
        return {**os.environ, ENVIRONMENT_VARIABLE: to_json(self)}

    @classmethod
    def from_environment(cls) -> ServeSettings:
        return from_json(cls, os.environ[ENVIRONMENT_VARIABLE])
