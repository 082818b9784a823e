"""The peers of fan-out: how each is started to send what one command prints."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

from bench.audience import Feed
from bench.peers import nchan, node, redis, sse_starlette, websocketd

Open = Callable[[Path, Sequence[str]], AbstractContextManager[Feed]]


class Peer(NamedTuple):
    """A server that can be opened for one command, at its gate then.

    `lacks` says what must be installed, nothing if all is there. `deliveries` are how many events
    it is given to deliver in one sample: what is slow gets fewer, or it would run for minutes.
    """

    open: Open
    lacks: Callable[[], str]
    deliveries: int


def nothing() -> str:
    """Say that there is nothing to install: of runcast itself."""
    return ""


SSE: dict[str, Peer] = {
    "nchan": Peer(nchan.feed, nchan.lacks, 1_000_000),
    "better-sse": Peer(node.sse_feed, node.lacks, 300_000),
    "sse-starlette": Peer(sse_starlette.feed, sse_starlette.lacks, 120_000),
    "redis": Peer(redis.feed, redis.lacks, 1_000_000),
}


def present(peers: dict[str, Peer]) -> dict[str, Peer]:
    """Return those that can be started."""
    return {name: peer for name, peer in peers.items() if not peer.lacks()}


def absent() -> Iterator[str]:
    """Say of each peer that cannot be started what it lacks, also of those of single parts."""
    lacks = {name: peer.lacks for name, peer in SSE.items()}
    lacks |= {"ws": node.lacks, "websocketd": websocketd.lacks}
    for name, lacking_of in lacks.items():
        if lacking := lacking_of():
            yield f"{name} is left out: {lacking} is missing (scripts/setup-bench)"
