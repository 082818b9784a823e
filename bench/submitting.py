"""How long `POST /api/execute` takes on a busy server, beside a server that keeps nothing."""

import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from typing import NamedTuple

from bench.audience import FOREVER_S, Feed, audience
from bench.gate import command
from bench.host import undisturbed
from bench.measure import Plan, median, percentile
from bench.ours import run_feed
from bench.peers import node
from bench.processes import BenchError, cpu_seconds
from bench.report import Beside, Row
from bench.server import Connection, Server, runcast_server

LINES_PER_S = 20
CLIENTS = 200
POSTS_PER_S = 5
CONFIG = {"queue": {"max_concurrent_runs": 120}, "tools": {"nothing": {"command": ["true"]}}}
SETTLE_SECONDS = 2.0


class Busy(NamedTuple):
    """A server with much to do, and how one more run is submitted to it."""

    feed: Feed
    submit: Callable[[], object]


Open = Callable[[Plan], AbstractContextManager[Busy]]


class Seen(NamedTuple):
    """The ms of each POST, and the share of a core that the server used meanwhile."""

    posts_ms: list[float]
    share: float


def measure(plan: Plan) -> Iterator[Row]:
    """Alternate the servers."""
    openings: dict[str, Open] = {"runcast": _runcast}
    if not node.lacks():
        openings["better-sse"] = _better_sse
    seen: dict[str, list[Seen]] = {name: [] for name in openings}
    for _ in range(plan.busy_rounds):
        for name, opening in openings.items():
            seen[name].append(undisturbed(partial(_round, plan, opening)))
    label = f"POST /api/execute, {plan.busy_runs} runs at {LINES_PER_S}/s, {CLIENTS} clients"
    for percent in (50, 99):
        found = {name: _percentile(some, percent) for name, some in seen.items()}
        value = found.pop("runcast")
        beside = tuple(Beside(name, one) for name, one in found.items())
        share = max(each.share for each in seen["runcast"])
        note = f"{sum(len(one.posts_ms) for one in seen['runcast'])} POSTs; server CPU {share:.0%}"
        name = f"submit.p{percent}"
        yield Row(name, f"{label}, p{percent}", value, "ms", note=note, beside=beside)


def _percentile(seen: list[Seen], percent: float) -> float:
    return median(percentile(each.posts_ms, percent) for each in seen)


def _round(plan: Plan, opening: Open) -> Seen:
    with opening(plan) as busy:
        return _posts(plan, busy)


def _posts(plan: Plan, busy: Busy) -> Seen:
    """Submit one run after the other, at the same pace whatever each takes."""
    with audience(plan.folder, busy.feed, CLIENTS, sys.maxsize, FOREVER_S):
        time.sleep(SETTLE_SECONDS)
        samples = []
        began, spent = time.monotonic(), cpu_seconds(*busy.feed.pids)
        for number in range(int(plan.busy_seconds * POSTS_PER_S)):
            time.sleep(max(began + number / POSTS_PER_S - time.monotonic(), 0))
            at = time.perf_counter()
            busy.submit()
            samples.append((time.perf_counter() - at) * 1_000)
        spent = cpu_seconds(*busy.feed.pids) - spent
        return Seen(samples, spent / (time.monotonic() - began))


def _child(plan: Plan) -> list[str]:
    seconds = plan.busy_seconds + 60  # they all outlive the measurement
    return command(int(seconds * LINES_PER_S), rate=LINES_PER_S)


@contextlib.contextmanager
def _runcast(plan: Plan) -> Iterator[Busy]:
    config = plan.folder / "busy.yaml"
    config.write_text(json.dumps(CONFIG))
    with runcast_server(plan.folder, "--config", str(config)) as server:
        runs = [server.submit(_child(plan)) for _ in range(plan.busy_runs)]
        _wait_running(server, runs)
        body = {"toolId": "nothing", "projectId": "default"}
        with contextlib.closing(Connection(server.address)) as connection:
            feed = run_feed(server, runs)
            yield Busy(feed, lambda: connection.request("POST", "/api/execute", body))


def _wait_running(server: Server, runs: list[str]) -> None:
    deadline = time.monotonic() + 60
    while any(server.request("GET", f"/api/v1/runs/{one}")["run"]["last_seq"] < 3 for one in runs):
        if time.monotonic() > deadline:
            raise BenchError("the runs did not all start")
        time.sleep(0.2)


@contextlib.contextmanager
def _better_sse(plan: Plan) -> Iterator[Busy]:
    with node.jobs_server() as server:
        jobs = [server.submit(_child(plan)) for _ in range(plan.busy_runs)]
        yield Busy(server.feed(jobs), lambda: server.submit(["true"]))
