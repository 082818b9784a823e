"""Operating the server: health, metrics and status."""

from collections.abc import Iterator
from typing import Any

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response

from runcast.runtime.logs import Logs
from runcast.web.answers import JsonAnswer, JsonRoute
from runcast.web.routes import AnyRuntime, WorkingRuntime, problems
from runcast.web.schemas import Healthy, StatusAnswer

# Every metric of our own, and what it says. The reference page is made from this table.
METRICS: dict[str, str] = {
    "runcast_runs": "Runs kept, by status.",
    "runcast_runs_max": "How many runs may run at once.",
    "runcast_streams": "Open streams.",
    "runcast_log_position": "Position of the newest event.",
    "runcast_events_committed": "Events committed since the server started.",
    "runcast_event_bytes_committed": "Bytes of events committed since the server started.",
}

router = APIRouter(route_class=JsonRoute, tags=["operations"])
_OK = {"status": "ok"}


@router.head("/healthz", include_in_schema=False)
@router.get(
    "/healthz", response_model=Healthy, response_description="It does.", responses=problems()
)
async def health() -> Response:
    """Say that the process answers."""
    return JsonAnswer(_OK)


@router.head("/readyz", include_in_schema=False)
@router.get(
    "/readyz", response_model=Healthy, response_description="It does.", responses=problems()
)
async def readiness(_runtime: WorkingRuntime) -> Response:
    """Say that the server takes work; 503 while it is stopping."""
    return JsonAnswer(_OK)


async def _status(request: Request) -> dict[str, Any]:
    state = request.app.state
    return {**await state.runtime.status(), "streams": len(state.streams)}


@router.get(
    "/api/v1/status",
    response_model=StatusAnswer,
    response_description="What it is doing.",
    responses=problems(),
)
async def show_status(request: Request, _runtime: WorkingRuntime) -> Response:
    """Say what the server is doing."""
    return JsonAnswer(await _status(request))


class _Snapshot(Collector):
    """The values of one scrape."""

    def __init__(self, logs: Logs, status: dict[str, Any]) -> None:
        self._logs = logs
        self._status = status

    def collect(self) -> Iterator[Metric]:
        """Yield every metric of METRICS."""
        runs = GaugeMetricFamily("runcast_runs", METRICS["runcast_runs"], labels=["status"])
        for status, count in self._status["runs"].items():
            runs.add_metric([status], count)
        yield runs
        for name, value in {
            "runcast_runs_max": self._status["queue"]["max"],
            "runcast_streams": self._status["streams"],
            "runcast_log_position": self._status["positions"]["head"],
        }.items():
            yield GaugeMetricFamily(name, METRICS[name], value)
        for name, value in {
            "runcast_events_committed": self._logs.events_committed,
            "runcast_event_bytes_committed": self._logs.bytes_committed,
        }.items():
            yield CounterMetricFamily(name, METRICS[name], value)


@router.get(
    "/metrics",
    response_class=Response,
    response_description="Prometheus' text format.",
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}, **problems()},
)
async def metrics(request: Request, runtime: AnyRuntime) -> Response:
    """Show numbers for Prometheus, those of the process included."""
    registry = CollectorRegistry()
    registry.register(_Snapshot(runtime.logs, await _status(request)))
    ProcessCollector(registry=registry)
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)
