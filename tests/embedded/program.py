"""What a program emits through the server inside it, and how clients listen."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
from websockets.sync.client import ClientConnection, connect

from runcast import Server

JOB = "6f1b1c2e-0000-4000-8000-0000000000aa"

# The machine may do something else just then: a second is a second of the server's own.
QUIET_TRIES = 2


@contextmanager
def follow(server: Server, task_id: str, after: int | None = None) -> Iterator[ClientConnection]:
    """Open a WebSocket that is subscribed to a task."""
    address = server.url.replace("http", "ws") + "/"
    with connect(address, close_timeout=0.1) as socket:
        if after is not None:
            socket.send(json.dumps({"subscribe": task_id, "after": after}))
        else:
            socket.send(json.dumps({"subscribe": task_id}))
            # What is answered shows that the subscription, which is not, was heard.
            socket.send("junk")
            assert json.loads(socket.recv(timeout=10))["type"] == "error"
        yield socket


def receive(socket: ClientConnection) -> Any:
    return json.loads(socket.recv(timeout=10))


def events(client: httpx2.Client, run_id: str) -> list[Any]:
    answer = client.get(f"/api/v1/runs/{run_id}/events")
    assert answer.status_code == 200, answer.text
    return list(answer.json()["events"])


def seconds(call: Callable[[], object]) -> float:
    begun = time.monotonic()
    call()
    return time.monotonic() - begun
