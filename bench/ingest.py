"""How fast what a command prints becomes committed events, beside `command | cat >file`."""

import json
import shlex
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from bench.gate import command
from bench.measure import Plan, median, spread
from bench.processes import BenchError, children_cpu_seconds, cpu_seconds, peak_bytes
from bench.report import Row
from bench.server import Server, runcast_server


class Sample(NamedTuple):
    """One round: seconds of the child's wall time, of the whole way, and of CPU; bytes."""

    child_s: float
    whole_s: float
    server_s: float = 0.0
    runner_s: float = 0.0
    peak: int = 0


def measure(plan: Plan) -> Iterator[Row]:
    """Alternate the two ways, so that what else the machine does hits both."""
    ours: list[Sample] = []
    cats: list[Sample] = []
    for _ in range(plan.ingest_rounds):
        cats.append(_cat(plan))
        with runcast_server(plan.folder) as server:
            ours.append(_runcast(plan, server))
    yield from _rates(plan.ingest_lines, ours, cats)
    yield from _costs(plan.ingest_lines, ours)


def _rates(lines: int, ours: list[Sample], cats: list[Sample]) -> Iterator[Row]:
    rates = [lines / sample.whole_s for sample in ours]
    rate, cat_rate = median(rates), lines / median(sample.whole_s for sample in cats)
    yield Row(
        "ingest.rate",
        "ingest: 60-byte lines, child's start to last commit",
        rate,
        "lines/s",
        cat_rate,
        f"peer: child \\| cat >file; {len(ours)} rounds, {spread(rates)}",
    )
    yield Row("ingest.ratio", "ingest: rate as a share of cat's", rate / cat_rate, "")
    yield Row(
        "ingest.child",
        "ingest: the child's own time",
        median(sample.child_s for sample in ours),
        "s",
        median(sample.child_s for sample in cats),
        "what printing costs the command",
    )


def _costs(lines: int, ours: list[Sample]) -> Iterator[Row]:
    per_million = 1_000_000 / lines
    server_s = median(sample.server_s for sample in ours) * per_million
    yield Row("ingest.server", "ingest: server CPU per million lines", server_s, "s")
    runner_s = median(sample.runner_s for sample in ours) * per_million
    yield Row("ingest.runner", "ingest: runner CPU per million lines", runner_s, "s")
    peak = median(sample.peak / 2**20 for sample in ours)
    yield Row("ingest.memory", "ingest: server's peak memory (VmHWM)", peak, "MiB")


def _cat(plan: Plan) -> Sample:
    with tempfile.TemporaryDirectory(prefix="cat-", dir=plan.folder) as place:
        report = Path(place, "report.json")
        child = shlex.join(command(plan.ingest_lines, report=report))
        script = f"{child} | cat >{shlex.quote(str(Path(place, 'output')))}"
        subprocess.run(["sh", "-c", script], check=True)
        ended = time.monotonic()
        child_times = json.loads(report.read_text())
    started = child_times["started"]
    return Sample(child_times["ended"] - started, ended - started)


def _runcast(plan: Plan, server: Server) -> Sample:
    with tempfile.TemporaryDirectory(prefix="report-", dir=plan.folder) as place:
        report = Path(place, "report.json")
        server_before = cpu_seconds(server.pid)
        run = server.wait(server.submit(command(plan.ingest_lines, report=report)))
        ended = time.monotonic()
        server_s = cpu_seconds(server.pid) - server_before
        child_times = json.loads(report.read_text())
    _check(server, run["id"], run["last_seq"], plan.ingest_lines)
    started = child_times["started"]
    # Guard, worker and child are the only children that ever ended.
    runner_s = _settled(server.pid) - child_times["cpu"]
    return Sample(
        child_times["ended"] - started,
        ended - started,
        server_s,
        runner_s,
        peak_bytes(server.pid),
    )


def _check(server: Server, run_id: str, last_seq: int, lines: int) -> None:
    """Look that the log has every line: its events are those and the changes of status."""
    path = f"/api/v1/runs/{run_id}/events"
    first = server.request("GET", f"{path}?limit=5")["events"]
    last = server.request("GET", f"{path}?after={last_seq - 2}")["events"]
    statuses = sum(event["type"] == "status" for event in first + last)
    last_line = last[0]["data"].get("text", "")
    if last_seq != lines + statuses or not last_line.startswith(f"{lines - 1:08d}"):
        raise BenchError(f"{last_seq - statuses} of {lines} lines committed, last {last_line!r}")


def _settled(pid: int) -> float:
    """Return the CPU time of ended children once the runner, which ends last, is among them."""
    deadline = time.monotonic() + 5
    while not (spent := children_cpu_seconds(pid)):
        if time.monotonic() > deadline:
            raise BenchError("the runner never ended")
        time.sleep(0.01)
    return spent
