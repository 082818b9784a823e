"""The load client, a process of its own: many connections, their events counted and not parsed.

Prints `ready` when every client has been through its conversation, and a JSON result when each has
as many events as it should get, or when nothing came for a while.
"""

import json
import re
import select
import socket
import sys
import time
from pathlib import Path
from typing import NamedTuple

MARK = b"=~="  # as child.py has it
STAMP = re.compile(rb"=~=(\d+) ")
SEAM = len(MARK) - 1
RECV_BYTES = 262_144
NS_PER_MS = 1_000_000


class Spec(NamedTuple):
    """What to do: `clients` take the conversations in turn, and count up to `events` each.

    A conversation is a list of what to say and what to wait for then (both latin-1). `sampled`
    clients note how long each event took. Nothing coming for `patience_s` is the end.
    """

    host: str
    port: int
    conversations: list[list[tuple[str, str]]]
    clients: int
    events: int
    sampled: int
    patience_s: float


class Result(NamedTuple):
    """What the clients saw: events of the least and best served, and what counting cost."""

    least: int
    most: int
    total: int
    received: int
    wall_s: float
    cpu_s: float
    delays_ms: list[float]


class Client:
    """One connection and the events that came over it."""

    __slots__ = ("_tail", "events", "socket")

    def __init__(self, connection: socket.socket, said: bytes) -> None:
        self.socket = connection
        self.events = 0
        self._tail = b""
        self.take(bytearray(said), len(said))

    def take(self, data: bytearray, size: int) -> None:
        """Count the events that the first `size` bytes of `data` add."""
        seam = self._tail + data[: min(SEAM, size)]
        self.events += seam.count(MARK) + data.count(MARK, 0, size)
        self._tail = bytes(data[size - SEAM : size]) if size >= SEAM else bytes(seam[-SEAM:])


class Sampler(Client):
    """A client that reads the stamps of its events."""

    __slots__ = ("_rest", "delays_ms")

    def __init__(self, connection: socket.socket, said: bytes) -> None:
        self.delays_ms: list[float] = []
        self._rest = b""
        super().__init__(connection, said)

    def take(self, data: bytearray, size: int) -> None:
        """Count the events and note how old each is."""
        now = time.monotonic_ns()
        super().take(data, size)
        self._rest += data[:size]
        end = 0
        for found in STAMP.finditer(self._rest):
            self.delays_ms.append((now - int(found[1])) / NS_PER_MS)
            end = found.end()
        self._rest = self._rest[end:][-RECV_BYTES:]


def main() -> None:
    """Connect all, count until all have enough, say what came."""
    fields = json.loads(Path(sys.argv[1]).read_text())
    spec = Spec(**fields)
    clients = [_connected(spec, number) for number in range(spec.clients)]
    print("ready", flush=True)
    print(json.dumps(_read(spec, clients)._asdict()), flush=True)


def _connected(spec: Spec, number: int) -> Client:
    connection = socket.create_connection((spec.host, spec.port), timeout=30)
    said = b""
    for words, wanted in spec.conversations[number % len(spec.conversations)]:
        connection.sendall(words.encode("latin-1"))
        while (found := said.find(wanted.encode("latin-1"))) < 0:
            if not (data := connection.recv(65_536)):
                raise SystemExit(f"the server said {said!r}, not {wanted!r}")
            said += data
        said = said[found + len(wanted) :]
    connection.setblocking(False)
    # Spread over all, for the first to connect may be the first to be served.
    step = max(spec.clients // spec.sampled, 1) if spec.sampled else spec.clients + 1
    return (Sampler if number % step == step // 2 else Client)(connection, said)


def _read(spec: Spec, clients: list[Client]) -> Result:
    poll, waiting = select.epoll(), {}
    for client in clients:
        if client.events < spec.events:
            poll.register(client.socket, select.EPOLLIN)
            waiting[client.socket.fileno()] = client
    buffer = bytearray(RECV_BYTES)
    received = 0
    began, spent = time.monotonic(), time.process_time()
    while waiting and (found := poll.poll(spec.patience_s)):
        for number, _ in found:
            client = waiting[number]
            size = client.socket.recv_into(buffer)
            received += size
            client.take(buffer, size)
            if client.events >= spec.events or not size:
                poll.unregister(number)
                del waiting[number]
    wall, cpu = time.monotonic() - began, time.process_time() - spent
    events = [client.events for client in clients]
    delays = [one for client in clients if isinstance(client, Sampler) for one in client.delays_ms]
    return Result(min(events), max(events), sum(events), received, wall, cpu, delays)


if __name__ == "__main__":
    main()
