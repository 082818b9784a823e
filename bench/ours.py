"""runcast sending what one command prints, over each of the ways that are measured."""

import contextlib
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from bench.audience import Feed
from bench.server import Server, request_for, runcast_server
from bench.websocket import socket_of


@contextlib.contextmanager
def sse_feed(folder: Path, command: Sequence[str]) -> Iterator[Feed]:
    """Send what the command prints as an event stream."""
    with runcast_server(folder) as server:
        yield run_feed(server, [server.submit(command)])


def run_feed(server: Server, run_ids: Sequence[str]) -> Feed:
    """Return how clients follow these runs, in turn."""
    paths = [f"/api/v1/runs/{run_id}/stream" for run_id in run_ids]
    requests = [request_for(path, server.address).decode() for path in paths]
    # Each client has the run's first events before it counts as connected.
    return Feed((server.pid,), server.address, [[(one, "event: status")] for one in requests])


@contextlib.contextmanager
def _socket_feed(folder: Path, command: Sequence[str], *, batch: bool, ms: float) -> Iterator[Feed]:
    """Send what the command prints over `/ws`."""
    with runcast_server(folder) as server:
        subscribe = {
            "type": "subscribe",
            "runId": server.submit(command),
            "format": "native",
            "types": ["output"],
            "batch": batch,
            "throttleMs": ms,
        }
        said = (subscribe, "subscription_confirmed")
        path = "/ws?lifecycle=false"
        yield Feed((server.pid,), server.address, [socket_of(path, server.address, said)])


plain_feed = partial(_socket_feed, batch=False)
batch_feed = partial(_socket_feed, batch=True)
