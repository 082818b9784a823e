"""Sockets that are written to together, while some of them do not read, leave, or want another."""

import asyncio
import contextlib
import json
import random
import socket

import pytest
from websockets.exceptions import ConnectionClosed

from runcast.core.events import EVENT_TYPES
from runcast.web.sockets.protocol import MISSED_PINGS, SocketProtocol
from runcast.web.sse import SEND_BYTES
from tests.web.live import serving
from tests.web.sockets.client import (
    WAIT_S,
    add_event,
    add_run,
    end_run,
    eventually,
    masked,
    say_lines,
    talking,
    upgraded,
)
from tests.web.sockets.singers.choir import NATIVE, choirs, crowd, seqs

HIGH_WATER = 64 * 1024  # of a transport's buffer, unless somebody sets it
CLOSE = b"\x88\x80" + bytes(4)  # of a client, with a mask of zeros


def plug(live):
    """Connect a socket that takes little before the server has to wait for it."""
    url = live.client.base_url
    found = socket.socket()
    found.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    found.connect((url.host, url.port))
    return found


def unsent(live):
    """Return how many bytes wait at most for one client."""
    return max(one.transport.get_write_buffer_size() for one in protocols(live))


def protocols(live):
    found = live.server.server_state.connections
    return [one for one in found if isinstance(one, SocketProtocol)]


async def test_who_does_not_read_holds_up_nobody_and_gets_the_rest_later(live, runtime):
    await add_run(runtime)
    with plug(live) as small:
        async with talking(live, sock=small, max_queue=1) as slow, crowd(live, 3) as talks:
            await slow.ask(**NATIVE)
            await eventually(lambda: choirs(runtime) == [4])
            count = 0
            while choirs(runtime) != [3]:
                await say_lines(runtime, ["x" * 40_000])
                count += 1
                for talk in talks:
                    assert seqs([await talk.hear()]) == [count + 1]
                assert unsent(live) < HIGH_WATER + SEND_BYTES
            for _ in range(20):
                await say_lines(runtime, ["x" * 40_000])
            await end_run(runtime)
            last = count + 22
            assert seqs(await slow.until(last)) == list(range(2, last + 1))
            for talk in talks:
                assert seqs(await talk.until(last)) == list(range(count + 2, last + 1))


async def test_behind_the_close_of_who_has_much_to_read_comes_nothing(live, runtime):
    await add_run(runtime)
    with plug(live) as small:
        async with crowd(live, 1, throttleMs=0) as (other,):
            reader, writer = await upgraded(live, sock=small)
            writer.write(masked(NATIVE | {"throttleMs": 0}))
            await eventually(lambda: choirs(runtime) == [2])
            while not unsent(live):
                await say_lines(runtime, ["x" * 5_000])
                await other.hear()
            assert choirs(runtime) == [2]
            writer.write(CLOSE)
            await eventually(lambda: choirs(runtime) == [1])
            await say_lines(runtime, ["late"])
            assert (await other.hear())["data"]["text"] == "late"
            sent = await asyncio.wait_for(reader.read(), WAIT_S)
            writer.close()

    assert b"late" not in sent
    assert opcodes(sent)[-1] == CLOSE[0]


def opcodes(sent):
    """Return the first byte of every frame."""
    found = []
    while sent:
        found.append(sent[0])
        places = {126: 2, 127: 8}.get(sent[1], 0)
        size = int.from_bytes(sent[2 : 2 + places], "big") if places else sent[1]
        assert len(sent) >= 2 + places + size
        sent = sent[2 + places + size :]
    return found


HAPPENINGS = {
    "its client closes": lambda protocol: protocol.data_received(CLOSE),
    "its client does not read": lambda protocol: protocol.pause_writing(),
    "its client answers no ping": lambda protocol: [
        protocol.keepalive_timeout() for _ in range(MISSED_PINGS)
    ],
    "the server stops": lambda protocol: protocol.shutdown(),
}


@pytest.mark.parametrize("happens", HAPPENINGS)
async def test_who_cannot_be_written_to_is_let_go_of_in_the_same_moment(live, runtime, happens):
    await add_run(runtime)
    async with crowd(live, 2) as talks:
        await eventually(lambda: choirs(runtime) == [2])
        first, _ = protocols(live)
        HAPPENINGS[happens](first)
        assert choirs(runtime) == [1]
        assert not first.ready
        first.transport.abort()
        await eventually(lambda: len(protocols(live)) == 1)
        await say_lines(runtime, ["on"])
        async with asyncio.timeout(WAIT_S):
            heard = await asyncio.gather(
                *(one.socket.recv() for one in talks), return_exceptions=True
            )
        assert sorted(isinstance(one, ConnectionClosed) for one in heard) == [False, True]


