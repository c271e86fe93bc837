"""`/metrics`, for Prometheus."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST

from lumora.serve.context import Context
from lumora.serve.keys import Admin

router = APIRouter(tags=["health"])


@router.get("/metrics", response_class=Response)
def get_metrics(request: Request, context: Context, key: Admin) -> Response:
    """Jobs, queue, workers, denoising steps and request latencies, in Prometheus' text format."""
    text = request.app.state.metrics.text(context.engine, context.settings.takeover_seconds)
    return Response(text, media_type=CONTENT_TYPE_LATEST)
