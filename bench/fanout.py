"""What it costs the server to send one run's events to many clients, beside sse-starlette."""

import json
import subprocess
from collections.abc import Iterator
from typing import NamedTuple

from bench.gate import Gate, command, gate
from bench.load import Result
from bench.measure import Load, Plan, median, spread
from bench.processes import BenchError, cpu_seconds, first_line, module, peak_bytes, started
from bench.report import Row
from bench.server import runcast_server

CLIENTS = 200


class Sample(NamedTuple):
    """One round: events delivered per CPU second of the server, what the clients saw, bytes."""

    per_cpu_s: float
    seen: Result
    peak: int


def measure(plan: Plan) -> Iterator[Row]:
    """Alternate the two servers for each load."""
    peak = 0.0
    for load in plan.fanouts:
        ours: list[Sample] = []
        peers: list[Sample] = []
        for _ in range(plan.fanout_rounds):
            ours.append(_runcast(plan, load))
            peers.append(_peer(plan, load))
        peak = max(peak, *(sample.peak / 2**20 for sample in ours))
        yield _row(load, ours, peers)
    yield Row("fanout.memory", "fan-out: server's peak memory (VmHWM)", peak, "MiB")


def _row(load: Load, ours: list[Sample], peers: list[Sample]) -> Row:
    speed = f"{load.rate:,.0f} lines/s" if load.rate else f"a burst of {load.lines:,}"
    busy = max(sample.seen.cpu_s / sample.seen.wall_s for sample in ours)
    rates = [sample.per_cpu_s for sample in ours]
    return Row(
        f"fanout.{load.name}",
        f"fan-out to {CLIENTS} clients, {speed}",
        median(rates),
        "events per server CPU-s",
        median(sample.per_cpu_s for sample in peers),
        f"peer: sse-starlette; {spread(rates)}; load client busy {busy:.0%}",
    )


def _runcast(plan: Plan, load: Load) -> Sample:
    with runcast_server(plan.folder) as server, gate(plan.folder) as entry:
        run_id = server.submit(command(load.lines, rate=load.rate, gate=entry.path))
        path = f"/api/v1/runs/{run_id}/stream"
        sample = _sample(server.pid, server.url, path, entry, load.lines)
        last_seq = server.wait(run_id)["last_seq"]
        # Every event, and the closing frame.
        _check(sample.seen, last_seq + 1)
        return sample


def _peer(plan: Plan, load: Load) -> Sample:
    with gate(plan.folder) as entry:
        child = command(load.peer_lines, rate=load.rate, gate=entry.path)
        with started(module("peer", *child)) as process:
            url = first_line(process, "listening on ")
            sample = _sample(process.pid, url, "/stream", entry, load.peer_lines)
        _check(sample.seen, load.peer_lines)
        return sample


def _sample(pid: int, url: str, path: str, entry: Gate, lines: int) -> Sample:
    with started(module("load", url, path, str(CLIENTS))) as process:
        first_line(process, "ready")
        before = cpu_seconds(pid)
        entry.open()
        seen = _result(process)
        spent = cpu_seconds(pid) - before
    return Sample(lines * CLIENTS / spent, seen, peak_bytes(pid))


def _result(process: "subprocess.Popen[str]") -> Result:
    assert process.stdout is not None
    said = process.stdout.readline()
    if not said:
        raise BenchError("the load client ended early")
    return Result(**json.loads(said))


def _check(seen: Result, events: int) -> None:
    if (seen.least, seen.most) != (events, events):
        raise BenchError(f"clients got {seen.least} to {seen.most} of {events} events")
