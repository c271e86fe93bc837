"""What the routes share: settings, database, job queue, checker and the event stream."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated

import sqlalchemy as sa
from fastapi import Depends, Request

from lumora.serve.access import Access
from lumora.serve.checker_client import CheckerClient
from lumora.serve.database import make_engine
from lumora.serve.events import EventBroker
from lumora.serve.queue import JobQueue
from lumora.serve.sandbox import Sandbox, SandboxLimits
from lumora.serve.served_models import ServedModels
from lumora.serve.settings import ServeSettings
from lumora.serve.video_store import VideoStore


def new_sandboxes() -> dict[str, Sandbox]:
    """By the module whose functions they call. The second one imports PyTorch; nothing starts before it is called."""
    return {
        "upload_inspection": Sandbox(["lumora.serve.upload_inspection"], SandboxLimits(2 << 30, 120, 300.0)),
        "provenance_examination": Sandbox(
            ["lumora.serve.provenance_examination"], SandboxLimits(4 << 30, 300, 600.0), parallel=1
        ),
    }


@dataclass(frozen=True)
class ServerContext:
    settings: ServeSettings
    engine: sa.Engine
    store: VideoStore
    queue: JobQueue
    checker: CheckerClient
    broker: EventBroker
    access: Access
    sandboxes: Mapping[str, Sandbox] = field(default_factory=new_sandboxes)

    @classmethod
    def open(cls, settings: ServeSettings) -> ServerContext:
        engine = make_engine(settings)
        store = VideoStore(engine, settings)
        return cls(
            settings,
            engine,
            store,
            JobQueue(engine, settings),
            CheckerClient(settings.checker_socket),
            EventBroker(engine, store, settings.preview_socket),
            Access(engine, settings),
        )

    @cached_property
    def models(self) -> ServedModels:
        """What they can do is read from their configuration, without weights."""
        return ServedModels(self.settings.models)

    def path(self, relative: str) -> Path:
        """A file of the data folder."""
        return self.settings.folder / relative

    def close(self) -> None:
        for sandbox in self.sandboxes.values():
            sandbox.close()
        self.queue.close()
        self.engine.dispose()


def server_context(request: Request) -> ServerContext:
    return request.app.state.context


async def _server_context(request: Request) -> ServerContext:
    """As a coroutine, which FastAPI awaits at once; functions wait for a thread."""
    return server_context(request)


Context = Annotated[ServerContext, Depends(_server_context)]
"""Type of a route's parameter that receives the context."""
