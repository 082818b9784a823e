"""Operating the server: health, metrics and status."""

from collections.abc import Iterator, Mapping
from typing import Any

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response

from runcast.runtime.runtime import Runtime
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
    "runcast_watch_sources": "Log files, or pairs of them, that became runs, by watched folder.",
    "runcast_watch_tails": "How many of them are read at the moment, by watched folder.",
    "runcast_parser_unknown_lines": "Lines of agents that were not understood and kept as they "
    "are, by dialect, since the server started.",
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


def _labelled(
    kind: type[GaugeMetricFamily | CounterMetricFamily],
    name: str,
    label: str,
    counts: Mapping[str, int],
) -> Metric:
    family = kind(name, METRICS[name], labels=[label])
    for value, count in counts.items():
        family.add_metric([value], count)
    return family


class _Snapshot(Collector):
    """The values of one scrape."""

    def __init__(self, runtime: Runtime, status: dict[str, Any]) -> None:
        self._runtime = runtime
        self._status = status

    def collect(self) -> Iterator[Metric]:
        """Yield every metric of METRICS."""
        yield _labelled(GaugeMetricFamily, "runcast_runs", "status", self._status["runs"])
        unknown = self._runtime.unknown_lines
        yield _labelled(CounterMetricFamily, "runcast_parser_unknown_lines", "dialect", unknown)
        watched = self._runtime.watching.entries()
        sources = {state.entry.name: state.sources for state in watched}
        tails = {state.entry.name: state.tailed for state in watched}
        yield _labelled(GaugeMetricFamily, "runcast_watch_sources", "entry", sources)
        yield _labelled(GaugeMetricFamily, "runcast_watch_tails", "entry", tails)
        for name, value in {
            "runcast_runs_max": self._status["queue"]["max"],
            "runcast_streams": self._status["streams"],
            "runcast_log_position": self._status["positions"]["head"],
        }.items():
            yield GaugeMetricFamily(name, METRICS[name], value)
        for name, value in {
            "runcast_events_committed": self._runtime.logs.events_committed,
            "runcast_event_bytes_committed": self._runtime.logs.bytes_committed,
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
    registry.register(_Snapshot(runtime, await _status(request)))
    ProcessCollector(registry=registry)
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)
