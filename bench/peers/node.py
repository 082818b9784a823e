"""Node's servers: better-sse with Express for jobs, ws for the lines of one command."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.audience import Feed
from bench.peers.programs import find
from bench.processes import first_line, started
from bench.server import Connection, address, request_for
from bench.websocket import socket_of

PROJECT = Path(__file__).with_name("npm")


def lacks() -> str:
    """Say what must be installed."""
    if find("node") is None:
        return "node"
    return "" if (PROJECT / "node_modules").exists() else "its npm packages"


class Jobs:
    """A running server of jobs."""

    def __init__(self, pid: int, where: tuple[str, int]) -> None:
        self.pid = pid
        self.address = where
        self._connection = Connection(where)

    def submit(self, command: Sequence[str]) -> str:
        """Start a command and return the id of its job."""
        answer = self._connection.request("POST", "/jobs", {"command": list(command)})
        return str(answer["data"]["jobId"])

    def feed(self, jobs: Sequence[str]) -> Feed:
        """Return how clients follow these jobs."""
        requests = [request_for(f"/jobs/{job}/stream", self.address).decode() for job in jobs]
        return Feed((self.pid,), self.address, [[(one, "\r\n\r\n")] for one in requests])


@contextlib.contextmanager
def jobs_server() -> Iterator[Jobs]:
    """Run a server of jobs."""
    with _node("sse.mjs") as (pid, where):
        yield Jobs(pid, where)


@contextlib.contextmanager
def sse_feed(folder: Path, command: Sequence[str]) -> Iterator[Feed]:
    """Send what the command prints."""
    del folder
    with jobs_server() as server:
        yield server.feed([server.submit(command)])


@contextlib.contextmanager
def socket_feed(path: str, pause_ms: float, command: Sequence[str]) -> Iterator[Feed]:
    """Send what the command prints over WebSocket: on `/plain`, or `/batch` every so many ms."""
    with _node("sockets.mjs", f"{pause_ms}", *command) as (pid, where):
        opening, _ = socket_of(path, where)[0]
        yield Feed((pid,), where, [[(opening, "welcome")]])


@contextlib.contextmanager
def _node(script: str, *words: str) -> Iterator[tuple[int, tuple[str, int]]]:
    command = [str(find("node")), str(PROJECT / script), *words]
    with started(command) as process:
        yield process.pid, address(first_line(process, "listening on "))
