"""A server on a real socket in the test's own loop, and a reader that takes streams as bytes."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2

from runcast.runtime.runtime import Runtime
from runcast.web.server import DrainServer, address_of, bind


class Frame:
    """One server-sent event; `number` is its id, None if it has none."""

    def __init__(self, block: str) -> None:
        fields = dict(line.split(": ", 1) for line in block.split("\n") if line[:1] != ":")
        self.event = fields["event"]
        self.data: dict[str, Any] = json.loads(fields["data"])
        self.number = int(fields["id"]) if "id" in fields else None
        self.retry = int(fields["retry"]) if "retry" in fields else None


class Live:
    """A live server and a client of it."""

    def __init__(self, server: DrainServer, client: httpx2.AsyncClient) -> None:
        self.server = server
        self.client = client

    @asynccontextmanager
    async def stream(self, path: str, **options: Any) -> AsyncIterator[AsyncIterator[Frame]]:
        """Open a stream and give its frames as they come."""
        async with self.client.stream("GET", path, **options) as response:
            assert response.status_code == 200, await response.aread()
            yield _frames(response)

    async def frames(self, path: str, count: int | None = None, **options: Any) -> list[Frame]:
        """Take `count` frames of a stream, or all until it ends."""
        found: list[Frame] = []
        async with asyncio.timeout(20), self.stream(path, **options) as frames:
            async for frame in frames:
                found.append(frame)
                if len(found) == count:
                    break
        return found


async def _frames(response: httpx2.Response) -> AsyncIterator[Frame]:
    rest = ""
    async for text in response.aiter_text():
        *blocks, rest = (rest + text).split("\n\n")
        for block in blocks:
            yield Frame(block)


@asynccontextmanager
async def serving(runtime: Runtime) -> AsyncIterator[Live]:
    """Serve a runtime at a free port."""
    listener = bind("127.0.0.1", 0)
    ready = asyncio.Event()
    server = DrainServer(runtime, ready.set)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        await ready.wait()
        async with httpx2.AsyncClient(base_url=address_of(listener), timeout=20) as client:
            yield Live(server, client)
    finally:
        server.should_exit = True
        await task
        listener.close()
