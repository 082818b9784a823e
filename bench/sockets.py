"""What it costs a server to send one run's events over WebSocket, beside ws."""

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

from bench import ours
from bench.compared import compare, summed_up
from bench.fanout import FLOOR, OURS, Load, alternate
from bench.floor import feeds
from bench.measure import Plan
from bench.peers import node
from bench.peers.table import Open, Peer, present
from bench.report import Row

LOAD = Load("2000", 2_000, 200)
PLAIN_DELIVERIES, BATCH_DELIVERIES = 300_000, 1_000_000


class Case(NamedTuple):
    """How the events are packed, and for how many ms they are gathered, by both."""

    name: str
    label: str
    opening: Open
    peers: dict[str, Peer]


def measure(plan: Plan) -> Iterator[Row]:
    """Alternate the servers in each case."""
    for case in _cases():
        samples = alternate(plan, case.opening, present(case.peers), LOAD, plan.fanout_rounds)
        peers = {server: summed_up(some) for server, some in samples.items()}
        label = f"WebSocket, {case.label}: 2,000 events/s to {LOAD.clients}"
        yield compare(f"sockets.{case.name}", label, peers.pop(OURS), peers)


def _cases() -> Iterator[Case]:
    plain = partial(ours.plain_feed, ms=10)
    yield Case("plain", "a message each", plain, {"ws": _ws("/plain", 0, PLAIN_DELIVERIES)})
    # Gathering for equally long, so that nobody wins by making its clients wait; and ws as it is
    # without gathering: an array of what one read of the command's output gave.
    per_read = _ws("/batch", 0, PLAIN_DELIVERIES)
    for name, ms in (("batch", 10), ("batch100", 100)):
        batches = _ws("/batch", ms, BATCH_DELIVERIES)
        peers = {"ws": batches, "ws-per-read": per_read, FLOOR: feeds.batch(ms)}
        yield Case(name, f"batches of {ms} ms", partial(ours.batch_feed, ms=ms), peers)


def _ws(path: str, pause_ms: float, deliveries: int) -> Peer:
    feed = partial(node.socket_feed, path, pause_ms)
    return Peer(lambda _, command: feed(command), node.lacks, deliveries)
