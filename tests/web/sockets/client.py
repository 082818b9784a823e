"""A WebSocket client that speaks JSON, and runs whose log the tests write themselves."""

import asyncio
import contextlib
import json
import socket
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from runcast.core.events import Draft, Lines, run_log
from runcast.core.runs import Run
from runcast.runtime.runtime import Runtime
from tests.web.live import Live

WAIT_S = 10
QUIET_S = 0.15  # long enough for what was committed to have come, were it to come


class Talk:
    """One socket."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    async def say(self, **message: Any) -> None:
        await self.socket.send(json.dumps(message))

    async def hear(self) -> dict[str, Any]:
        async with asyncio.timeout(WAIT_S):
            heard: dict[str, Any] = json.loads(await self.socket.recv())
        return heard

    async def take(self, count: int) -> list[dict[str, Any]]:
        return [await self.hear() for _ in range(count)]

    async def ask(self, **message: Any) -> dict[str, Any]:
        await self.say(**message)
        return await self.hear()

    async def until(self, seq: int) -> list[dict[str, Any]]:
        """Take messages up to the one that has this seq."""
        heard = [await self.hear()]
        while heard[-1].get("seq") != seq:
            heard.append(await self.hear())
        return heard

    async def closed(self) -> int:
        """Take everything up to the close, and return its code."""
        async with asyncio.timeout(WAIT_S):
            with contextlib.suppress(ConnectionClosed):
                while True:
                    await self.socket.recv()
        received = self.socket.protocol.close_rcvd
        assert received is not None
        return received.code

    async def settle(self) -> list[dict[str, Any]]:
        """Take what comes before an answer does, once what was committed had time to come."""
        await asyncio.sleep(QUIET_S)
        await self.say(type="ping")
        heard = []
        while not is_answer(message := await self.hear()):
            heard.append(message)
        return heard


def is_answer(message: dict[str, Any]) -> bool:
    """Tell whether this answers a ping: on `/` that is an error."""
    return message["type"] == "pong" or (message["type"] == "error" and "code" in message)


@asynccontextmanager
async def talking(
    live: Live, path: str = "/ws?lifecycle=false", **options: Any
) -> AsyncIterator[Talk]:
    """Open a socket."""
    address = str(live.client.base_url).replace("http", "ws", 1).rstrip("/")
    async with connect(address + path, **options) as socket:
        yield Talk(socket)


async def upgraded(
    live: Live, path: str = "/ws?lifecycle=false", sock: socket.socket | None = None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Open a socket that answers no ping and reads nothing; return its reader and writer."""
    url = live.client.base_url
    where = {"host": url.host, "port": url.port} if sock is None else {"sock": sock}
    reader, writer = await asyncio.open_connection(**where, limit=1024)
    writer.write(
        f"GET {path} HTTP/1.1\r\nHost: {url.host}:{url.port}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
    )
    assert b"101" in await reader.readuntil(b"\r\n\r\n")
    return reader, writer


def masked(message: dict[str, Any]) -> bytes:
    """Write a client's text frame; a mask of zeros changes nothing."""
    body = json.dumps(message).encode()
    assert len(body) < 126
    return bytes((0x81, 0x80 | len(body))) + bytes(4) + body


def types(messages: Sequence[dict[str, Any]]) -> list[str]:
    return [message["type"] for message in messages]


async def add_run(
    runtime: Runtime, run_id: str = "r", task_id: str | None = None, **fields: Any
) -> None:
    """Add an external run: nothing is executed; its first event is `running`."""
    fields = {"source": "external", "status": "running"} | fields
    await runtime.store.create(Run(id=run_id, key=run_id, task_id=task_id or run_id, **fields))


async def say_lines(
    runtime: Runtime, texts: Sequence[str], run_id: str = "r", stream: str = "stdout"
) -> None:
    await runtime.store.append(run_log(run_id), [Lines(1, stream, list(texts))])


async def add_event(runtime: Runtime, type: str, run_id: str = "r", **data: Any) -> None:
    await runtime.store.append(run_log(run_id), [Draft(1, type, data)])


async def end_run(runtime: Runtime, run_id: str = "r") -> None:
    await runtime.store.transition(run_id, "completed", 2, {"reason": "exit", "exit_code": 0})
    runtime.logs.seal(run_log(run_id))


async def delete_run(runtime: Runtime, run_id: str = "r") -> None:
    await runtime.delete(run_id)


def open_sockets(live: Live) -> Counter[str]:
    """Return how many sockets the server believes to be open, by path."""
    guard = live.server.config.app
    counted: Counter[str] = guard.app.state.sockets.open
    return counted


async def eventually(condition: Callable[[], Any]) -> None:
    """Wait until a condition holds."""
    async with asyncio.timeout(WAIT_S):
        while not condition():
            await asyncio.sleep(0.01)
