"""sse-starlette on uvicorn, a queue per client: started for one command."""

import contextlib
import importlib.util
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.audience import Feed
from bench.processes import first_line, module, started
from bench.server import address, request_for


def lacks() -> str:
    """Say what must be installed."""
    return "" if importlib.util.find_spec("sse_starlette") else "sse-starlette"


@contextlib.contextmanager
def feed(folder: Path, command: Sequence[str]) -> Iterator[Feed]:
    """Send what the command prints."""
    del folder
    with started(module("peers.sse_starlette_app", *command)) as process:
        where = address(first_line(process, "listening on "))
        request = request_for("/stream", where).decode()
        yield Feed((process.pid,), where, [[(request, "\r\n\r\n")]])
