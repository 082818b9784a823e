"""A raw reader of event streams: it sees every frame, and how each connection ended."""

import base64
import contextlib
import http.client
import json
import time
from collections.abc import Collection, Iterable, Iterator
from types import TracebackType
from typing import Any, Literal, NamedTuple, Self

PIECE_BYTES = 262_144
# Of the allow-list with any port, so that a request may come through a proxy.
HOST = {"Host": "localhost"}


class BrokenOff(Exception):
    """The connection ended before the answer did."""


class Frame(NamedTuple):
    """One event as a client sees it; `id` is None on those that move no cursor."""

    event: str
    text: str
    id: int | None

    @property
    def data(self) -> dict[str, Any]:
        """What the event says."""
        parsed: dict[str, Any] = json.loads(self.text)
        return parsed


class Connection:
    """One request for a stream and what comes back; raises BrokenOff where it is cut."""

    def __init__(
        self, port: int, path: str, headers: dict[str, str] | None = None, timeout: float = 30
    ) -> None:
        self._http = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
        try:
            self._http.request("GET", path, headers=HOST | (headers or {}))
            self._answer = self._http.getresponse()
        except (ConnectionError, http.client.HTTPException) as error:
            self._http.close()
            raise BrokenOff from error
        self.status = self._answer.status

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Leave, whatever is still to come."""
        self._answer.close()
        self._http.close()

    def frames(self) -> Iterator[Frame]:
        """Yield the whole frames up to the clean end of the answer."""
        rest = b""
        while piece := self._read():
            *whole, rest = (rest + piece).split(b"\n\n")
            yield from filter(None, map(_parse, whole))

    def _read(self) -> bytes:
        try:
            return self._answer.read1(PIECE_BYTES)
        except (ConnectionError, http.client.HTTPException) as error:
            raise BrokenOff from error


def _parse(block: bytes) -> Frame | None:
    fields = dict(
        line.split(": ", 1) for line in block.decode("ascii").split("\n") if line[:1] != ":"
    )
    if "data" not in fields:
        return None
    number = fields.get("id")
    return Frame(fields["event"], fields["data"], None if number is None else int(number))


class EventSource:
    """A client that comes back with the id of the last whole frame until it learns the end.

    That is a frame of one of the names in `ends`, or 204.
    """

    def __init__(
        self,
        port: int,
        path: str,
        resume: Literal["header", "query"] = "header",
        after: int = 0,
        ends: Collection[str] = ("end",),
    ) -> None:
        self.port = port
        self.frames: list[Frame] = []
        self.last_id = after
        self.ended = False
        self._path = path
        self._resume = resume
        self._ends = ends

    def connect(self) -> bool:
        """Read one connection to its end; return whether the end of the run is known now."""
        with contextlib.suppress(BrokenOff), self._open() as connection:
            assert connection.status in (200, 204)
            self.ended = connection.status == 204
            for frame in connection.frames():
                self._take(frame)
                if self.ended:
                    break  # a stream of jobs stays open
        return self.ended

    def read_all(self, timeout: float = 60) -> list[Frame]:
        """Connect until the end is known, then return every frame."""
        deadline = time.monotonic() + timeout
        while not self.connect():
            assert time.monotonic() < deadline, f"no end within {timeout:g} s"
            time.sleep(0.001)  # a server that is down refuses at once
        return self.frames

    def _open(self) -> Connection:
        if self._resume == "query":
            return Connection(self.port, f"{self._path}?after={self.last_id}")
        headers = {"Last-Event-ID": str(self.last_id)} if self.last_id else {}
        return Connection(self.port, self._path, headers)

    def _take(self, frame: Frame) -> None:
        if frame.id is not None:
            self.frames.append(frame)
            self.last_id = frame.id
        self.ended = frame.event in self._ends


def stream_path(run_id: str) -> str:
    """Return the path of a run's stream."""
    return f"/api/v1/runs/{run_id}/stream"


def read_stream(port: int, run_id: str) -> list[Frame]:
    """Read a run's stream from its first event to its end."""
    return EventSource(port, stream_path(run_id)).read_all()


def printed(frames: Iterable[Frame], stream: str = "stdout") -> bytes:
    """Put together again what the command printed, from the `log` frames alone."""
    said = (frame.data for frame in frames if frame.event == "log")
    return b"".join(_bytes(data) for data in said if data["stream"] == stream)


def _bytes(data: dict[str, Any]) -> bytes:
    text = base64.b64decode(data["raw"]) if "raw" in data else data["line"].encode()
    return text if data.get("partial") else text + b"\n"
