"""Clients of a WebSocket that are dead, never read or flood it are cut, and harm no other."""

import asyncio
import contextlib
import gc
import socket

import pytest

from runcast.config import Api, Settings, Ws
from runcast.runtime.runtime import Runtime
from tests.web.live import serving
from tests.web.sockets.client import (
    WAIT_S,
    add_run,
    eventually,
    masked,
    open_sockets,
    say_lines,
    talking,
    upgraded,
)

PING = b"\x89\xfd" + bytes(4) + b"p" * 125


def resident():
    with open("/proc/self/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * 4096


async def say_much(runtime, megabytes=25):
    """Add a run that says more than sockets hold."""
    await add_run(runtime)
    for _ in range(4 * megabytes):
        await say_lines(runtime, ["x" * 60_000] * 4)


async def never_reading(live):
    """Connect a client that wants to hear all and reads nothing."""
    _, writer = await upgraded(live)
    writer.write(masked({"type": "subscribe", "runId": "r", "after": 0}))
    return writer


@pytest.fixture
async def impatient(data_dir):
    """A server that pings every 0.2 s."""
    settings = Settings(data_dir=str(data_dir), api=Api(ws=Ws(ping_interval_s=0.2)))
    runtime = await Runtime.open(settings)
    async with serving(runtime) as live:
        yield live, runtime
    await runtime.close()


async def test_a_client_that_misses_two_pings_is_dead(impatient):
    live, _ = impatient
    reader, writer = await upgraded(live)
    async with talking(live) as alive:
        frames = await asyncio.wait_for(reader.read(), 5)
        assert frames.count(b"\x89\x04") == 2  # two pings, then a close frame
        assert frames.endswith(b"\x88\x18\x03\xf3keepalive ping timeout")  # 1011
        await eventually(lambda: open_sockets(live)["/ws"] == 1)
        await asyncio.sleep(0.5)
        assert await alive.ask(type="ping") == {"type": "pong"}
    writer.close()


async def test_a_client_that_speaks_is_alive_though_it_answers_no_ping(impatient):
    live, _ = impatient
    _, writer = await upgraded(live)
    for _ in range(12):
        writer.write(masked({"type": "ping"}))
        await asyncio.sleep(0.1)
    assert open_sockets(live)["/ws"] == 1
    writer.close()
    await eventually(lambda: open_sockets(live)["/ws"] == 0)


async def test_a_dead_client_that_was_sent_more_than_it_reads_is_cut(impatient):
    live, runtime = impatient
    await say_much(runtime)
    writer = await never_reading(live)
    await eventually(lambda: open_sockets(live)["/ws"] == 1)
    await eventually(lambda: open_sockets(live)["/ws"] == 0)
    await eventually(lambda: not live.server.server_state.tasks)
    writer.close()


async def test_a_client_that_says_no_more_and_never_reads_is_cut(live, runtime, monkeypatch):
    monkeypatch.setattr("runcast.web.sockets.protocol.LINGER_S", 0.1)
    await say_much(runtime, megabytes=1)
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect((live.client.base_url.host, live.client.base_url.port))
        client.setblocking(False)
        _, writer = await upgraded(live, sock=client)
        writer.transport.pause_reading()
        (connection,) = live.server.server_state.connections
        narrow = connection.transport.get_extra_info("socket")
        narrow.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        writer.write(masked({"type": "subscribe", "runId": "r", "after": 0}))
        await eventually(connection.transport.get_write_buffer_size)
        writer.write_eof()
        await eventually(lambda: open_sockets(live)["/ws"] == 0)
        await eventually(lambda: not live.server.server_state.tasks)
        writer.transport.abort()


async def test_a_client_that_pings_and_never_reads_is_cut(live):
    _, writer = await upgraded(live)
    writer.transport.pause_reading()
    gc.collect()
    before = resident()
    with contextlib.suppress(ConnectionError):
        for _ in range(1_000):
            writer.write(PING * 500)
            await asyncio.wait_for(writer.drain(), 10)
    await eventually(lambda: open_sockets(live)["/ws"] == 0)

    assert resident() - before < 24 * 1024 * 1024
    writer.transport.abort()


async def test_pings_of_a_client_that_does_not_read_are_no_life(impatient):
    live, runtime = impatient
    await say_much(runtime)
    writer = await never_reading(live)
    await eventually(lambda: open_sockets(live)["/ws"] == 1)
    async with asyncio.timeout(WAIT_S):
        while open_sockets(live)["/ws"]:
            writer.write(PING)
            await asyncio.sleep(0.05)
    writer.transport.abort()


async def test_pings_are_answered_however_many_a_client_sends_that_reads(live):
    reader, writer = await upgraded(live)
    for _ in range(40):
        writer.write(PING * 500)
        async with asyncio.timeout(WAIT_S):
            assert await reader.readexactly(127 * 500) == (b"\x8a\x7d" + b"p" * 125) * 500
    writer.close()


async def test_a_client_that_never_reads_costs_little_and_hurts_nobody(live, runtime):
    await say_much(runtime, megabytes=50)
    gc.collect()
    before = resident()
    writers = [await never_reading(live) for _ in range(2)]
    await asyncio.sleep(0.5)

    assert resident() - before < 24 * 1024 * 1024
    async with talking(live) as talk:
        await talk.ask(type="subscribe", runId="r")
        clock = asyncio.get_running_loop().time
        waits = []
        for n in range(50):
            began = clock()
            await say_lines(runtime, [f"line {n}"])
            await talk.hear()
            waits.append(clock() - began)
    assert sorted(waits)[25] < 0.1
    for writer in writers:
        writer.transport.abort()
    await eventually(lambda: open_sockets(live)["/ws"] == 0)


async def test_a_server_that_stops_does_not_wait_for_a_client_that_never_reads(runtime):
    await say_much(runtime)
    async with serving(runtime) as live:
        writer = await never_reading(live)
        (connection,) = live.server.server_state.connections
        await eventually(connection.transport.get_write_buffer_size)
        began = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - began < 1
    writer.transport.abort()
