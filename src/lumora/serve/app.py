"""The FastAPI application: routers, error objects, security headers, and the studio's files at `/`."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import importlib
import logging
import re
import signal
from collections.abc import AsyncIterator
from importlib.metadata import version
from pathlib import Path

import uvicorn
from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.staticfiles import StaticFiles
from starlette.datastructures import MutableHeaders
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lumora.serve.access import OriginCheck
from lumora.serve.child_process import begin_process
from lumora.serve.context import ServerContext
from lumora.serve.errors import error_response, install_error_handlers
from lumora.serve.openapi import install_openapi
from lumora.serve.prometheus import LatencyMiddleware, ServerMetrics
from lumora.serve.schemas import ERRORS
from lumora.serve.settings import ServeSettings
from lumora.serve.webhooks import Deliverer

LOG = logging.getLogger("lumora.serve")
ROUTERS = (
    "characters",
    "derived",
    "videos",
    "prompts",
    "queue",
    "files",
    "provenance",
    "events",
    "webhooks",
    "review",
    "models",
    "keys",
    "session",
    "health",
    "metrics",
)
"""Modules of `routes`, in the order in which their paths are matched; each has a `router`."""
STUDIO = Path(__file__).parent / "studio"


def create_app(settings: ServeSettings) -> FastAPI:
    """The application for a database whose tables exist."""
    app = FastAPI(
        title="lumora",
        version=version("lumora"),
        summary="The Videos API, self-hosted: text to video with review, watermark and signature.",
        lifespan=_lifespan,
        max_body_size=settings.limits.max_body_bytes,
        docs_url=None,
        redoc_url=None,
    )
    app.state.settings = settings
    app.state.metrics = ServerMetrics()
    install_error_handlers(app)
    app.add_middleware(OriginCheck)
    app.add_middleware(SecurityHeaders)
    app.add_middleware(LatencyMiddleware, metrics=app.state.metrics)
    for name in ROUTERS:
        app.include_router(importlib.import_module(f"lumora.serve.routes.{name}").router, responses=ERRORS)
    install_openapi(app)
    app.add_api_route("/v1/{path:path}", _unknown, methods=_ALL_METHODS, include_in_schema=False)
    app.mount("/", StaticFiles(directory=STUDIO, html=True))
    return app


def _import_map_hash() -> str:
    """The source expression that allows the studio's only inline script, its import map."""
    page = STUDIO / "index.html"
    import_map = re.search(r'<script type="importmap">(.*?)</script>', page.read_text(encoding="utf-8"), re.DOTALL)
    assert import_map is not None, f"{page} has an import map"
    return f"'sha256-{base64.b64encode(hashlib.sha256(import_map[1].encode()).digest()).decode()}'"


_ALL_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
_CONTENT_POLICY = "; ".join(
    [
        "default-src 'none'",
        f"script-src 'self' {_import_map_hash()}",
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "media-src 'self' blob:",
        "connect-src 'self'",
        "font-src 'self'",
        "manifest-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    ]
)
_HEADERS = {
    "Content-Security-Policy": _CONTENT_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class SecurityHeaders:
    """Adds the headers of `_HEADERS` to every answer that does not set them itself."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, with_headers if scope["type"] == "http" else send)


def _unknown(path: str, request: Request) -> Response:
    """Answers every method of an address that no other route takes; 405 if the address is known."""
    if any(route.matches(request.scope)[0] is Match.PARTIAL for route in request.app.router.routes):
        raise HTTPException(405)
    return error_response(404, f"There is nothing at /v1/{path[:200]}.", "not_found")


@contextlib.asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    context = await asyncio.to_thread(ServerContext.open, app.state.settings)
    app.state.context = context
    broker = asyncio.create_task(context.broker.run())
    deliverer = Deliverer(context.engine, context.settings.allow_private_webhooks)
    deliverer.start()
    try:
        yield
    finally:
        context.broker.close()
        broker.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await broker
        await asyncio.to_thread(deliverer.close)
        context.close()


class _Server(uvicorn.Server):
    """Ends the event streams on a signal, which would keep the server waiting otherwise."""

    def handle_exit(self, sig: int, frame: object) -> None:
        context: ServerContext | None = getattr(self.config.app.state, "context", None)  # type: ignore[union-attr]
        if context is not None:
            context.broker.close()
        super().handle_exit(sig, frame)  # type: ignore[arg-type]


def main() -> None:
    settings = begin_process()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    config = uvicorn.Config(
        create_app(settings),
        host=settings.host,
        port=settings.port,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=10,
        server_header=False,
    )
    LOG.info("Serving at http://%s:%s", settings.host, settings.port)
    _Server(config).run()
