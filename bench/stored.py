"""What runs cost that only are there: a hundred thousand that have ended, a thousand that wait."""

import asyncio
import contextlib
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from bench.host import undisturbed
from bench.measure import Plan, median, percentile
from bench.processes import cpu_seconds, resident_bytes
from bench.report import Row
from bench.server import Connection, Server, runcast_server
from runcast.core.ids import uuid7
from runcast.core.runs import Run, Status
from runcast.stores import open_store

ADDED_AT_ONCE = 2_000
IMPORTS = "import runcast.cli.serve, runcast.web.server"
US_PER_S = 1_000_000
STATUSES: tuple[Status, ...] = ("completed", "completed", "failed", "cancelled")
IDLE_SECONDS = 3.0
WARM_UP = 20  # the first requests are slower
# Of each request: its path, {id} being that of any run.
REQUESTS = {
    "list": "/api/v1/runs",
    "list.failed": "/api/v1/runs?status=failed&limit=50",
    "get": "/api/v1/runs/{id}",
}


def measure(plan: Plan) -> Iterator[Row]:
    """Measure a server on a full store, then one with a long queue."""
    yield from _stored(plan)
    yield from undisturbed(lambda: list(_queued(plan)))


def _stored(plan: Plan) -> Iterator[Row]:
    ids: list[str] = []
    imports = median(_import_s() for _ in range(3))
    began = 0.0

    def prepare(data_dir: Path) -> None:
        nonlocal began
        ids.extend(fill(data_dir, plan.stored_runs))
        began = time.monotonic()

    with runcast_server(plan.folder, prepare=prepare) as server:
        ready = time.monotonic() - began
        memory = resident_bytes(server.pid) / 2**20
        label = f"{plan.stored_runs:,} stored runs"
        yield Row("stored.ready", f"{label}: start until ready", ready, "s")
        note = f"imports take {imports:.2f} s"
        yield Row("stored.open", f"{label}: of that after imports", ready - imports, "s", note=note)
        yield Row("stored.memory", f"{label}: server's memory", memory, "MiB")
        for name, path in REQUESTS.items():
            samples = undisturbed(partial(times_ms, server, path, ids, plan.requests))
            p99, note = percentile(samples, 99), f"p50 {percentile(samples, 50):.2f} ms"
            yield Row(f"stored.{name}.p99", f"{label}: GET {path}, p99", p99, "ms", note=note)


def _import_s() -> float:
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", IMPORTS], check=True)
    return time.monotonic() - began


def fill(data_dir: Path, count: int) -> list[str]:
    """Put runs that have ended into the store of a data folder; return their ids."""
    runs = [_run(number) for number in range(count)]
    asyncio.run(_add(data_dir / "runcast.db", runs))
    return [run.id for run in runs]


def _run(number: int) -> Run:
    run_id, at = uuid7(), 1_700_000_000 * US_PER_S + number * US_PER_S
    return Run(
        id=run_id,
        key=uuid7(),
        task_id=run_id,
        command=["make", "-C", "/srv/project", f"target-{number}"],
        cwd="/srv/project",
        status=STATUSES[number % len(STATUSES)],
        reason="exit",
        exit_code=number % 2,
        created_at=at,
        started_at=at,
        ended_at=at + US_PER_S,
    )


async def _add(database: Path, runs: list[Run]) -> None:
    store = await open_store(f"sqlite:{database}?durability=fast")
    for start in range(0, len(runs), ADDED_AT_ONCE):
        await store.append_all([], runs[start : start + ADDED_AT_ONCE])
    await store.close()


def times_ms(server: Server, path: str, ids: list[str], times: int) -> list[float]:
    """Return how long each of so many requests took, one after the other on one connection."""
    samples = []
    with contextlib.closing(Connection(server.address)) as connection:
        for _ in range(times + WARM_UP):
            began = time.perf_counter()
            connection.request("GET", path.format(id=random.choice(ids)))
            samples.append((time.perf_counter() - began) * 1_000)
    return samples[WARM_UP:]


def _queued(plan: Plan) -> Iterator[Row]:
    config = plan.folder / "queue.yaml"
    config.write_text("queue:\n  max_concurrent_runs: 1\n")
    with runcast_server(plan.folder, "--config", str(config)) as server:
        server.submit(["sleep", "3600"])
        before = resident_bytes(server.pid)
        samples = []
        with contextlib.closing(Connection(server.address)) as connection:
            for _ in range(plan.queued_runs):
                began = time.perf_counter()
                connection.request("POST", "/api/v1/runs", {"command": ["true"]})
                samples.append((time.perf_counter() - began) * 1_000)
        memory = (resident_bytes(server.pid) - before) / plan.queued_runs / 1024
        spent = cpu_seconds(server.pid)
        time.sleep(IDLE_SECONDS)
        share = 100 * (cpu_seconds(server.pid) - spent) / IDLE_SECONDS
    label = f"{plan.queued_runs:,} queued runs"
    p99, note = percentile(samples, 99), f"p50 {percentile(samples, 50):.2f} ms"
    yield Row("queued.submit", f"{label}: POST of each, p99", p99, "ms", note=note)
    yield Row("queued.memory", f"{label}: memory of each", memory, "KiB")
    yield Row("queued.cpu", f"{label}: CPU while they wait", share, "% of a core")
