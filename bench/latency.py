"""How long it takes from the command's write until a client has the line, committed."""

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench import disk
from bench.gate import command, gate
from bench.measure import Plan, percentile
from bench.processes import BenchError, cpu_seconds
from bench.report import Row
from bench.server import runcast_server

RATES = (10, 100, 1_000)
COMMITS = 50
STAMP = re.compile(rb'"line":"(\d+) ')
NS_PER_MS = 1_000_000


def measure(plan: Plan) -> Iterator[Row]:
    """Measure at each rate with one client."""
    for rate in RATES:
        commits = _commits(plan)
        samples, server_share = _sample(plan, rate)
        commits += _commits(plan)
        floor = f"a commit took {percentile(commits, 50):.2f} ms just before and after"
        note = f"{len(samples):,} lines; server CPU {server_share:.1%}; {floor}"
        label = f"write to client at {rate:,} lines/s"
        for percent in (50, 99):
            value = percentile(samples, percent)
            name = f"latency.{rate}.p{percent}"
            yield Row(name, f"{label}, p{percent}", value, "ms", note=note)
            note = ""


def _commits(plan: Plan) -> list[float]:
    """Time some commits: what the disk takes now is the floor, and others may be using it."""
    with tempfile.TemporaryDirectory(prefix="disk-", dir=plan.folder) as place:
        return disk.commits(Path(place, "database"), COMMITS)


def _sample(plan: Plan, rate: int) -> tuple[list[float], float]:
    """Return the milliseconds of each line, and what share of a core the server used."""
    count = int(rate * plan.latency_seconds)
    samples: list[float] = []
    with runcast_server(plan.folder) as server, gate(plan.folder) as entry:
        run_id = server.submit(command(count, rate=rate, gate=entry.path))
        stream = server.stream(run_id)
        next(stream)
        before = cpu_seconds(server.pid)
        entry.open()
        rest = b""
        for came, data in stream:
            rest += data
            end = 0
            for found in STAMP.finditer(rest):
                samples.append((came - int(found[1])) / NS_PER_MS)
                end = found.end()
            rest = rest[end:]
        share = (cpu_seconds(server.pid) - before) / plan.latency_seconds
    if len(samples) != count:
        raise BenchError(f"{len(samples)} of {count} lines came")
    return samples, share
