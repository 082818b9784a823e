"""A real `runcast serve` to be measured, and plain sockets to talk to it."""

import contextlib
import http.client
import json
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from bench.processes import BenchError, end_all_of, first_line, started

RUNCAST = str(Path(sys.executable).with_name("runcast"))
ENDED = frozenset({"completed", "failed", "cancelled"})
LAST_CHUNK = b"\r\n0\r\n\r\n"
RUN_SECONDS = 120.0  # no run of a measurement takes that long


class Connection:
    """A connection that is kept for one request after the other."""

    def __init__(self, where: tuple[str, int]) -> None:
        self._connection = http.client.HTTPConnection(*where, timeout=RUN_SECONDS)

    def request(self, method: str, path: str, body: object = None) -> Any:
        """Return what the server answers; an error answer is a failure."""
        sent = None if body is None else json.dumps(body)
        self._connection.request(method, path, sent, {"Content-Type": "application/json"})
        answer = self._connection.getresponse()
        said = answer.read()
        if answer.status >= 300:
            raise BenchError(f"{method} {path}: {answer.status} {said!r}")
        return json.loads(said)

    def close(self) -> None:
        """End the connection."""
        self._connection.close()


class Server:
    """One running server."""

    def __init__(self, pid: int, url: str, data_dir: Path) -> None:
        self.pid = pid
        self.url = url
        self.data_dir = data_dir
        self.address = address(url)

    def request(self, method: str, path: str, body: object = None) -> Any:
        """Return what the server answers on a connection of its own."""
        with contextlib.closing(Connection(self.address)) as connection:
            return connection.request(method, path, body)

    def submit(self, command: Sequence[str]) -> str:
        """Submit a command and return the id of its run."""
        answer = self.request("POST", "/api/v1/runs", {"command": list(command)})
        return str(answer["run"]["id"])

    def wait(self, run_id: str) -> dict[str, Any]:
        """Return a run at its end; one that did not complete is a failure."""
        deadline = time.monotonic() + RUN_SECONDS
        while time.monotonic() < deadline:
            run: dict[str, Any] = self.request("GET", f"/api/v1/runs/{run_id}?wait_s=30")["run"]
            if run["status"] == "completed":
                return run
            if run["status"] in ENDED:
                break
        raise BenchError(f"the run did not complete: {run}")

    def cancel(self, run_id: str) -> None:
        """Cancel a run."""
        self.request("POST", f"/api/v1/runs/{run_id}/cancel")

    def stream(self, run_id: str) -> Iterator[tuple[int, bytes]]:
        """Yield what the run's event stream sends and when it came (monotonic ns)."""
        return self.stream_of(f"/api/v1/runs/{run_id}/stream")

    def stream_of(self, path: str) -> Iterator[tuple[int, bytes]]:
        """Yield what the stream at a path sends and when it came (monotonic ns)."""
        with socket.create_connection(self.address, timeout=RUN_SECONDS) as stream:
            stream.sendall(request_for(path, self.address))
            end = b""
            while not end.endswith(LAST_CHUNK) and (data := stream.recv(65_536)):
                yield time.monotonic_ns(), data
                end = (end + data)[-len(LAST_CHUNK) :]


def address(url: str) -> tuple[str, int]:
    """Return host and port of a URL that has no path."""
    host, _, port = url.removeprefix("http://").rpartition(":")
    return host, int(port)


def request_for(path: str, where: tuple[str, int]) -> bytes:
    """Write the request for an event stream."""
    host = f"{where[0]}:{where[1]}"
    return f"GET {path} HTTP/1.1\r\nHost: {host}\r\nAccept: text/event-stream\r\n\r\n".encode()


@contextlib.contextmanager
def runcast_server(
    folder: Path, *flags: str, prepare: Callable[[Path], object] = lambda _: None
) -> Iterator[Server]:
    """Run a server on a new data folder inside `folder`; both are gone afterwards.

    `prepare` may put something into it before.
    """
    data_dir = tempfile.mkdtemp(prefix="data-", dir=folder)
    command = [RUNCAST, "serve", "--port", "0", "--data-dir", data_dir, *flags]
    try:
        prepare(Path(data_dir))
        with started(command) as process:
            url = first_line(process, "runcast is listening on ")
            yield Server(process.pid, url, Path(data_dir))
    finally:
        end_all_of(data_dir)
        shutil.rmtree(data_dir, ignore_errors=True)
