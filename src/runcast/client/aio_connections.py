"""The connections of a client for asyncio: what is sent and followed over them, until its end."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpx2

from runcast.client.call import Answer, Call
from runcast.client.errors import closed
from runcast.client.following import Following
from runcast.client.refusals import refusal
from runcast.client.transport import answer_of, reaching, request_of, settings, stream_of


class AsyncConnections:
    """Does as `Connections` does, for the tasks of one event loop."""

    def __init__(self, base_url: str) -> None:
        self._settings = settings(base_url)
        self._base_url = base_url.rstrip("/")
        self._own = _Own(self._settings)

    async def close(self) -> None:
        """Close all connections, and wake whoever waits."""
        own = self._ours()
        own.closed.set()
        await own.http.aclose()

    @property
    def turn(self) -> asyncio.Lock:
        """A lock for what the tasks of this process do one after the other."""
        return self._ours().turn

    async def send(self, call: Call[Any]) -> Answer:
        """Send a call and return the answer, whatever it says."""
        own = self._ours()
        with reaching(self._base_url, own.closed.is_set):
            return answer_of(await own.http.request(**request_of(call)))

    @asynccontextmanager
    async def open(self, stream: Following) -> AsyncIterator[AsyncIterator[bytes]]:
        """Open the next connection of a stream and give what arrives; raise ApiError if refused."""
        own = self._ours()
        with reaching(self._base_url, own.closed.is_set):
            async with own.http.stream(**stream_of(stream)) as response:
                if response.is_error:
                    raise refusal(response.status_code, await response.aread())
                stream.opened(response.status_code, response.headers)
                yield response.aiter_raw()

    async def pause(self, seconds: float) -> None:
        """Wait."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._ours().closed.wait()
                raise closed()

    def _ours(self) -> "_Own":
        own = self._own
        if own.pid != os.getpid() and not own.closed.is_set():
            own = self._own = _Own(self._settings)
        return own


class _Own:
    """What one process has: nothing of it may be shared with another."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.pid = os.getpid()
        self.http = httpx2.AsyncClient(**settings)
        self.turn = asyncio.Lock()
        self.closed = asyncio.Event()
