"""Behind a stream: what a client asks for while its stream runs waits its turn or is refused."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator

import pytest

from runcast.config import Settings
from runcast.core.events import Lines, run_log
from runcast.core.runs import Run
from runcast.runtime.runtime import Runtime
from runcast.web.sse import SEND_BYTES

WAIT_S = 5  # less than a server lets pass before it looks at idle streams by itself
PATH = "/api/v1/runs/r/stream"
STREAM = f"GET {PATH} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
HEALTH = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
BODY = b'{"id": "a", "name": "A", "rootPath": "/srv/a"}'
POST = (
    b"POST /api/workspaces HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY)
)


@pytest.fixture(autouse=True)
def new_process(monkeypatch):
    """Set up what the streams of a process share as in one that has had none."""
    monkeypatch.setattr("runcast.web.protocol._NOBODY", asyncio.Event())


@pytest.fixture
async def runtime(data_dir) -> AsyncIterator[Runtime]:
    runtime = await Runtime.open(Settings(data_dir=str(data_dir)))
    run = Run(id="r", key="r", task_id="r", source="external", status="running")
    await runtime.store.create(run)
    yield runtime
    await runtime.close()


async def say(runtime, text):
    await runtime.store.append(run_log("r"), [Lines(1, "stdout", [text])])


async def end_run(runtime):
    await runtime.store.transition("r", "completed", 2, {"reason": "exit", "exit_code": 0})
    runtime.logs.seal(run_log("r"))


async def until_together(runtime, count):
    """Wait until so many streams of the run are written to together."""
    follower = await runtime.logs.follow(run_log("r"), 0)
    listeners = follower.track.listeners
    with contextlib.closing(follower):
        await until(lambda: sum(map(len, listeners.values())) == count)


async def until(condition):
    async with asyncio.timeout(WAIT_S):
        while not condition():
            await asyncio.sleep(0.001)


@contextlib.asynccontextmanager
async def asking(live, *requests):
    """Send requests in one packet; give what reads the answers, and what asks for more."""
    url = live.client.base_url
    reader, writer = await asyncio.open_connection(url.host, url.port)
    try:
        async with asyncio.timeout(WAIT_S):
            writer.write(b"".join(requests))
            yield reader, writer
    finally:
        writer.transport.abort()


@contextlib.contextmanager
def silent(live):
    """Ask for a stream and read nothing of it."""
    url = live.client.base_url
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect((url.host, url.port))
        client.sendall(STREAM)
        yield client


async def test_an_upgrade_behind_a_stream_is_refused(live, runtime):
    async with asking(live, STREAM) as (reader, writer):
        await reader.readuntil(b"event: status")
        writer.write(UPGRADE)
        rest = await reader.read()

    assert b"\r\nHTTP/1.1 400 Bad Request\r\n" in rest


async def test_an_upgrade_behind_a_stream_hurts_no_other_stream(live, runtime, caplog):
    async with asking(live, STREAM) as (reader, writer):
        await until_together(runtime, 1)
        async with live.stream(PATH) as first, live.stream(PATH) as second:
            await until_together(runtime, 3)
            writer.write(UPGRADE)
            await reader.readuntil(b"\r\nHTTP/1.1 ")
            writer.transport.abort()
            await until(lambda: len(live.server.server_state.connections) == 2)
            for text in ("one", "two"):
                await say(runtime, text)
            for frames in (first, second):
                assert [(await anext(frames)).number for _ in range(3)] == [1, 2, 3]

    assert not [one for one in caplog.records if one.levelno >= logging.ERROR]


async def test_what_waits_for_a_client_that_asks_for_an_upgrade_and_reads_nothing_is_bounded(
    live, runtime
):
    with silent(live) as client:
        await until_together(runtime, 1)
        (connection,) = live.server.server_state.connections
        transport = connection.transport
        narrow = transport.get_extra_info("socket")
        narrow.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        client.sendall(UPGRADE)
        await live.client.get("/health")  # answered after what came before it
        async with asyncio.timeout(WAIT_S), live.stream(PATH) as frames:
            for _ in range(100):
                await say(runtime, "x" * 20_000)
            for _ in range(101):
                await anext(frames)

        assert transport.get_write_buffer_size() < 4 * SEND_BYTES


async def test_what_is_posted_behind_a_stream_is_answered_once_that_has_ended(live, runtime):
    async with asking(live, STREAM, POST) as (reader, _):
        stream = await reader.readuntil(b"event: status")
        await end_run(runtime)
        stream += await reader.readuntil(b"\r\n0\r\n\r\n")
        answer = await reader.read()

    assert b"event: end" in stream
    assert answer.startswith(b"HTTP/1.1 201 Created\r\n")


async def test_a_stream_that_a_request_waits_behind_is_written_to_with_the_others(live, runtime):
    async with asking(live, STREAM, HEALTH) as (reader, _):
        await until_together(runtime, 1)
        await say(runtime, "news")
        await reader.readuntil(b"news")
        await until_together(runtime, 1)


async def test_a_client_that_leaves_with_a_request_waiting_is_no_error(live, runtime, caplog):
    async with asking(live, STREAM, HEALTH) as (reader, writer):
        await reader.readuntil(b"event: status")
        writer.transport.abort()
        async with asyncio.timeout(WAIT_S):
            # Nobody reads on from who has a request waiting: writing tells that it has left.
            while live.server.server_state.tasks:
                await say(runtime, "news")
                await asyncio.sleep(0.001)

    assert not [one for one in caplog.records if one.levelno >= logging.ERROR]
