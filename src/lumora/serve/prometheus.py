"""Prometheus metrics: jobs, queue, workers, denoising steps and request latencies."""

from __future__ import annotations

import time
from collections.abc import Iterator

import sqlalchemy as sa
from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lumora.serve.database import timings, videos, webhook_deliveries, workers

LATENCY_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
STATUSES = ("queued", "in_progress", "completed", "failed")


class ServerMetrics:
    """What `/metrics` answers. Jobs and workers are counted in the database, so every process says the same."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.latency = Histogram(
            "lumora_http_request_duration_seconds",
            "Time until the first byte of the answer.",
            ("method", "route", "status"),
            buckets=LATENCY_BUCKETS,
            registry=self.registry,
        )

    def text(self, engine: sa.Engine, takeover_seconds: float) -> bytes:
        database = CollectorRegistry()
        database.register(_DatabaseCollector(engine, takeover_seconds))
        return generate_latest(database) + generate_latest(self.registry)


class _DatabaseCollector(Collector):
    def __init__(self, engine: sa.Engine, takeover_seconds: float) -> None:
        self._engine, self._takeover_seconds = engine, takeover_seconds

    def describe(self) -> list[Metric]:
        return []  # or it would be asked to collect when it is registered

    def collect(self) -> Iterator[Metric]:
        with self._engine.connect() as connection:
            visible = videos.c.deleting.is_(False)
            counts = sa.select(videos.c.status, sa.func.count()).where(visible).group_by(videos.c.status)
            by_status = dict(connection.execute(counts).tuples().all())
            oldest = sa.select(sa.func.min(videos.c.created_at)).where(visible, videos.c.status == "queued")
            waiting_since = connection.execute(oldest).scalar_one()
            alive = workers.c.heartbeat_at > time.time() - self._takeover_seconds
            num_workers = connection.execute(sa.select(sa.func.count()).where(alive)).scalar_one()
            totals = sa.func.sum(timings.c.steps), sa.func.sum(timings.c.step_seconds)
            steps, step_seconds = connection.execute(sa.select(*totals)).one()
            pending = webhook_deliveries.c.state == "pending"
            deliveries = connection.execute(sa.select(sa.func.count()).where(pending)).scalar_one()
        jobs = GaugeMetricFamily("lumora_videos", "Videos by status.", labels=["status"])
        for status in STATUSES:
            jobs.add_metric([status], by_status.get(status, 0))
        yield jobs
        yield GaugeMetricFamily("lumora_queue_length", "Videos that wait.", value=by_status.get("queued", 0))
        age = 0.0 if waiting_since is None else max(0.0, time.time() - waiting_since)
        yield GaugeMetricFamily("lumora_queue_oldest_seconds", "How long the oldest of them has waited.", value=age)
        yield GaugeMetricFamily("lumora_workers", "Workers with a recent heartbeat.", value=num_workers)
        yield CounterMetricFamily("lumora_denoising_steps", "Denoising steps of all workers.", value=steps or 0)
        yield CounterMetricFamily("lumora_denoising_step_seconds", "Time that they took.", value=step_seconds or 0.0)
        yield GaugeMetricFamily("lumora_webhook_deliveries", "Deliveries that are due or wait.", value=deliveries)


class LatencyMiddleware:
    """Measures the time until an answer begins, by the path of the route and not of the request."""

    def __init__(self, app: ASGIApp, metrics: ServerMetrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begin = time.perf_counter()

        async def measured(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = getattr(scope.get("route"), "path", "other")
                method = scope["method"] if scope["method"] in METHODS else "other"
                labels = method, route, str(message["status"])
                self._metrics.latency.labels(*labels).observe(time.perf_counter() - begin)
            await send(message)

        await self._app(scope, receive, measured)
