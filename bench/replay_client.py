"""How fast the Python client reads a long log from its beginning, beside httpx2's own reading."""

import asyncio
import time
from collections.abc import Callable, Iterator

import httpx2

from bench.gate import command
from bench.measure import Plan, median, spread
from bench.processes import BenchError
from bench.report import Row
from bench.server import runcast_server
from runcast.client import AsyncClient, Client
from runcast.client.following import of_run

# Reads a stream to its end and returns how many events there were.
Reader = Callable[[str, str], int]


def measure(plan: Plan) -> Iterator[Row]:
    """Let all readers take turns on one log."""
    with runcast_server(plan.folder) as server:
        run_id = server.submit(command(plan.replay_events))
        events = server.wait(run_id)["last_seq"] + 1  # and the closing frame
        rates: dict[str, list[float]] = {name: [] for name in READERS}
        for _ in range(plan.replay_rounds):
            for name, reader in READERS.items():
                rates[name].append(events / _seconds(reader, server.url, run_id, events))
    for name, (label, peer) in _ROWS.items():
        yield Row(
            f"replay.{name}",
            f"replay of {plan.replay_events:,} events: {label}",
            median(rates[name]),
            "events/s",
            median(rates[peer]),
            f"{_PEERS[peer]}; {spread(rates[name])}",
        )


def _seconds(reader: Reader, url: str, run_id: str, events: int) -> float:
    began = time.perf_counter()
    count = reader(url, run_id)
    spent = time.perf_counter() - began
    if count != events:
        raise BenchError(f"{reader.__name__} got {count} of {events} events")
    return spent


def _follow(url: str, run_id: str) -> int:
    with Client(url) as client:
        return sum(1 for _ in client.follow(run_id))


def _follow_pieces(url: str, run_id: str) -> int:
    with Client(url) as client:
        return sum(map(len, client.pieces(of_run(run_id))))


def _follow_async(url: str, run_id: str) -> int:
    async def follow() -> int:
        async with AsyncClient(url) as client:
            return sum([1 async for _ in client.follow(run_id)])

    return asyncio.run(follow())


def _httpx2(url: str, run_id: str) -> int:
    with (
        httpx2.Client(trust_env=False, timeout=60) as client,
        client.sse(_stream(url, run_id)) as source,
    ):
        return sum(1 for _ in source)


def _httpx2_async(url: str, run_id: str) -> int:
    async def follow() -> int:
        async with (
            httpx2.AsyncClient(trust_env=False, timeout=60) as client,
            client.sse(_stream(url, run_id)) as source,
        ):
            return sum([1 async for _ in source])

    return asyncio.run(follow())


def _bytes(url: str, run_id: str) -> int:
    last = b""
    with (
        httpx2.Client(trust_env=False, timeout=60) as client,
        client.stream("GET", _stream(url, run_id)) as answer,
    ):
        for chunk in answer.iter_raw():
            last = chunk
    return int(last.rpartition(b"\nid: ")[2])


def _stream(url: str, run_id: str) -> str:
    return f"{url}/api/v1/runs/{run_id}/stream"


READERS: dict[str, Reader] = {
    "sync": _follow,
    "pieces": _follow_pieces,
    "async": _follow_async,
    "httpx2": _httpx2,
    "httpx2_async": _httpx2_async,
    "bytes": _bytes,
}
# Of a row: what it measures, and the reader that is its peer.
_ROWS = {
    "sync": ("Client.follow", "httpx2"),
    "async": ("AsyncClient.follow", "httpx2_async"),
    "pieces": ("Client.pieces", "bytes"),
}
_PEERS = {
    "httpx2": "peer: httpx2's sse(), which leaves the data as text",
    "httpx2_async": "peer: the same with asyncio",
    "bytes": "peer: reading the bytes with httpx2, and no more",
}
