"""How soon a submitted command is heard of, and what a run that says nothing weighs."""

import contextlib
import time
from collections.abc import Iterator

import psutil

from bench.measure import Plan, median, percentile
from bench.processes import BenchError, proportional_bytes
from bench.report import Row
from bench.server import Server, runcast_server

HELLO = ["/bin/echo", "hello"]
IDLE = ["/bin/sleep", "60"]
WARM_UP = 3
SETTLE_SECONDS = 10.0


def measure(plan: Plan) -> Iterator[Row]:
    """Start runs one after the other on one server."""
    with runcast_server(plan.folder) as server:
        for _ in range(WARM_UP):
            _first_line_ms(server)
        samples = [_first_line_ms(server) for _ in range(plan.spawns)]
        weights = [_idle_mib(server) for _ in range(plan.idle_runs)]
    note = f"{plan.spawns} runs"
    for percent in (50, 99):
        label = f"spawn: POST to first committed line seen, p{percent}"
        value = percentile(samples, percent)
        yield Row(f"spawn.p{percent}", label, value, "ms", note=note)
        note = ""
    yield Row("spawn.memory", "worker and guard of an idle run (PSS)", median(weights), "MiB")


def _first_line_ms(server: Server) -> float:
    began = time.monotonic_ns()
    run_id = server.submit(HELLO)
    seen = b""
    came = 0
    for at, data in server.stream(run_id):
        seen += data
        if not came and b"hello" in seen:
            came = at
    if not came:
        raise BenchError("the command's line never came")
    return (came - began) / 1_000_000


def _idle_mib(server: Server) -> float:
    run_id = server.submit(IDLE)
    worker = _worker_of_idle(server)
    guard = worker.ppid()
    weight = proportional_bytes(worker.pid) + proportional_bytes(guard)
    server.cancel(run_id)
    for _ in server.stream(run_id):
        pass
    return weight / 2**20


def _worker_of_idle(server: Server) -> psutil.Process:
    """Return the process that started the idle command, once it has."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while time.monotonic() < deadline:
        for process in psutil.Process(server.pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):  # of a run that just ended
                if process.cmdline() == IDLE and (worker := process.parent()):
                    return worker
        time.sleep(0.02)
    raise BenchError("the idle command never started")
