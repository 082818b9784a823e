"""The floor beside the product and its peers, where it is in doubt how much is to be had."""

import contextlib
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from bench.audience import Feed
from bench.peers.table import Peer, nothing
from bench.processes import first_line, module, started
from bench.server import address, request_for

DELIVERIES = 1_000_000


@contextlib.contextmanager
def _feed(folder: Path, command: Sequence[str], *, kind: str, ms: float) -> Iterator[Feed]:
    del folder
    with started(module("floor.raw", kind, f"{ms}", *command)) as process:
        where = address(first_line(process, "listening on "))
        request = request_for("/", where).decode()
        yield Feed((process.pid,), where, [[(request, "\r\n\r\n")]])


def stream() -> Peer:
    """Write each event to every socket."""
    return Peer(partial(_feed, kind="stream", ms=0), nothing, DELIVERIES)


def batch(ms: float) -> Peer:
    """Write what came in so many ms to every socket."""
    return Peer(partial(_feed, kind="batch", ms=ms), nothing, DELIVERIES)
