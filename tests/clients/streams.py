"""The streams and sockets of one run that the tests follow, by the wire that they speak."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from runcast.core.events import EVENT_TYPES

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
