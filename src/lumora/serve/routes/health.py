"""Whether the server lives (`/healthz`) and whether it can make videos (`/readyz`)."""

from __future__ import annotations

import time
from typing import Any

import sqlalchemy as sa
from fastapi import APIRouter
from fastapi.responses import JSONResponse
from sqlalchemy.exc import OperationalError

from lumora.serve.context import Context
from lumora.serve.database import workers
from lumora.serve.errors import ApiError

router = APIRouter(tags=["health"])


@router.get("/healthz")
def healthz() -> dict[str, str]:
    """Whether the API process answers."""
    return {"status": "ok"}


@router.get("/readyz", responses={503: {}})
def readyz(context: Context) -> JSONResponse:
    """Whether database, checks and at least one worker are there."""
    checks: dict[str, Any] = {"database": _database(context), "checker": _checker(context), "workers": 0}
    if checks["database"]:
        alive = workers.c.heartbeat_at > time.time() - context.settings.takeover_seconds
        with context.engine.connect() as connection:
            checks["workers"] = connection.execute(sa.select(sa.func.count()).where(alive)).scalar_one()
    ready = all(checks.values())
    return JSONResponse({"status": "ready" if ready else "not ready", **checks}, 200 if ready else 503)


def _database(context: Context) -> bool:
    try:
        with context.engine.connect() as connection:
            connection.execute(sa.select(1))
    except OperationalError:
        return False
    return True


def _checker(context: Context) -> bool:
    try:
        return bool(context.checker.call("ping"))
    except ApiError:
        return False