async def test_a_server_that_stops_cuts_nobody_inside_a_frame(runtime):
    await add_run(runtime)
    stop = asyncio.Event()

    async def write():
        while not stop.is_set():
            await say_lines(runtime, ["x" * 200] * 20)

    async with contextlib.AsyncExitStack() as stack:
        async with serving(runtime) as live:
            talks = await stack.enter_async_context(crowd(live, 20, batch=True))
            await eventually(lambda: choirs(runtime) == [20])
            writing = asyncio.create_task(write())
            for talk in talks:
                await talk.hear()
        stop.set()
        await writing
        for talk in talks:
            found = []
            with contextlib.suppress(ConnectionClosed):
                while True:
                    found += seqs([json.loads(await talk.socket.recv())])
            assert found == list(range(found[0], found[0] + len(found)))
            assert talk.socket.protocol.close_rcvd.code == 1012
    runtime.draining = False


class Wanderer:
    """A client that follows a run to its end, and changes its mind all the time."""

    def __init__(self, live, seed, last):
        self.heard = []
        self._live = live
        self._chance = random.Random(seed)
        self._last = last
        self._position = 0

    @property
    def done(self):
        return bool(self.heard) and self.heard[-1] == self._last

    async def follow(self):
        """Connect again whenever the connection is cut, until everything was heard."""
        while not self.done:
            queue = self._chance.choice([1, 64])
            async with talking(self._live, max_queue=queue, close_timeout=0.2) as talk:
                await talk.say(**NATIVE, after=self._position, **self._wish())
                listening = asyncio.create_task(self._listen(talk))
                acting = asyncio.create_task(self._act(talk))
                await asyncio.wait([listening, acting], return_when=asyncio.FIRST_COMPLETED)
                for task in (listening, acting):
                    task.cancel()
                await asyncio.gather(listening, acting, return_exceptions=True)
                if listening.done() and not listening.cancelled():
                    listening.result()

    async def _listen(self, talk):
        with contextlib.suppress(ConnectionClosed):
            while not self.done:
                self._take(await talk.hear())
                if self._chance.random() < 0.01:
                    await asyncio.sleep(0.05)  # it is slow at times

    def _take(self, message):
        if message["type"] == "error" and "code" in message:
            raise AssertionError(message)
        for one in message.get("events", [message]):
            if "seq" in one and one["runId"] == "r":
                self.heard.append(one["seq"])
                self._position = one["position"]

    async def _act(self, talk):
        with contextlib.suppress(ConnectionClosed):
            while True:
                await asyncio.sleep(self._chance.uniform(0, 0.03))
                await self._chance.choice(
                    [self._ask, self._ask, self._ping, self._add, self._drop, self._cut]
                )(talk)

    def _wish(self):
        wish = {
            "throttleMs": self._chance.choice([0, 5, 5, 5, 20]),
            "batch": self._chance.choice([False, True]),
            "types": self._chance.choice([[], list(EVENT_TYPES)]),
        }
        return {name: wish[name] for name in wish if self._chance.random() < 0.4}

    async def _ask(self, talk):
        await talk.say(**NATIVE, **self._wish())

    async def _ping(self, talk):
        await talk.say(type="ping")

    async def _add(self, talk):
        await talk.say(**NATIVE | {"runId": "other"})

    async def _drop(self, talk):
        await talk.say(type="unsubscribe", runId="other")

    async def _cut(self, talk):
        if self._chance.random() < 0.2:
            talk.socket.transport.abort()


async def test_members_that_come_and_go_get_everything_once_and_in_order(live, runtime):
    await add_run(runtime)
    await add_run(runtime, "other")
    chance = random.Random(7)
    sizes = [chance.choice([1, 1, 5, 20, 100]) for _ in range(200)]
    last = 2 + sum(sizes)
    wanderers = [Wanderer(live, seed, last) for seed in range(16)]
    together = 0
    async with asyncio.timeout(3 * WAIT_S), asyncio.TaskGroup() as group:
        for one in wanderers:
            group.create_task(one.follow())
        for size in sizes:
            stream = "stderr" if chance.random() < 0.05 else "stdout"
            texts = [f"line {n} " + "x" * chance.choice([10, 500]) for n in range(size)]
            await say_lines(runtime, texts, stream=stream)
            if chance.random() < 0.3:
                await add_event(runtime, "custom", "other", name="n", value=1)
            await asyncio.sleep(chance.uniform(0, 0.01))
            together = max(together, *choirs(runtime), 0)
        await end_run(runtime)

    for one in wanderers:
        assert one.heard == list(range(1, last + 1))
    assert together > 1
