"""A network that cuts every connection in the middle of a frame, over and over."""

import random
import re
import select
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.support.net import PIECE_BYTES, Cut, Proxy
from tests.support.server import Server

# The end of an event, or of the head or the last chunk of an answer.
EVENT_END = re.compile(rb"\n\n|\r\n\r\n")
RETRY = re.compile(rb"(?<=\r\nretry: )\d+(?=\n)")
SOON_MS = b"10"

# Tells the length of the whole frame that some bytes begin with; 0 if it is not there yet.
Measure = Callable[[bytes], int]


def measure_event(data: bytes) -> int:
    """Measure a server-sent event in a chunked answer; the frame of its chunk is part of it."""
    found = EVENT_END.search(data)
    return found.end() if found else 0


def measure_message(data: bytes) -> int:
    """Measure the WebSocket frame of a server (RFC 6455, 5.2), or the head before all frames."""
    if data.startswith(b"HTTP/"):
        return measure_event(data)
    extended = {126: 2, 127: 8}.get(data[1], 0) if len(data) > 1 else 0
    head = 2 + extended
    if len(data) < head:
        return 0
    whole = head + (int.from_bytes(data[2:head], "big") if extended else data[1])
    return whole if len(data) >= whole else 0


class Gate:
    """Lets some whole frames pass, then a part of the next: of all but its last bytes."""

    def __init__(self, measure: Measure, whole: int, part: float, kept_back: int) -> None:
        self.closed = False
        self._measure = measure
        self._left = whole
        self._part = part
        self._kept_back = kept_back
        self._frame = b""  # the bytes from the last frame boundary on
        self._passed = 0  # how many of them are through

    def take(self, data: bytes) -> bytes:
        """Return what may pass now."""
        self._frame += data
        through = b""
        while self._left and (size := self._measure(self._frame)):
            through += self._pass_to(size)
            self._frame, self._passed = self._frame[size:], 0
            self._left -= 1
        if self._left:
            return through + self._pass_to(len(self._frame))
        if size := self._measure(self._frame):
            self.closed = True
            most = size - self._kept_back
            return through + self._pass_to(max(1, round(self._part * most)))
        return through

    def _pass_to(self, end: int) -> bytes:
        piece, self._passed = self._frame[self._passed : end], end
        return piece


class Cutter(Proxy):
    """Cuts each connection inside a frame once `every` whole ones have passed, half by RST.

    Clients of event streams are told to come back at once. `cuts` tells which were made, where
    `after` counts frames; no frame passes without its last `kept_back` bytes.
    """

    def __init__(self, target: int, measure: Measure, every: range) -> None:
        super().__init__(target)
        self.cuts: list[Cut] = []
        self.connections = 0
        self.kept_back = 1
        self._measure = measure
        self._every = every
        self._chance = random.Random(str(every))

    def _next_cut(self) -> Cut:
        self.connections += 1
        return Cut(self._chance.choice(self._every), reset=self.connections % 2 == 0)

    def _pass(self, client: socket.socket, server: socket.socket, cut: Cut | None) -> None:
        assert cut is not None
        # As often as anywhere else: after the first byte, and before the last.
        part = self._chance.choice([0.0, self._chance.random(), 1.0])
        gate = Gate(self._measure, cut.after, part, self.kept_back)
        while not gate.closed:
            ready, _, _ = select.select([client, server, self._stopping], [], [])
            if self._stopping in ready:
                return
            if client in ready:
                request = client.recv(PIECE_BYTES)
                if not request:
                    return
                server.sendall(request)
            if server in ready:
                answer = server.recv(PIECE_BYTES)
                if not answer:
                    return
                client.sendall(gate.take(RETRY.sub(_soon, answer)))
        self.cuts.append(cut)


def _soon(retry: re.Match[bytes]) -> bytes:
    # Of the same length, for it stands in a chunk whose size was said before.
    return SOON_MS.zfill(len(retry[0]))


# Comments come all the time, for some clients take them for events; heartbeats, which are events,
# do not come at all.
_SETTINGS = {
    "RUNCAST__API__SSE__COMMENT_INTERVAL_S": "0.05",
    "RUNCAST__API__SSE__HEARTBEAT_INTERVAL_S": "600",
    "RUNCAST__JOBS__HEARTBEAT_INTERVAL_S": "0.05",
    "RUNCAST__PROCESSES__HEARTBEAT_INTERVAL_S": "600",
}


@contextmanager
def cut_server(
    folder: Path, measure: Measure, *every: range
) -> Iterator[tuple[Server, list[Cutter]]]:
    """Start a server with cutters before it; it knows them by name, and their pages as its own."""
    server = Server(folder / "data", _SETTINGS)
    with ExitStack() as stack:
        cutters = [stack.enter_context(Cutter(server.port, measure, each)) for each in every]
        names = [f"127.0.0.1:{cutter.port}" for cutter in cutters]
        server.env["RUNCAST__AUTH__ALLOWED_HOSTS"] = str(names)
        server.env["RUNCAST__AUTH__ALLOWED_ORIGINS"] = str([f"http://{name}" for name in names])
        stack.callback(server.close)
        server.start()
        yield server, cutters
