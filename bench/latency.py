"""How long it takes from the command's write until a client has the line, committed."""

import contextlib
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import NamedTuple

from bench import disk, ours
from bench.audience import Sample, sample
from bench.compared import delay_ms
from bench.fanout import OURS, Load, strict
from bench.gate import command, gate
from bench.host import undisturbed
from bench.measure import Plan, median, percentile
from bench.peers.table import SSE, Open, Peer, nothing, present
from bench.processes import cores, started
from bench.report import Beside, Row
from bench.server import runcast_server

COMMITS = 50
SPIN = [sys.executable, "-I", "-S", "-c", "while True: pass"]
PEERS = ("nchan", "sse-starlette")
# A record of the spool: its second, its ns, and when the command printed it.
RECORD = re.compile(rb"^(\S{19})\.(\d{9})Z stdout F =~=(\d+) ", re.MULTILINE)
NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000


class Case(NamedTuple):
    """A load, and how many other programs want all of a core meanwhile."""

    load: Load
    others: int = 0

    @property
    def label(self) -> str:
        """Name it in words."""
        clients = "1 client" if self.load.clients == 1 else f"{self.load.clients} clients"
        busy = ", all cores busy" if self.others else ""
        return f"write to client, {self.load.rate:,.0f} events/s, {clients}{busy}"


CASES = (
    Case(Load("10", 10, 1)),
    Case(Load("100", 100, 1)),
    Case(Load("1000", 1_000, 1)),
    Case(Load("200x50", 200, 50)),
    Case(Load("loaded", 100, 1), cores()),
)


def measure(plan: Plan) -> Iterator[Row]:
    """Alternate the servers in each case, then say where the time goes."""
    for case in CASES:
        commits = _commits(plan)
        samples = _samples(plan, case)
        commits += _commits(plan)
        floor = f"a commit took {percentile(commits, 50):.2f} ms just before and after"
        yield from _rows(case, samples, floor)
    yield from undisturbed(lambda: list(_hops(plan)))


def _samples(plan: Plan, case: Case) -> dict[str, list[Sample]]:
    peers = present({name: SSE[name] for name in PEERS})
    servers = {OURS: Peer(ours.sse_feed, nothing, 0), **peers}
    samples: dict[str, list[Sample]] = {name: [] for name in servers}
    lines = _lines(plan, case.load)
    for _ in range(plan.delay_rounds):
        for name, server in servers.items():
            turn = partial(_turn, plan, server.open, case, lines)
            samples[name].append(undisturbed(strict(turn) if name == OURS else turn))
    return samples


def _turn(plan: Plan, opening: Open, case: Case, lines: int) -> Sample:
    with gate(plan.folder) as entry:
        child = command(lines, rate=case.load.rate, gate=entry.path)
        with opening(plan.folder, child) as feed, _spinning(case.others):
            return sample(plan.folder, feed, entry, case.load.clients, lines)


def _lines(plan: Plan, load: Load) -> int:
    assert load.rate is not None
    return int(load.rate * plan.delay_seconds)


def _rows(case: Case, samples: dict[str, list[Sample]], floor: str) -> Iterator[Row]:
    share = median(each.cpu_s / each.seen.wall_s for each in samples[OURS])
    count = sum(len(each.seen.delays_ms) for each in samples[OURS])
    note = f"{count:,} samples; server CPU {share:.1%}; {floor}"
    for percent in (50, 99):
        found = {name: delay_ms(some, percent) for name, some in samples.items()}
        value = found.pop(OURS)
        beside = tuple(Beside(name, one) for name, one in found.items())
        name, label = f"latency.{case.load.name}.p{percent}", f"{case.label}, p{percent}"
        yield Row(name, label, value, "ms", note=note, beside=beside)
        note = ""


def _hops(plan: Plan) -> Iterator[Row]:
    """Split the way at the record in the spool, whose time the runner took when it read."""
    load = Load("100", 100, 1)
    lines = _lines(plan, load)
    with runcast_server(plan.folder) as server, gate(plan.folder) as entry:
        run_id = server.submit(command(lines, rate=load.rate, gate=entry.path))
        feed = ours.run_feed(server, [run_id])
        seen = sample(plan.folder, feed, entry, load.clients, lines)
        (spool,) = server.data_dir.glob("runs/*/output.log")
        read = _read_delays(spool.read_bytes())
    rest = [all_of - first for all_of, first in zip(seen.seen.delays_ms, read, strict=True)]
    hops = {"pipe": ("command to runner", read), "rest": ("spool, parse, commit, send", rest)}
    for name, (label, samples) in hops.items():
        note = f"p99 {percentile(samples, 99):.2f} ms"
        label = f"of that at 100 events/s: {label}, p50"
        yield Row(f"latency.hop.{name}", label, percentile(samples, 50), "ms", note=note)


def _read_delays(spool: bytes) -> list[float]:
    """Return how many ms after each line's printing the runner had read it."""
    ahead = time.time_ns() - time.monotonic_ns()
    return [
        (_ns(second, fraction) - ahead - int(printed)) / NS_PER_MS
        for second, fraction, printed in RECORD.findall(spool)
    ]


def _ns(second: bytes, fraction: bytes) -> int:
    whole = datetime.fromisoformat(second.decode() + "+00:00").timestamp()
    return int(whole) * NS_PER_S + int(fraction)


@contextlib.contextmanager
def _spinning(programs: int) -> Iterator[None]:
    """Have so many programs do nothing as fast as they can."""
    with contextlib.ExitStack() as stack:
        for _ in range(programs):
            stack.enter_context(started(SPIN))
        yield


def _commits(plan: Plan) -> list[float]:
    """Time some commits: what the disk takes now is the floor, and others may be using it."""
    with tempfile.TemporaryDirectory(prefix="disk-", dir=plan.folder) as place:
        return disk.commits(Path(place, "database"), COMMITS)
