"""Following log files that others write, beside `tail -F` on the same files."""

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.host import undisturbed
from bench.measure import Plan, percentile
from bench.processes import BenchError, cpu_seconds
from bench.report import Row
from bench.server import Server, runcast_server

STAMP = re.compile(rb"at (\d+) ")
RATE = 100
IDLE_FILES = 2_000
BUSY_FILES = 50
BUSY_RATE = 10  # lines a second in each of the busy files
SETTLE_SECONDS = 12.0  # after 10 s without a line a file is looked at less often
FOLDERS = 20
NS_PER_MS = 1_000_000


def measure(plan: Plan) -> Iterator[Row]:
    """Measure the latency of one file, the cost of many, and how soon a new one is found."""
    yield from undisturbed(lambda: list(_latency(plan)))
    yield from _many(plan)
    yield from undisturbed(lambda: list(_discovery(plan)))


class Reader(threading.Thread):
    """Notes when what it reads came (monotonic ns), until it is closed."""

    def __init__(self, pieces: Iterator[tuple[int, bytes]]) -> None:
        super().__init__(daemon=True)
        self._pieces = pieces
        self.samples: list[float] = []
        self.start()

    def run(self) -> None:
        rest = b""
        with contextlib.suppress(OSError, ValueError):
            for came, data in self._pieces:
                rest += data
                end = 0
                for found in STAMP.finditer(rest):
                    self.samples.append((came - int(found[1])) / NS_PER_MS)
                    end = found.end()
                rest = rest[end:]

    def wait(self, count: int) -> list[float]:
        """Return the ms of so many lines once they came."""
        deadline = time.monotonic() + 10
        while len(self.samples) < count:
            if time.monotonic() > deadline:
                raise BenchError(f"{len(self.samples)} of {count} lines came")
            time.sleep(0.01)
        return self.samples


