"""The load client, a process of its own: many event streams, counted and not parsed.

Prints `ready` when every stream has its headers, and a JSON result when every stream has ended.
"""

import argparse
import json
import select
import socket
import time
from typing import NamedTuple

from bench.server import address, request_for

EVENT = b"\nid: "
RECV_BYTES = 262_144


class Result(NamedTuple):
    """What the load client saw: events of the least and best served stream, and its own cost."""

    least: int
    most: int
    total: int
    received: int
    wall_s: float
    cpu_s: float


class EventCounter:
    """Counts the events in the body of one chunked response, whatever cuts it into pieces."""

    __slots__ = ("_body_left", "_head", "_tail", "ended", "events", "headers")

    def __init__(self) -> None:
        self.events = 0
        self.headers = False
        self.ended = False
        self._head = b""  # of the response or of a chunk, as far as it has come
        self._tail = b"\n"  # of the body: an event at its very beginning counts, too
        self._body_left = 0

    def feed(self, data: bytes | bytearray, size: int) -> None:
        """Count what the first `size` bytes of `data` add."""
        start = 0
        if not self.headers:
            start = self._skip_headers(bytes(data[:size]))
        while start < size and not self.ended:
            if self._body_left > 2:
                end = min(start + self._body_left - 2, size)
                self._count(data, start, end)
                self._body_left -= end - start
            elif self._body_left:  # the line end of the chunk
                end = min(start + self._body_left, size)
                self._body_left -= end - start
            else:
                end = self._read_head(data, start, size)
            start = end

    def _skip_headers(self, data: bytes) -> int:
        before = len(self._head)
        self._head += data
        end = self._head.find(b"\r\n\r\n")
        if end < 0:
            return len(data)
        if not self._head.startswith(b"HTTP/1.1 200"):
            raise ValueError(f"the server answered {self._head[:end]!r}")
        self.headers = True
        self._head = b""
        return end + 4 - before

    def _read_head(self, data: bytes | bytearray, start: int, size: int) -> int:
        newline = data.find(b"\n", start, size)
        end = size if newline < 0 else newline + 1
        self._head += data[start:end]
        if newline >= 0:
            length = int(self._head, 16)
            self.ended = length == 0
            self._body_left = length + 2
            self._head = b""
        return end

    def _count(self, data: bytes | bytearray, start: int, end: int) -> None:
        keep = len(EVENT) - 1
        seam = self._tail + data[start : min(start + keep, end)]
        self.events += seam.count(EVENT) + data.count(EVENT, start, end)
        self._tail = bytes(data[end - keep : end]) if end - start >= keep else seam[-keep:]


def main() -> None:
    """Open the streams, count until all have ended, say what came."""
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("path")
    parser.add_argument("clients", type=int)
    options = parser.parse_args()
    where = address(options.url)
    request = request_for(options.path, where)
    streams: dict[int, tuple[socket.socket, EventCounter]] = {}
    poll = select.epoll()
    for _ in range(options.clients):
        stream = socket.create_connection(where)
        stream.sendall(request)
        stream.setblocking(False)
        streams[stream.fileno()] = (stream, EventCounter())
        poll.register(stream, select.EPOLLIN)
    print(json.dumps(_read(poll, streams)._asdict()), flush=True)


def _read(poll: select.epoll, streams: dict[int, tuple[socket.socket, EventCounter]]) -> Result:
    counters = [counter for _, counter in streams.values()]
    buffer = bytearray(RECV_BYTES)
    silent = len(counters)
    received = 0
    began, spent = time.monotonic(), time.process_time()
    while streams:
        for number, _ in poll.poll():
            stream, counter = streams[number]
            size = stream.recv_into(buffer)
            received += size
            fresh = not counter.headers
            counter.feed(buffer, size)
            if fresh and counter.headers:
                silent -= 1
                if not silent:
                    began, spent = time.monotonic(), time.process_time()
                    print("ready", flush=True)
            if counter.ended or not size:
                poll.unregister(number)
                streams.pop(number)[0].close()
    seen = [counter.events for counter in counters]
    wall, cpu = time.monotonic() - began, time.process_time() - spent
    return Result(min(seen), max(seen), sum(seen), received, wall, cpu)


if __name__ == "__main__":
    main()
