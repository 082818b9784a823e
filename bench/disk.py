"""What the disk takes for a flush and SQLite for a commit: the floor under every latency."""

import contextlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import apsw

from bench.measure import Plan, percentile
from bench.report import Row

TIMES = 300
BLOCK = b"x" * 4096
ROW = b"x" * 200


def measure(plan: Plan) -> Iterator[Row]:
    """Time both in the folder that the servers use."""
    with tempfile.TemporaryDirectory(prefix="disk-", dir=plan.folder) as place:
        flush = _flushes(Path(place, "file"))
        commit = commits(Path(place, "database"), TIMES)
    for name, label, samples in (
        ("disk.flush", "disk: write and fdatasync of 4 KiB", flush),
        ("disk.commit", "disk: SQLite commit (WAL, synchronous FULL)", commit),
    ):
        p99 = percentile(samples, 99)
        yield Row(name, f"{label}, p50", percentile(samples, 50), "ms", note=f"p99 {p99:.2f} ms")


def commits(path: Path, times: int) -> list[float]:
    """Return the milliseconds of so many commits to a new database."""
    with contextlib.closing(apsw.Connection(str(path))) as database:
        database.pragma("journal_mode", "wal")
        database.pragma("synchronous", "full")
        database.execute("CREATE TABLE t (x BLOB)")
        return _times(lambda: database.execute("INSERT INTO t VALUES (?)", (ROW,)), times)


def _flushes(path: Path) -> list[float]:
    file = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)

    def flush() -> None:
        os.write(file, BLOCK)
        os.fdatasync(file)

    try:
        return _times(flush, TIMES)
    finally:
        os.close(file)


def _times(action: Callable[[], object], times: int) -> list[float]:
    samples = []
    for _ in range(times):
        began = time.perf_counter()
        action()
        samples.append((time.perf_counter() - began) * 1_000)
    return samples
