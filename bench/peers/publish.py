"""Runs a command and publishes its lines to a server that others listen to.

`python -m bench.peers.publish nchan|redis PORT COMMAND...`
"""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime

RUN_ID = "01a2b3c4-d5e6-7f80-91a2-b3c4d5e6f708"  # as long as a run's id
CHANNEL = "lines"
READ_BYTES = 65_536
IN_FLIGHT = 64  # requests whose answers are still to come


def event(line: bytes) -> bytes:
    """Write a line as the data of an event."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    data = {"run_id": RUN_ID, "stream": "stdout", "line": line.decode(), "timestamp": now}
    return json.dumps(data, separators=(",", ":")).encode()


def _nchan(line: bytes) -> bytes:
    data = event(line)
    head = f"POST /publish HTTP/1.1\r\nHost: x\r\nContent-Length: {len(data)}\r\n"
    return head.encode() + b"Accept: text/json\r\nX-EventSource-Event: log\r\n\r\n" + data


def _redis(line: bytes) -> bytes:
    data = event(line)
    head = f"*3\r\n$7\r\nPUBLISH\r\n${len(CHANNEL)}\r\n{CHANNEL}\r\n${len(data)}\r\n"
    return head.encode() + data + b"\r\n"


# By server: how a line is published, and what every answer has once.
_PROTOCOLS: dict[str, tuple[Callable[[bytes], bytes], bytes]] = {
    "nchan": (_nchan, b"HTTP/1.1 20"),
    "redis": (_redis, b":"),
}


def main() -> None:
    """Publish everything, a few lines at a time."""
    request, answer = _PROTOCOLS[sys.argv[1]]
    server = socket.create_connection(("127.0.0.1", int(sys.argv[2])))
    server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with subprocess.Popen(sys.argv[3:], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        rest = b""
        while data := os.read(child.stdout.fileno(), READ_BYTES):
            *lines, rest = (rest + data).split(b"\n")
            for start in range(0, len(lines), IN_FLIGHT):
                some = lines[start : start + IN_FLIGHT]
                server.sendall(b"".join(map(request, some)))
                _take_answers(server, answer, len(some))


def _take_answers(server: socket.socket, answer: bytes, count: int) -> None:
    said = b""
    while said.count(answer) < count or not said.endswith((b"\r\n", b"}")):
        data = server.recv(READ_BYTES)
        if not data:
            raise SystemExit(f"the server ended after {said!r}")
        said += data


if __name__ == "__main__":
    main()
