"""How fast what commands print becomes committed events, beside `command | cat >file`."""

import json
import shlex
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from bench.gate import command
from bench.host import undisturbed
from bench.measure import Plan, median, spread
from bench.processes import BenchError, children_cpu_seconds, cpu_seconds, peak_bytes
from bench.report import Beside, Row
from bench.server import Server, runcast_server

LINE_BYTES = 100
MANY = 20


class Sample(NamedTuple):
    """One round: seconds of the child's wall time, of the whole way, and of CPU; bytes."""

    child_s: float
    whole_s: float
    server_s: float = 0.0
    runner_s: float = 0.0
    peak: int = 0


def measure(plan: Plan) -> Iterator[Row]:
    """Measure one command printing lines, twenty at once, and one that ends no line."""
    lines = command(plan.ingest_lines, bytes=LINE_BYTES)
    ours, cats = _rounds(plan, [lines], plan.ingest_rounds)
    yield from _rates(plan.ingest_lines, ours, cats)
    yield from _costs(plan, ours)
    share = command(plan.ingest_lines // MANY, bytes=LINE_BYTES)
    many, many_cats = _rounds(plan, [share] * MANY, plan.ingest_rounds)
    yield _whole("ingest.many", f"{MANY} commands at once", many, many_cats, plan.ingest_lines)
    blob = command(0, blob=plan.ingest_blob)
    blobs, blob_cats = _rounds(plan, [blob], 1)
    size = plan.ingest_blob >> 20
    yield _whole("ingest.blob", f"{size:,} MiB without a line end", blobs, blob_cats, size)


def _rounds(
    plan: Plan, commands: Sequence[list[str]], rounds: int
) -> tuple[list[Sample], list[Sample]]:
    """Alternate the two ways, so that what else the machine does hits both."""
    ours: list[Sample] = []
    cats: list[Sample] = []
    for _ in range(rounds):
        cats.append(undisturbed(lambda: _cat(plan, commands)))
        ours.append(undisturbed(lambda: _ours(plan, commands)))
    return ours, cats


def _ours(plan: Plan, commands: Sequence[list[str]]) -> Sample:
    with runcast_server(plan.folder) as server:
        return runcast(plan, server, commands)


def _rates(lines: int, ours: list[Sample], cats: list[Sample]) -> Iterator[Row]:
    yield _whole("ingest.rate", f"{LINE_BYTES}-byte lines", ours, cats, lines)
    yield Row(
        "ingest.child",
        "ingest: the command's own wall time",
        median(each.child_s for each in ours),
        "s",
        note=spread(each.child_s for each in ours),
        beside=(Beside("cat", median(each.child_s for each in cats)),),
    )


def _whole(
    name: str, label: str, ours: Sequence[Sample], cats: Sequence[Sample], amount: float
) -> Row:
    unit = "MiB/s" if name == "ingest.blob" else "lines/s"
    rates = [amount / each.whole_s for each in ours]
    cost = median(each.server_s for each in ours)
    return Row(
        name,
        f"ingest: {label}, start to last commit",
        median(rates),
        unit,
        note=f"{spread(rates)}; server CPU {cost:.2f} s, peak {_mib(ours):,.0f} MiB",
        beside=(Beside("cat", amount / median(each.whole_s for each in cats)),),
    )


def _costs(plan: Plan, ours: Sequence[Sample]) -> Iterator[Row]:
    per_million = 1_000_000 / plan.ingest_lines
    server_s = median(each.server_s for each in ours) * per_million
    yield Row("ingest.server", "ingest: server CPU per million lines", server_s, "s")
    runner_s = median(each.runner_s for each in ours) * per_million
    yield Row("ingest.runner", "ingest: runner CPU per million lines", runner_s, "s")
    few = _ours(plan, [command(plan.ingest_lines // 4, bytes=LINE_BYTES)])
    growth = _mib(ours) - few.peak / 2**20
    note = f"peak (VmHWM) {_mib(ours):.0f} MiB"
    label = "ingest: server's memory, more than with a quarter of the lines"
    yield Row("ingest.growth", label, growth, "MiB", note=note)


def _mib(samples: Sequence[Sample]) -> float:
    return median(each.peak / 2**20 for each in samples)


def _cat(plan: Plan, commands: Sequence[list[str]]) -> Sample:
    with tempfile.TemporaryDirectory(prefix="cat-", dir=plan.folder) as place:
        reports = _reports(place, commands)
        children = [
            f"{shlex.join([*words, f'--report={report}'])} | cat >{report}.output &"
            for words, report in zip(commands, reports, strict=True)
        ]
        subprocess.run(["sh", "-c", "\n".join([*children, "wait"])], check=True)
        return _sample(reports, time.monotonic())


def runcast(plan: Plan, server: Server, commands: Sequence[list[str]]) -> Sample:
    """Run the commands at once until their last lines are committed."""
    with tempfile.TemporaryDirectory(prefix="report-", dir=plan.folder) as place:
        reports = _reports(place, commands)
        before = cpu_seconds(server.pid)
        run_ids = [
            server.submit([*words, f"--report={report}"])
            for words, report in zip(commands, reports, strict=True)
        ]
        runs = [server.wait(run_id) for run_id in run_ids]
        ended = time.monotonic()
        server_s = cpu_seconds(server.pid) - before
        sample = _sample(reports, ended)
        children_s = sum(json.loads(report.read_text())["cpu"] for report in reports)
    for run, words in zip(runs, commands, strict=True):
        _check(server, run["id"], run["last_seq"], int(words[4]))
    # Guards, workers and children are the only children that ever ended.
    runner_s = _settled(server.pid) - children_s
    return sample._replace(server_s=server_s, runner_s=runner_s, peak=peak_bytes(server.pid))


def _reports(place: str, commands: Sequence[list[str]]) -> list[Path]:
    return [Path(place, f"{number}.json") for number in range(len(commands))]


def _sample(reports: Sequence[Path], ended: float) -> Sample:
    times = [json.loads(report.read_text()) for report in reports]
    started = min(one["started"] for one in times)
    return Sample(max(one["ended"] for one in times) - started, ended - started)


def _check(server: Server, run_id: str, last_seq: int, lines: int) -> None:
    """Look that the log has every line: its events are those and the changes of status."""
    if not lines:
        return
    path = f"/api/v1/runs/{run_id}/events"
    first = server.request("GET", f"{path}?limit=5")["events"]
    last = server.request("GET", f"{path}?after={last_seq - 2}")["events"]
    statuses = sum(event["type"] == "status" for event in first + last)
    last_line = last[0]["data"].get("text", "")
    if last_seq != lines + statuses or f"{lines - 1:08d} " not in last_line:
        raise BenchError(f"{last_seq - statuses} of {lines} lines committed, last {last_line!r}")


def _settled(pid: int) -> float:
    """Return the CPU time of ended children once the runner, which ends last, is among them."""
    deadline = time.monotonic() + 5
    while not (spent := children_cpu_seconds(pid)):
        if time.monotonic() > deadline:
            raise BenchError("the runner never ended")
        time.sleep(0.01)
    return spent
