"""websocketd: a process for each connection, its lines the messages."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.audience import Feed
from bench.peers.programs import find
from bench.processes import free_port, started, wait_listening
from bench.websocket import socket_of


def lacks() -> str:
    """Say what must be installed."""
    return "" if find("websocketd") else "websocketd"


@contextlib.contextmanager
def feed(folder: Path, paths: Sequence[str]) -> Iterator[Feed]:
    """Send each client what is written into a file of its own."""
    del folder
    port = free_port()
    options = ["--address=127.0.0.1", f"--port={port}", "--loglevel=error", "--passenv=PATH"]
    command = ["sh", "-c", 'exec cat "$QUERY_STRING"']
    with started([str(find("websocketd")), *options, *command]) as process:
        wait_listening(port)
        where = ("127.0.0.1", port)
        yield Feed((process.pid,), where, [socket_of(f"/?{path}", where) for path in paths])
