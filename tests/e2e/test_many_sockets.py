"""Many WebSockets that subscribe and unsubscribe at random: nothing leaks, nobody hears others."""

import asyncio
import json
import random
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from websockets.asyncio.client import ClientConnection, connect

from tests.support.server import Server
from tests.support.waiting import until

TASKS = [f"task-{number}" for number in range(20)]
PAUSE_S = 0.2  # of a client, between two wishes
IDLE_BYTES = 40 * 1024  # resident, that a connection which is told nothing may cost
WARM = 50  # connections that come and go before anything is measured


def resident(server: Server) -> int:
    """Return the server's resident memory, in bytes."""
    status = Path(f"/proc/{server.pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) * 1024


def descriptors(server: Server) -> int:
    return len(list(Path(f"/proc/{server.pid}/fd").iterdir()))


class Client:
    """One socket that asks for tasks at random, and notes what it hears that it did not ask for."""

    def __init__(self, socket: ClientConnection, chance: random.Random) -> None:
        self.wrong: list[dict[str, Any]] = []
        self.heard: Counter[str] = Counter()
        self._socket = socket
        self._chance = chance
        self._wanted: set[str] = set()

    async def live(self, seconds: float) -> None:
        """Subscribe and unsubscribe for so long."""
        hearing = asyncio.create_task(self._hear())
        async with asyncio.timeout(seconds + 30):
            deadline = asyncio.get_running_loop().time() + seconds
            while asyncio.get_running_loop().time() < deadline:
                kind = self._chance.choice(["subscribe", "subscribe", "unsubscribe"])
                task = self._chance.choice(TASKS)
                if kind == "subscribe":
                    self._wanted.add(task)
                await self._socket.send(json.dumps({"type": kind, "workOrderId": task}))
                await asyncio.sleep(self._chance.uniform(0, 2 * PAUSE_S))
        hearing.cancel()
        await asyncio.gather(hearing, return_exceptions=True)

    async def _hear(self) -> None:
        async for text in self._socket:
            message = json.loads(text)
            kind = message["type"]
            if kind == "unsubscription_confirmed":
                # What was meant for it before is behind us: the confirmation comes last.
                self._wanted.discard(message["workOrderId"])
            elif kind == "subscription_confirmed":
                self._wanted.add(message["workOrderId"])
            elif kind != "error":
                self.heard[message["workOrderId"]] += 1
                if message["workOrderId"] not in self._wanted:
                    self.wrong.append(message)


async def talk(api: httpx2.AsyncClient, seconds: float) -> None:
    """Report output of an external run of each task, round about, for so long."""
    for task in TASKS:
        body = {"external": True, "id": f"run-of-{task}", "task_id": task}
        assert (await api.post("/api/v1/runs", json=body)).status_code == 201
    deadline = asyncio.get_running_loop().time() + seconds
    while asyncio.get_running_loop().time() < deadline:
        for task in TASKS:
            event = {"type": "output", "data": {"stream": "stdout", "text": f"of {task}"}}
            answer = await api.post(f"/api/v1/runs/run-of-{task}/events", json={"events": [event]})
            assert answer.status_code == 202, answer.text
        await asyncio.sleep(0.1)


async def opened(server: Server, count: int) -> list[ClientConnection]:
    url = f"ws://127.0.0.1:{server.port}/ws?lifecycle=false"
    sockets: list[ClientConnection] = []
    for start in range(0, count, 50):
        some = range(start, min(start + 50, count))
        sockets += await asyncio.gather(*(connect(url, proxy=None) for _ in some))
    return sockets


async def closed(sockets: list[ClientConnection]) -> None:
    await asyncio.gather(*(socket.close() for socket in sockets))


@pytest.mark.parametrize(
    ("count", "seconds"),
    [(100, 3), pytest.param(1_000, 30, marks=pytest.mark.chaos)],
)
async def test_sockets_that_come_ask_and_go_leave_nothing_and_hear_only_what_they_asked_for(
    make_server: Callable[..., Server], count: int, seconds: float
) -> None:
    server = make_server(RUNCAST__API__SSE__MAX_CLIENTS_PER_RUN="100000")
    await closed(await opened(server, WARM))
    until(lambda: descriptors(server) < WARM, "the first sockets to be gone")
    files, before = descriptors(server), resident(server)

    sockets = await opened(server, count)
    idle = (resident(server) - before) / count
    clients = [Client(socket, random.Random(number)) for number, socket in enumerate(sockets)]
    async with httpx2.AsyncClient(base_url=server.url, trust_env=False, timeout=30) as api:
        async with asyncio.TaskGroup() as group:
            group.create_task(talk(api, seconds))
            for client in clients:
                group.create_task(client.live(seconds))
        await closed(sockets)

    assert [client.wrong for client in clients if client.wrong] == []
    assert all(set(client.heard) <= set(TASKS) for client in clients)
    assert sum(sum(client.heard.values()) for client in clients) > count
    until(lambda: descriptors(server) <= files + 1, "all sockets to be gone")
    assert idle < IDLE_BYTES, f"{idle / 1024:.1f} KiB for each idle connection"
    # What a socket had is free for the next: as many again need next to nothing more.
    after = resident(server)
    again = await opened(server, count)
    more = (resident(server) - after) / count
    await closed(again)
    assert more < IDLE_BYTES / 2, f"{more / 1024:.1f} KiB more for each of as many again"
