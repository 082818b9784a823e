"""Many clients before one server: what they cost it, and how soon they have what it sends."""

import contextlib
import json
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from bench.gate import Gate
from bench.load import Result, Spec
from bench.processes import BenchError, cpu_seconds, first_line, module, started

Conversation = list[tuple[str, str]]
SAMPLED = 4
PATIENCE_S = 10.0
FOREVER_S = 3_600.0


class Feed(NamedTuple):
    """A server that sends events to whoever has been through one of these conversations."""

    pids: tuple[int, ...]
    address: tuple[str, int]
    conversations: Sequence[Conversation]


class Sample(NamedTuple):
    """One round: the server's CPU time from the first event to the last, and what was seen."""

    cpu_s: float
    seen: Result
    expected: int

    @property
    def whole(self) -> bool:
        """Whether every client got every event once."""
        return self.seen.least == self.seen.most == self.expected

    @property
    def per_cpu_s(self) -> float:
        """Events delivered per second of the server's CPU time."""
        return self.seen.total / self.cpu_s

    @property
    def busy(self) -> float:
        """The share of a core that the load client used."""
        return self.seen.cpu_s / self.seen.wall_s


@contextlib.contextmanager
def audience(
    folder: Path, feed: Feed, clients: int, events: int, patience_s: float = PATIENCE_S
) -> Iterator["subprocess.Popen[str]"]:
    """Have so many clients connected, each to count so many events; `result` waits for them."""
    sampled = min(SAMPLED, clients)
    spec = Spec(*feed.address, list(feed.conversations), clients, events, sampled, patience_s)
    with tempfile.NamedTemporaryFile("w", dir=folder, suffix=".json") as file:
        file.write(json.dumps(spec._asdict()))
        file.flush()
        with started(module("load", file.name)) as process:
            first_line(process, "ready")
            yield process


def result(process: "subprocess.Popen[str]") -> Result:
    """Return what the clients saw, at the end."""
    assert process.stdout is not None
    said = process.stdout.readline()
    if not said:
        raise BenchError("the load client ended early")
    return Result(**json.loads(said))


def sample(folder: Path, feed: Feed, entry: Gate, clients: int, events: int) -> Sample:
    """Let the command begin once all clients are there, and wait until they have all of it."""
    with audience(folder, feed, clients, events) as process:
        before = cpu_seconds(*feed.pids)
        entry.open()
        seen = result(process)
        return Sample(cpu_seconds(*feed.pids) - before, seen, events)
