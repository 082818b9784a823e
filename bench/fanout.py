"""What it costs a server to send one run's events to many clients, beside other servers."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import NamedTuple

from bench import ours
from bench.audience import Sample, sample
from bench.compared import compare, summed_up
from bench.floor import feeds
from bench.gate import command, gate
from bench.host import undisturbed
from bench.measure import Plan
from bench.peers.table import SSE, Open, Peer, nothing, present
from bench.processes import BenchError
from bench.report import Row
from bench.targets import TARGETS

OURS, FLOOR = "runcast", "raw sockets"
BURST_LINES = 100_000
FULL = 200  # with so many clients all peers take part and all rounds are run
FEW = ("nchan",)


class Load(NamedTuple):
    """Lines a second (None: as fast as the command prints) to so many clients."""

    name: str
    rate: float | None
    clients: int

    @property
    def label(self) -> str:
        """Name it in words."""
        speed = f"{self.rate:,.0f} events/s" if self.rate else "a burst"
        return f"fan-out of {speed} to {self.clients:,}"

    def lines(self, seconds: float, deliveries: int) -> int:
        """Return how many lines are printed, so that at most so many are to be delivered."""
        wanted = int(self.rate * seconds) if self.rate else BURST_LINES
        return max(min(wanted, deliveries // self.clients), 100)


RATES: dict[str, float | None] = {"200": 200, "2000": 2_000, "burst": None}


def measure(plan: Plan) -> Iterator[Row]:
    """Alternate the servers for each load."""
    for clients in plan.fanout_clients:
        for name, rate in RATES.items():
            load = Load(name, rate, clients)
            peers = {**present(SSE), FLOOR: feeds.stream()}
            if clients != FULL:
                peers = {name: peer for name, peer in peers.items() if name in FEW}
            rounds = plan.fanout_rounds if clients == FULL else 1
            yield from _rows(load, alternate(plan, ours.sse_feed, peers, load, rounds))


def alternate(
    plan: Plan, opening: Open, peers: Mapping[str, Peer], load: Load, rounds: int
) -> dict[str, list[Sample]]:
    """Let runcast, opened so, and its peers take turns with a load."""
    servers = {OURS: Peer(opening, nothing, plan.burst_deliveries), **peers}
    samples: dict[str, list[Sample]] = {name: [] for name in servers}
    for _ in range(rounds):
        for name, server in servers.items():
            lines = load.lines(plan.fanout_seconds, server.deliveries)
            turn = partial(one, plan, server.open, load, lines)
            samples[name].append(undisturbed(strict(turn) if name == OURS else turn))
    return samples


def one(plan: Plan, opening: Open, load: Load, lines: int) -> Sample:
    """Open a server for a command and have all clients take all that it prints."""
    with gate(plan.folder) as entry:
        child = command(lines, rate=load.rate, gate=entry.path)
        with opening(plan.folder, child) as feed:
            return sample(plan.folder, feed, entry, load.clients, lines)


def strict(turn: Callable[[], Sample]) -> Callable[[], Sample]:
    """Have a turn of ours raise if a client missed an event or got one twice; a peer's may."""

    def checked() -> Sample:
        sample = turn()
        if not sample.whole:
            got = f"{sample.seen.least} to {sample.seen.most} of {sample.expected}"
            raise BenchError(f"clients got {got} events")
        return sample

    return checked


def _rows(load: Load, samples: Mapping[str, list[Sample]]) -> Iterator[Row]:
    """Show what was measured: deliveries per CPU second, and the slowest of them if wanted."""
    name = f"fanout.{load.name}.{load.clients}"
    peers = {server: summed_up(some, load.rate is not None) for server, some in samples.items()}
    mine = peers.pop(OURS)
    yield compare(name, load.label, mine, peers)
    if mine.p99 is not None and f"{name}.p99" in TARGETS:
        yield Row(f"{name}.p99", f"{load.label}: write to client, p99", mine.p99, "ms")
