"""What it costs when every client follows a run of its own, so that nothing can be shared."""

import contextlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

from bench.audience import Feed, Sample, audience, result
from bench.compared import compare, summed_up
from bench.fanout import OURS, strict
from bench.host import undisturbed
from bench.measure import Plan
from bench.ours import run_feed
from bench.peers import node, websocketd
from bench.processes import cpu_seconds, started
from bench.report import Row
from bench.server import runcast_server

RATE = 4  # lines a second in each run
WRITER = str(Path(__file__).with_name("writer.py"))

# Opens a server whose n-th client gets what is written into the n-th FIFO.
Open = Callable[[Path, Sequence[str]], AbstractContextManager[Feed]]


def measure(plan: Plan) -> Iterator[Row]:
    """Alternate the servers."""
    openings: dict[str, Open] = {OURS: _runcast}
    if not node.lacks():
        openings["better-sse"] = _better_sse
    if not websocketd.lacks():
        openings["websocketd"] = websocketd.feed
    samples: dict[str, list[Sample]] = {name: [] for name in openings}
    for _ in range(plan.own_rounds):
        for name, opening in openings.items():
            turn = partial(_sample, plan, opening)
            samples[name].append(undisturbed(strict(turn) if name == OURS else turn))
    peers = {name: summed_up(some) for name, some in samples.items()}
    label = f"{plan.own_runs} clients, each on its own run of {RATE} events/s"
    yield compare(f"own.{plan.own_runs}", label, peers.pop(OURS), peers)


def _sample(plan: Plan, opening: Open) -> Sample:
    lines = int(RATE * plan.own_seconds)
    with tempfile.TemporaryDirectory(prefix="own-", dir=plan.folder) as place:
        paths = [f"{place}/{number:04}" for number in range(plan.own_runs)]
        for path in paths:
            os.mkfifo(path)
        writer = [sys.executable, "-I", "-S", WRITER, place, str(lines), str(RATE), f"{place}/go"]
        os.mkfifo(f"{place}/go")
        with (
            opening(plan.folder, paths) as feed,
            started(writer),
            audience(plan.folder, feed, plan.own_runs, lines) as process,
        ):
            before = cpu_seconds(*feed.pids)
            Path(f"{place}/go").write_bytes(b"")
            seen = result(process)
            return Sample(cpu_seconds(*feed.pids) - before, seen, lines)


@contextlib.contextmanager
def _runcast(folder: Path, paths: Sequence[str]) -> Iterator[Feed]:
    config = folder / "own.yaml"
    config.write_text(f"queue:\n  max_concurrent_runs: {len(paths)}\n")
    with runcast_server(folder, "--config", str(config)) as server:
        yield run_feed(server, [server.submit(["cat", path]) for path in paths])


@contextlib.contextmanager
def _better_sse(folder: Path, paths: Sequence[str]) -> Iterator[Feed]:
    del folder
    with node.jobs_server() as server:
        yield server.feed([server.submit(["cat", path]) for path in paths])