@contextlib.contextmanager
def _watching(plan: Plan, **settings: str) -> Iterator[tuple[Server, Path]]:
    """Run a server that watches a new folder."""
    folder = Path(tempfile.mkdtemp(prefix="logs-", dir=plan.folder))
    config = folder.with_suffix(".yaml")
    lines = [f"    {name}: {text}\n" for name, text in {"root": str(folder), **settings}.items()]
    config.write_text("watch:\n  logs:\n" + "".join(lines))
    try:
        with runcast_server(plan.folder, "--config", str(config)) as server:
            yield server, folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _tail(paths: Sequence[Path]) -> Iterator["subprocess.Popen[bytes]"]:
    command = ["tail", "-q", "-n0", "-F", *map(str, paths)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as tail:
        try:
            yield tail
        finally:
            tail.kill()


def _pieces(tail: "subprocess.Popen[bytes]") -> Iterator[tuple[int, bytes]]:
    assert tail.stdout is not None
    while data := os.read(tail.stdout.fileno(), 65_536):
        yield time.monotonic_ns(), data


def _latency(plan: Plan) -> Iterator[Row]:
    count = int(RATE * plan.latency_seconds)
    with _watching(plan) as (server, folder):
        log = folder / "app.log"
        log.touch()
        _found(server, "app.log")
        with _tail([log]) as tail, log.open("ab", buffering=0) as file:
            beside = Reader(_pieces(tail))
            ours = Reader(server.stream("app.log"))
            time.sleep(1)
            costs = cpu_seconds(server.pid), cpu_seconds(tail.pid)
            for _ in range(count):
                file.write(b"at %d a line of a log that another program writes\n" % _now())
                time.sleep(1 / RATE)
            samples, peers = ours.wait(count), beside.wait(count)
            cost = cpu_seconds(server.pid) - costs[0]
            peer_cost = cpu_seconds(tail.pid) - costs[1]
    label = f"foreign file, write to client at {RATE} lines/s"
    note = "committed first; peer: tail -F of the same file"
    for percent in (50, 99):
        ms, peer = percentile(samples, percent), percentile(peers, percent)
        yield Row(f"tailing.p{percent}", f"{label}, p{percent}", ms, "ms", peer, note)
        note = ""
    share, peer_share = (100 * each / plan.latency_seconds for each in (cost, peer_cost))
    yield Row("tailing.cpu", f"{label}: CPU", share, "% of a core", peer_share)


def _many(plan: Plan) -> Iterator[Row]:
    """Follow many files, first all of them idle, then a few written to."""
    with _watching(plan, ingest="always") as (server, folder):
        logs = [folder / f"{number:04}.log" for number in range(IDLE_FILES + BUSY_FILES)]
        for log in logs:
            log.write_bytes(b"begun\n")
        _found(server, logs[-1].name)
        with _tail(logs) as tail:
            threading.Thread(target=list, args=(_pieces(tail),), daemon=True).start()
            time.sleep(SETTLE_SECONDS)
            pids = (server.pid, tail.pid)
            idle, peer_idle = _shares(pids, plan.latency_seconds)
            with _busy(logs[-BUSY_FILES:]):
                busy, peer_busy = _shares(pids, plan.latency_seconds)
    name = f"{IDLE_FILES + BUSY_FILES:,} files followed"
    yield Row("tailing.idle", f"{name}, all idle: CPU", idle, "% of a core", peer_idle)
    label = f"{name}, {BUSY_FILES} of them at {BUSY_RATE} lines/s: CPU"
    yield Row("tailing.busy", label, busy, "% of a core", peer_busy, "every line committed")


def _shares(pids: Sequence[int], seconds: float) -> list[float]:
    before = [cpu_seconds(pid) for pid in pids]
    time.sleep(seconds)
    used = [cpu_seconds(pid) - start for pid, start in zip(pids, before, strict=True)]
    return [100 * each / seconds for each in used]


@contextlib.contextmanager
def _busy(logs: Sequence[Path]) -> Iterator[None]:
    """Write to each of the files while the block runs."""
    over = threading.Event()

    def write() -> None:
        with contextlib.ExitStack() as stack:
            files = [stack.enter_context(log.open("ab", buffering=0)) for log in logs]
            while not over.wait(1 / BUSY_RATE):
                for file in files:
                    file.write(b"another line of one of the busy files\n")

    writing = threading.Thread(target=write)
    writing.start()
    try:
        yield
    finally:
        over.set()
        writing.join()


def _discovery(plan: Plan) -> Iterator[Row]:
    """Time from the making of a run's folder to the first event of its run on `stream/all`."""
    with _watching(plan, glob="'*/*/*.log'") as (server, folder):
        stream = server.stream_of("/api/v1/runs/stream/all")
        next(stream)
        samples = []
        for number in range(FOLDERS):
            began = _now()
            nested = folder / f"task-{number}" / "run"
            nested.mkdir(parents=True)
            (nested / "out.log").write_bytes(b"hello\n")
            wanted = f"task-{number}.run.out.log".encode()
            samples.append(_until(stream, wanted, began))
            time.sleep(0.2)
    note = f"{FOLDERS} folders, nested, one after the other"
    for percent in (50, 99):
        value = percentile(samples, percent)
        label = f"new folder to first event on stream/all, p{percent}"
        yield Row(f"tailing.new.p{percent}", label, value, "ms", note=note)
        note = ""


def _until(stream: Iterator[tuple[int, bytes]], wanted: bytes, began: int) -> float:
    said = b""
    for came, data in stream:
        said += data
        if wanted in said:
            return (came - began) / NS_PER_MS
    raise BenchError("the stream of all runs ended")


def _found(server: Server, run_id: str) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with contextlib.suppress(BenchError):
            server.request("GET", f"/api/v1/runs/{run_id}")
            return
        time.sleep(0.05)
    raise BenchError(f"{run_id} was not found")


def _now() -> int:
    return time.monotonic_ns()
