"""How long clients and their streams last: closed, cancelled, forked, and many at a time."""

import asyncio
import contextlib
import re
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from runcast.client import AsyncClient, Client, ClientError
from tests.client.both import Make, either
from tests.client.scripted import frame, stream
from tests.support.server import Server, free_port
from tests.support.waiting import until

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@contextlib.asynccontextmanager
async def held_open() -> AsyncIterator[tuple[str, list[Connection]]]:
    """Answer each connection by a stream with one event, the next one, and say no more."""
    connections: list[Connection] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        resumed = re.search(rb"last-event-id: (\d+)", head, re.IGNORECASE)
        writer.write(stream(frame(int(resumed[1]) + 1 if resumed else 1)))
        connections.append((reader, writer))

    async with await asyncio.start_server(answer, "127.0.0.1") as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", connections
        for _, writer in connections:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


async def test_more_than_a_hundred_streams_are_followed_by_one_client() -> None:
    async with held_open() as (url, _), AsyncClient(url) as client:
        streams = [client.follow("r") for _ in range(120)]
        async with asyncio.timeout(20):
            events = await asyncio.gather(*map(anext, streams))
        assert [event.id for event in events] == [1] * 120
        for one in streams:
            await one.close()


async def test_who_stops_waiting_for_an_event_can_wait_for_it_again() -> None:
    async with held_open() as (url, connections), AsyncClient(url) as client:
        events = client.follow("r")
        for number in range(1, 4):
            assert (await anext(events)).id == number
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(events), 0.05)
        assert len(connections) == 3
        await events.close()
        with pytest.raises(StopAsyncIteration):
            await anext(events)


async def test_a_task_that_is_cancelled_leaves_its_stream_at_once() -> None:
    async with held_open() as (url, connections), AsyncClient(url) as client:
        task = asyncio.create_task(drained(client))
        while not connections:
            await asyncio.sleep(0.01)
        task.cancel()
        reader, _ = connections[0]
        assert await asyncio.wait_for(reader.read(), 5) == b""


async def test_closing_the_client_ends_what_its_tasks_follow() -> None:
    async with held_open() as (url, _):
        for address in (url, f"http://127.0.0.1:{free_port()}"):
            client = AsyncClient(address)
            waiting = asyncio.create_task(drained(client))
            await asyncio.sleep(0.1)
            await client.close()
            with pytest.raises(ClientError, match="closed"):
                await asyncio.wait_for(waiting, 5)


async def drained(client: AsyncClient) -> None:
    async for _ in client.follow("r"):
        pass


async def test_closing_the_client_wakes_the_threads_that_follow_by_it() -> None:
    async with held_open() as (url, _):
        for address in (url, f"http://127.0.0.1:{free_port()}"):
            began, ended = await asyncio.to_thread(closed_while_following, address)
            assert ended - began < 1


def closed_while_following(url: str) -> tuple[float, float]:
    """Return when the client was closed, and when a thread that followed by it had noticed."""
    client = Client(url)
    caught: list[ClientError] = []

    def follow() -> None:
        try:
            for _ in client.follow("r"):
                pass
        except ClientError as error:
            caught.append(error)

    thread = threading.Thread(target=follow)
    thread.start()
    thread.join(0.2)  # it waits for an event, or for the next attempt
    began = time.monotonic()
    client.close()
    thread.join(5)
    ended = time.monotonic()
    assert [error.code for error in caught] == ["closed"]
    return began, ended


@either
def test_a_client_that_is_closed_says_so(make: Make, shared_server: Server) -> None:
    with make(shared_server.url) as client:
        client.status()
        client.close()
        for ask in (client.status, lambda: list(client.follow("r"))):
            with pytest.raises(ClientError) as caught:
                ask()
            assert caught.value.code == "closed"


FORKING = """
import os, sys
from runcast.client import Client

def ask(client, who):
    for number in range(50):
        said = {"who": f"{who} {number}"}
        assert client.start(external=True, metadata=said).metadata == said
    os._exit(0)

client = Client(sys.argv[1], workspace=".")
client.status()  # so that there is a connection to share
children = []
for who in range(4):
    child = os.fork()
    if child == 0:
        ask(client, who)
    children.append(child)
client.status()
sys.exit(any(os.waitpid(child, 0)[1] for child in children))
"""


def test_forked_processes_go_on_with_a_client_each_for_itself(shared_server: Server) -> None:
    program = [sys.executable, "-c", FORKING, shared_server.url]
    done = subprocess.run(program, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_method_can_be_called_by_its_class(shared_server: Server) -> None:
    with Client(shared_server.url) as client:
        assert Client.status(client).version == client.status().version


@either
def test_a_server_that_lost_all_it_knew_is_told_of_the_workspace_again(
    make: Make, make_server: Callable[..., Server], tmp_path: Path
) -> None:
    server = make_server(tmp_path / "data")
    with make(server.url, workspace=tmp_path) as client:
        assert client.submit("one").workspace_id == client.place.id
        server.terminate()
        (tmp_path / "data").rename(tmp_path / "lost")
        server.start()
        assert client.submit("two").workspace_id == client.place.id
        assert client.post_message("three").msg_id
        assert [process.prompt_preview for process in client.list_processes()] == ["two"]


@either
def test_what_is_said_during_an_outage_before_the_first_event_is_not_lost(
    make: Make, make_server: Callable[..., Server], tmp_path: Path
) -> None:
    server = make_server(tmp_path / "data")
    heard: dict[str, int] = {}

    def listen(method: str) -> None:
        with make(server.url) as client:
            events = getattr(client, method)()
            heard[method] = next(events).id
            events.close()

    methods = ("follow_all", "follow_messages")
    threads = [threading.Thread(target=listen, args=(method,), daemon=True) for method in methods]
    for thread in threads:
        thread.start()
    with Client(server.url) as client:
        until(lambda: client.status().streams == len(methods), "both to listen")
        server.kill9()
        server.restart()
        # They come back after a second at the earliest.
        client.start(command=["true"])
        client.post_message("hello")
        for thread in threads:
            thread.join(20)
    assert heard == {"follow_all": 1, "follow_messages": 1}
