"""What connections cost over which nothing is sent: memory each, and the CPU of heartbeats."""

import contextlib
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from bench.audience import FOREVER_S, Feed, audience
from bench.gate import command, gate
from bench.measure import Plan
from bench.ours import run_feed
from bench.peers.table import SSE, present
from bench.processes import cpu_seconds, resident_bytes
from bench.report import Beside, Row
from bench.server import Server, runcast_server

RUNS = 5
IDLE = ["sleep", "3600"]
SETTLE_SECONDS = 1.0
PEERS = ("nchan", "better-sse", "sse-starlette")


def measure(plan: Plan) -> Iterator[Row]:
    """Measure memory beside the peers, then heartbeats alone."""
    ours = _kib(plan, _runcast(plan.folder))
    peers = present({name: SSE[name] for name in PEERS})
    beside = []
    for name, peer in peers.items():
        with gate(plan.folder) as entry:
            opened = peer.open(plan.folder, command(1, gate=entry.path))
            beside.append(Beside(name, _kib(plan, opened)))
    label = f"memory of an idle event stream, of {plan.idle_clients:,}"
    yield Row("idle.connection", label, ours, "KiB resident", beside=tuple(beside))
    yield from _heartbeats(plan)


@contextlib.contextmanager
def _runcast(folder: Path) -> Iterator[Feed]:
    with runcast_server(folder) as server:
        yield _feed(server)


def _feed(server: Server) -> Feed:
    """Offer streams of some runs, of which the server would start only a few at a time."""
    return run_feed(server, [server.submit(IDLE) for _ in range(RUNS)])


def _kib(plan: Plan, opened: AbstractContextManager[Feed]) -> float:
    """Return what one connection adds to the memory of a server."""
    with opened as feed:
        with audience(plan.folder, feed, 10, 1, FOREVER_S):  # what is loaded for the first
            time.sleep(SETTLE_SECONDS)
        before = resident_bytes(*feed.pids)
        with audience(plan.folder, feed, plan.idle_clients, 1, FOREVER_S):
            time.sleep(SETTLE_SECONDS)
            return (resident_bytes(*feed.pids) - before) / plan.idle_clients / 1024


def _heartbeats(plan: Plan) -> Iterator[Row]:
    with runcast_server(plan.folder) as server:
        feed = _feed(server)
        before = resident_bytes(server.pid)
        with audience(plan.folder, feed, plan.heartbeat_clients, 1, FOREVER_S):
            time.sleep(SETTLE_SECONDS)
            memory = (resident_bytes(server.pid) - before) / 2**20
            spent = cpu_seconds(server.pid)
            time.sleep(plan.heartbeat_seconds)
            share = 100 * (cpu_seconds(server.pid) - spent) / plan.heartbeat_seconds
    label = f"{plan.heartbeat_clients:,} idle event streams of {RUNS} runs"
    note = "a comment each 15 s, a heartbeat each 30 s"
    yield Row("idle.heartbeats", f"{label}: CPU", share, "% of a core", note=note)
    yield Row("idle.memory", f"{label}: memory", memory, "MiB")
