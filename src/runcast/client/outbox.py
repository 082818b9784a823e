"""Outboxes: what is said while the server is away is kept on disk, and sent in order, once each."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Generic, ParamSpec, TypeVar, Unpack

from runcast.client import drafts
from runcast.client.aio import AsyncClient
from runcast.client.drafts import Draft
from runcast.client.errors import ApiError
from runcast.client.flusher import AsyncFlusher, Flusher
from runcast.client.kept import Bounds, Kept
from runcast.client.queue_rows import Item
from runcast.client.sync import Client
from runcast.client.transport import like
from runcast.client.workspaces import AnyPath

_TURN_S = 0.05  # between two looks whether another process has finished sending

P = ParamSpec("P")
T = TypeVar("T")


class _Keeping(Generic[P, T]):
    """A method that keeps the draft which a function makes, and has its parameters and text."""

    def __init__(self, make: Callable[P, Draft[T]]) -> None:
        self._make = make

    def __get__(self, outbox: "Outbox", owner: type) -> Callable[P, T]:
        def keep(*args: P.args, **kwargs: P.kwargs) -> T:
            return outbox.keep(self._make(*args, **kwargs))

        return like(self._make, keep)


class _KeepingSoon(Generic[P, T]):
    """The same, to be awaited."""

    def __init__(self, make: Callable[P, Draft[T]]) -> None:
        self._make = make

    def __get__(self, outbox: "AsyncOutbox", owner: type) -> Callable[P, Coroutine[Any, Any, T]]:
        async def keep(*args: P.args, **kwargs: P.kwargs) -> T:
            return await outbox.keep(self._make(*args, **kwargs))

        return like(self._make, keep)


class Outbox:
    """Keeps what is to be sent in a file; `flush` or `keep_flushing` sends it by the client.

    What a method was told is on disk when it returns, and no method but those two makes a
    request. Items are sent in the order in which they were kept, each under a key of its own, so
    the server does each once, whoever is killed or cut off in between. What a server refuses for
    good is set aside, with the server's words; what waited for longer than a server remembers
    its key, too: nothing is dropped. `path` is `~/.local/state/runcast/outbox.db` unless given;
    threads and processes may share it. Raises OutboxFull when no more may be kept, OutboxDamaged
    if the file is damaged, and OutboxError if it cannot be used.
    """

    def __init__(
        self, client: Client, path: AnyPath | None = None, **bounds: Unpack[Bounds]
    ) -> None:
        self._client = client
        self._kept = Kept(client.base_url, client.place, path, bounds)
        self._woken = threading.Event()
        self._sent = 0

    submit = _Keeping(drafts.submit)
    update = _Keeping(drafts.update)
    remove = _Keeping(drafts.remove)
    emit_output = _Keeping(drafts.emit_output)
    post_message = _Keeping(drafts.post_message)

    def keep(self, draft: Draft[T]) -> T:
        """Keep a draft; every method that keeps something does it by this one."""
        result = self._kept.keep(draft)
        self._woken.set()
        return result

    @property
    def waiting(self) -> int:
        """How many items wait to be sent to the client's server."""
        return self._kept.waiting()

    def items(self) -> list[Item]:
        """Return everything in the file, for whichever server, in order."""
        return self._kept.items()

    def drop(self, number: int) -> int:
        """Remove an item, and what was set aside because of it, unsent; return how many went."""
        return self._kept.drop(number)

    def retry(self, number: int) -> int:
        """Let an item, and what was set aside because of it, wait again; return how many do.

        They have new keys: what had arrived, its answer lost, may be done once more.
        """
        return self._kept.retry(number)

    def renew(self) -> None:
        """Begin a new file in place of a damaged one, which stays where it was set aside."""
        self._kept.renew()

    def flush(self) -> int:
        """Send what waits, in order; return how many items arrived.

        Waits while another thread or process sends from this file. Raises NoServer if the server
        is out of reach and ApiError if it may take the next item later: that item and all behind
        it still wait.
        """
        return self.flush_until(threading.Event())

    def flush_until(self, stopped: threading.Event) -> int:
        """Do as `flush` does, but return after the current request once `stopped` is set."""
        while not stopped.is_set() and self.waiting:
            with self._kept.turn_to_send() as mine:
                if mine:
                    return self._send(stopped)
            stopped.wait(_TURN_S)
        return 0

    def keep_flushing(self) -> Flusher:
        """Send by itself from now on, in a thread, as soon as something waits and can be sent."""
        return Flusher(self.flush_until, lambda: self._sent, self._woken)

    def _send(self, stopped: threading.Event) -> int:
        delivery = self._kept.delivery()
        try:
            while not stopped.is_set() and (call := delivery.next()) is not None:
                try:
                    self._client.request(call)
                except ApiError as error:
                    delivery.refused(error)
                else:
                    delivery.arrived()
        finally:
            self._sent += delivery.sent
        return delivery.sent


class AsyncOutbox:
    """Does as `Outbox` does; each method is to be awaited.

    One that is cancelled may have kept its item or not, and `flush` may be cancelled anywhere.
    """

    def __init__(
        self, client: AsyncClient, path: AnyPath | None = None, **bounds: Unpack[Bounds]
    ) -> None:
        self._client = client
        self._kept = Kept(client.base_url, client.place, path, bounds)
        self._woken = asyncio.Event()
        self._sent = 0

    submit = _KeepingSoon(drafts.submit)
    update = _KeepingSoon(drafts.update)
    remove = _KeepingSoon(drafts.remove)
    emit_output = _KeepingSoon(drafts.emit_output)
    post_message = _KeepingSoon(drafts.post_message)

    async def keep(self, draft: Draft[T]) -> T:
        """Keep a draft; every method that keeps something does it by this one."""
        result = await asyncio.to_thread(self._kept.keep, draft)
        self._woken.set()
        return result

    @property
    def waiting(self) -> int:
        """How many items wait to be sent to the client's server."""
        return self._kept.waiting()

    async def items(self) -> list[Item]:
        """Return everything in the file, for whichever server, in order."""
        return await asyncio.to_thread(self._kept.items)

    async def drop(self, number: int) -> int:
        """Remove an item, and what was set aside because of it, unsent; return how many went."""
        return await asyncio.to_thread(self._kept.drop, number)

    async def retry(self, number: int) -> int:
        """Let an item, and what was set aside because of it, wait again; return how many do.

        They have new keys: what had arrived, its answer lost, may be done once more.
        """
        return await asyncio.to_thread(self._kept.retry, number)

    async def renew(self) -> None:
        """Begin a new file in place of a damaged one, which stays where it was set aside."""
        await asyncio.to_thread(self._kept.renew)

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
                    await self._client.request(call)
                except ApiError as error:
                    await asyncio.to_thread(delivery.refused, error)
                else:
                    await asyncio.to_thread(delivery.arrived)
        finally:
            self._sent += delivery.sent
        return delivery.sent
