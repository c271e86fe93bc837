"""`lumora serve`: the HTTP server."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import FlagCreatePairsOff, UseAppendAction, arg

from lumora.cli.flags import File, Number, Text
from lumora.terminal import say


@dataclass(frozen=True, kw_only=True)
class Serve:
    """Serve the Videos API and the studio."""

    host: str = "127.0.0.1"
    """Address to listen at. Others than loopback need a key (`lumora keys create`)."""
    port: int = 8000
    data_dir: Annotated[File, arg(help_behavior_hint="(default: serve in the state folder)")] = None
    """Folder of the database, the videos and the uploads."""
    database_url: Annotated[Text, arg(help_behavior_hint="(default: SQLite in the data folder)")] = None
    """A PostgreSQL database, as postgresql://user:password@host/name."""
    workers: int = 1
    """Worker processes on this machine; one for each GPU. 0 starts none."""
    gpus_per_worker: int = 1
    """GPUs that make one video together, by context parallelism; for Wan's models."""
    workers_only: FlagCreatePairsOff[bool] = False
    """Start workers and no API: a further machine for the same database and data folder."""
    batch_size: int = 4
    """Most jobs of equal shape that a worker makes together."""
    max_queued_jobs: int = 200
    """Jobs that may wait; further ones are answered with 429."""
    max_jobs_per_key: int = 50
    """Jobs of one key that may wait or run."""
    expire_after_hours: Annotated[Number, arg(help_behavior_hint="(default: never)")] = None
    """Remove finished videos after this time."""
    allow_private_webhooks: FlagCreatePairsOff[bool] = False
    """Deliver webhooks by http and to private networks too. Clients can then reach what this machine can."""
    model: Annotated[UseAppendAction[tuple[str, ...]], arg(help_behavior_hint="(default: lumora's own)")] = ()
    """A model to serve: a name of `lumora models list`, a folder, a repository of the hub that was pulled, or the
    address of another server; can be repeated. The first is the default."""

    def run(self) -> None:
        from lumora.provenance.keystore import state_folder
        from lumora.serve.settings import ServeLimits, ServeSettings
        from lumora.serve.supervisor import Supervisor

        data_dir = (self.data_dir or state_folder() / "serve").absolute()
        settings = ServeSettings(
            data_dir=str(data_dir),
            host=self.host,
            port=self.port,
            database_url=self.database_url,
            models=tuple(str(Path(model).absolute()) if Path(model).is_dir() else model for model in self.model),
            workers=self.workers,
            gpus_per_worker=self.gpus_per_worker,
            batch_size=self.batch_size,
            allow_private_webhooks=self.allow_private_webhooks,
            limits=ServeLimits(
                max_queued_jobs=self.max_queued_jobs,
                max_jobs_per_key=self.max_jobs_per_key,
                expire_after_hours=self.expire_after_hours,
            ),
        )
        address = f"http://{self.host}:{self.port}"
        said = "Workers are started." if self.workers_only else f"lumora is served at {address} (API and studio)."
        supervisor = Supervisor(settings, with_api=not self.workers_only)
        supervisor.run(on_start=lambda: say(said))
