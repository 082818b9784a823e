"""Outboxes: what is said while the server is away is kept on disk, and sent in order, once each."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar, Unpack

from runcast.client import drafts
from runcast.client.aio import AsyncClient
from runcast.client.drafts import Draft
from runcast.client.errors import ApiError
from runcast.client.flusher import AsyncFlusher, Flusher
from runcast.client.kept import Bounds, Kept
from runcast.client.queue_rows import Item
from runcast.client.sync import Client
from runcast.client.transport import as_method
from runcast.client.workspaces import AnyPath

_TURN_S = 0.05  # between two looks whether another process has finished sending

P = ParamSpec("P")
T = TypeVar("T")


def _keeping(make: Callable[P, Draft[T]]) -> Callable[Concatenate["Outbox", P], T]:
    """Make the method that keeps the draft which a function makes."""

    def keep(self: "Outbox", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self.keep(make(*args, **kwargs))

    return as_method(make, keep)


def _keeping_soon(
    make: Callable[P, Draft[T]],
) -> Callable[Concatenate["AsyncOutbox", P], Coroutine[Any, Any, T]]:
    """Make the same method, to be awaited."""

    async def keep(self: "AsyncOutbox", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.keep(make(*args, **kwargs))

    return as_method(make, keep)


class Outbox:
    """Keeps what is to be sent in a file; `flush` or `keep_flushing` sends it by the client.

    What a method was told is on disk when it returns, and no method but those two makes a
    request. Items are sent in the order in which they were kept, each under a key of its own, so
    the server does each once, whoever is killed or cut off in between. What a server refuses for
    good is set aside, with the server's words; what was tried for longer than a server remembers
    its key, too: nothing is dropped. What no server would take is not kept: BadRequest.

    `path` is `~/.local/state/runcast/outbox.db` unless given; threads and processes may share it.
    `server` is the address that items are kept for. Raises OutboxFull when no more may be kept,
    OutboxDamaged if the file is damaged, and OutboxError if it cannot be used.
    """

    def __init__(
        self, client: Client, path: AnyPath | None = None, **bounds: Unpack[Bounds]
    ) -> None:
        self.server = client.base_url
        self._client = client
        self._kept = Kept(self.server, client.place, path, bounds)
        self._woken = threading.Event()
        self._sent = 0

    submit = _keeping(drafts.submit)
    update = _keeping(drafts.update)
    remove = _keeping(drafts.remove)
    emit_output = _keeping(drafts.emit_output)
    post_message = _keeping(drafts.post_message)

    def keep(self, draft: Draft[T]) -> T:
        """Keep a draft; every method that keeps something does it by this one."""
        result = self._kept.keep(draft)
        self._woken.set()
        return result

    def waiting(self) -> int:
        """Return how many items wait to be sent to the client's server."""
        return self._kept.waiting()

    def items(self) -> list[Item]:
        """Return everything in the file, for whichever server, in order."""
        return self._kept.items()

    def drop(self, *numbers: int) -> int:
        """Remove items, and what was set aside because of them, unsent; return how many went.

        If one is not there, none goes: OutboxError `no_item`.
        """
        return self._kept.drop(numbers)

    def drop_alone(self, *numbers: int) -> int:
        """Remove items as `drop` does, but leave what was set aside because of them."""
        return self._kept.drop_alone(numbers)

    def retry(self, *numbers: int) -> int:
        """Let items, and what was set aside because of them, wait again; return how many do.

        They have new keys: what had arrived, its answer lost, may be done once more. If one was
        not set aside, nothing changes: OutboxError `no_item`.
        """
        return self._kept.retry(numbers)

    def renew(self) -> Path | None:
        """Begin a new file in place of one that is damaged or no outbox.

        That one keeps its bytes under another name, which is returned; None if there was none.
        """
        return self._kept.renew()

    def flush(self) -> int:
        """Send what waits, in order; return how many items arrived.

        Waits while another thread or process sends from this file. Raises NoServer if the server
        is out of reach and ApiError if it may take the next item later: that item and all behind
        it still wait.
        """
        return self._flush_until(threading.Event())

    def keep_flushing(self) -> Flusher:
        """Send by itself from now on, in a thread, as soon as something waits and can be sent."""
        return Flusher(self._flush_until, lambda: self._sent, self._woken)

    def _flush_until(self, stopped: threading.Event) -> int:
        """Do as `flush` does, but return after the current request once `stopped` is set."""
        while not stopped.is_set() and self._kept.waiting():
            with self._kept.turn_to_send() as mine:
                if mine:
                    return self._send(stopped)
            stopped.wait(_TURN_S)
        return 0

    def _send(self, stopped: threading.Event) -> int:
        delivery = self._kept.delivery()
        try:
            while not stopped.is_set() and (call := delivery.next()) is not None:
                try:
                    result = self._client.request(call)
                except ApiError as error:
                    delivery.refused(error)
                else:
                    delivery.arrived(result)
        finally:
            delivery.end()
            self._sent += delivery.sent
        return delivery.sent


