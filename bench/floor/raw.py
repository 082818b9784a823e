"""Runs a command and writes what it prints to bare sockets: nothing kept, no framework, no tasks.

`python -m bench.floor.raw KIND MS COMMAND...`: `stream` writes events as they come, `batch` one
WebSocket message for what came in so many ms. Whoever connects is greeted and then gets all.
"""

import json
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable

from bench.peers.publish import event

READ_BYTES = 65_536
_STREAM_HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
_SOCKET_HEAD = b"HTTP/1.1 101 Switching Protocols\r\n\r\n"
_LONG, _LONGER = 126, 127


def _stream(lines: list[bytes]) -> bytes:
    body = b"".join(b"event: log\ndata: " + event(line) + b"\nid: 1\n\n" for line in lines)
    return b"%x\r\n%b\r\n" % (len(body), body)


def _batch(lines: list[bytes]) -> bytes:
    events = [json.loads(event(line)) for line in lines]
    text = json.dumps({"type": "batch", "events": events}).encode()
    size, length = (_LONG, 2) if len(text) < 1 << 16 else (_LONGER, 8)
    return bytes([0x81, size]) + len(text).to_bytes(length, "big") + text


_KINDS: dict[str, tuple[bytes, Callable[[list[bytes]], bytes]]] = {
    "stream": (_STREAM_HEAD, _stream),
    "batch": (_SOCKET_HEAD, _batch),
}


def main() -> None:
    """Greet who connects until the command speaks, then write."""
    kind, pause_ms, *command = sys.argv[1:]
    head, encode = _KINDS[kind]
    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    print(f"listening on http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        pipe = child.stdout.fileno()
        clients = _greet(listener, pipe, head)
        rest = b""
        while data := os.read(pipe, READ_BYTES):
            *lines, rest = (rest + data).split(b"\n")
            if lines:
                _write(clients, encode(lines))
            time.sleep(float(pause_ms) / 1_000)


def _greet(listener: socket.socket, pipe: int, head: bytes) -> list[socket.socket]:
    clients = []
    while listener.fileno() in select.select([listener.fileno(), pipe], [], [])[0]:
        client, _ = listener.accept()
        client.recv(READ_BYTES)
        client.sendall(head)
        clients.append(client)
    return clients


def _write(clients: list[socket.socket], data: bytes) -> None:
    for client in clients:
        client.sendall(data)


if __name__ == "__main__":
    main()
