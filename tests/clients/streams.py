"""The streams and sockets of one run that the tests follow, and the log that they tell of."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import httpx2

from runcast.core.events import EVENT_TYPES
from tests.clients.wires_checker import Log
from tests.support.runs import events, get

# Every name by which an event may come on any stream: a client that asks for all of them on each
# shows what should not be there.
NAMES = sorted(
    {"message", "log", "end", "heartbeat", "gap", "chunk", "done", "complete", *EVENT_TYPES}
    - {"error"}  # which a client listens to in any case
)


class Stream(NamedTuple):
    """One event stream as the clients are told of it; `last` is only in the data of its end.

    One that `closes` answers 204 to who comes back behind its end; another stays open.
    """

    wire: str
    url: str
    last: str
    closes: bool

    @property
    def spec(self) -> dict[str, Any]:
        """Return what a script needs to know."""
        return {"url": self.url, "names": NAMES, "last": self.last, "closes": self.closes}


class Socket(NamedTuple):
    """One WebSocket with one subscription; `last` is only in the last message."""

    wire: str
    url: str
    subscribe: Mapping[str, Any]
    last: str

    @property
    def spec(self) -> dict[str, Any]:
        """Return what a script needs to know."""
        return {"url": self.url, "subscribe": self.subscribe, "last": self.last}


def streams_of(run_id: str, port: int, task_id: str = "") -> list[Stream]:
    """Return the event streams of a run that is alone in its task."""
    at = f"http://127.0.0.1:{port}"
    of_task = f"{at}/stream?taskId={task_id or run_id}&after=0"
    return [
        Stream("envelopes", of_task, '"source":"status"', False),
        Stream("jobs", f"{at}/api/stream/{run_id}", '"jobId":', False),
        Stream("processes", f"{at}/api/processes/{run_id}/stream", '"processId":', True),
        Stream("runs", f"{at}/api/v1/runs/{run_id}/stream", '"last_seq":', True),
    ]


def envelope_socket(task_id: str, port: int) -> Socket:
    """Return a socket for the envelopes of a task; it has the id of its run unless it got one."""
    url = f"ws://127.0.0.1:{port}/"
    return Socket("envelope texts", url, {"subscribe": task_id}, '"source":"status"')


def activity_socket(run_id: str, port: int, **options: Any) -> Socket:
    """Return a socket for the activity of a run."""
    url = f"ws://127.0.0.1:{port}/ws?lifecycle=false"
    subscribe = {"type": "subscribe", "runId": run_id, "throttleMs": 0, **options}
    return Socket("activity", url, subscribe, '"status":"completed"')


def native_socket(run_id: str, port: int) -> Socket:
    """Return a socket for the events of a run as they are in its log."""
    return activity_socket(run_id, port, format="native")._replace(wire="native")


def read_log(client: httpx2.Client, run_id: str) -> Log:
    """Return the log of a run, page by page, without any stream."""
    process = client.get(f"/api/processes/{run_id}").json()["process"]
    return Log(get(client, run_id) | {"type": process["type"]}, events(client, run_id))