class AsyncOutbox:
    """Does as `Outbox` does; each method is to be awaited.

    One that is cancelled may have kept its item or not, and `flush` may be cancelled anywhere.
    """

    def __init__(
        self, client: AsyncClient, path: AnyPath | None = None, **bounds: Unpack[Bounds]
    ) -> None:
        self.server = client.base_url
        self._client = client
        self._kept = Kept(self.server, client.place, path, bounds)
        self._woken = asyncio.Event()
        self._sent = 0

    submit = _keeping_soon(drafts.submit)
    update = _keeping_soon(drafts.update)
    remove = _keeping_soon(drafts.remove)
    emit_output = _keeping_soon(drafts.emit_output)
    post_message = _keeping_soon(drafts.post_message)

    async def keep(self, draft: Draft[T]) -> T:
        """Keep a draft; every method that keeps something does it by this one."""
        result = await asyncio.to_thread(self._kept.keep, draft)
        self._woken.set()
        return result

    async def waiting(self) -> int:
        """Return how many items wait to be sent to the client's server."""
        return await asyncio.to_thread(self._kept.waiting)

    async def items(self) -> list[Item]:
        """Return everything in the file, for whichever server, in order."""
        return await asyncio.to_thread(self._kept.items)

    async def drop(self, *numbers: int) -> int:
        """Remove items, and what was set aside because of them, unsent; return how many went.

        If one is not there, none goes: OutboxError `no_item`.
        """
        return await asyncio.to_thread(self._kept.drop, numbers)

    async def drop_alone(self, *numbers: int) -> int:
        """Remove items as `drop` does, but leave what was set aside because of them."""
        return await asyncio.to_thread(self._kept.drop_alone, numbers)

    async def retry(self, *numbers: int) -> int:
        """Let items, and what was set aside because of them, wait again; return how many do.

        They have new keys: what had arrived, its answer lost, may be done once more. If one was
        not set aside, nothing changes: OutboxError `no_item`.
        """
        return await asyncio.to_thread(self._kept.retry, numbers)

    async def renew(self) -> Path | None:
        """Begin a new file in place of one that is damaged or no outbox.

        That one keeps its bytes under another name, which is returned; None if there was none.
        """
        return await asyncio.to_thread(self._kept.renew)

    async def flush(self) -> int:
        """Send what waits, in order; return how many items arrived.

        Waits while another task or process sends from this file. Raises NoServer if the server
        is out of reach and ApiError if it may take the next item later: that item and all behind
        it still wait.
        """
        while await asyncio.to_thread(self._kept.waiting):
            with self._kept.turn_to_send() as mine:
                if mine:
                    return await self._send()
            await asyncio.sleep(_TURN_S)
        return 0

    def keep_flushing(self) -> AsyncFlusher:
        """Send by itself from now on, in a task, as soon as something waits and can be sent."""
        return AsyncFlusher(self.flush, lambda: self._sent, self._woken)

    async def _send(self) -> int:
        delivery = self._kept.delivery()
        try:
            # The file is read and written in threads: a disk may take its time.
            while (call := await asyncio.to_thread(delivery.next)) is not None:
                try:
                    result = await self._client.request(call)
                except ApiError as error:
                    await asyncio.to_thread(delivery.refused, error)
                else:
                    delivery.arrived(result)
        finally:
            await asyncio.to_thread(delivery.end)
            self._sent += delivery.sent
        return delivery.sent
