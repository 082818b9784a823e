"""The client for asyncio: every operation of `calls`, sent and awaited."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing
from typing import Any, Concatenate, ParamSpec, TypeVar

from runcast.client import calls, following
from runcast.client.aio_connections import AsyncConnections
from runcast.client.aio_events import EventStream, Piece, PieceStream
from runcast.client.call import Call, Pause, Steps
from runcast.client.contexts import AsyncClosing
from runcast.client.errors import BadRequest, ClientError
from runcast.client.following import Following
from runcast.client.transport import DEFAULT_SERVER, as_method
from runcast.client.workspaces import UNKNOWN, AnyPath, Place, place_of

P = ParamSpec("P")
T = TypeVar("T")


def _asking(
    make: Callable[P, Call[T]],
) -> Callable[Concatenate[AsyncClient, P], Coroutine[Any, Any, T]]:
    """Make the method that sends the call which a function makes."""

    async def ask(self: AsyncClient, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.request(make(*args, **kwargs))

    return as_method(make, ask)


def _taking(
    make: Callable[P, Steps[T]],
) -> Callable[Concatenate[AsyncClient, P], Coroutine[Any, Any, T]]:
    """Make the method that sends the calls of an operation."""

    async def take(self: AsyncClient, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.take(make(*args, **kwargs))

    return as_method(make, take)


def _following(make: Callable[P, Following]) -> Callable[Concatenate[AsyncClient, P], EventStream]:
    """Make the method that gives the events of a stream."""

    def follow(self: AsyncClient, /, *args: P.args, **kwargs: P.kwargs) -> EventStream:
        return EventStream(self.pieces(make(*args, **kwargs)))

    return as_method(make, follow)


class AsyncClient(AsyncClosing):
    """Talks to the server at `base_url`, with the methods of `Client`; each is to be awaited.

    With a `workspace`, a folder, what it makes belongs there: a server that does not know the
    folder is told of it, before the first item. What is not an http address raises ClientError
    `bad_address`. Every method raises ApiError if the server refuses and NoServer if nobody
    answers; ClientError `closed` once the client is closed. A method that is cancelled may have
    been done or not; who is cancelled while waiting for an event can go on with the next.
    """

    def __init__(self, base_url: str = DEFAULT_SERVER, *, workspace: AnyPath | None = None) -> None:
        self._connections = AsyncConnections(base_url)
        self.base_url = base_url.rstrip("/")
        self.place = None if workspace is None else place_of(workspace)
        self._introduced = False

    async def close(self) -> None:
        """Close the connections; tasks that follow something get ClientError `closed`."""
        await self._connections.close()

    async def request(self, call: Call[T]) -> T:
        """Send a call and return its result; every other method does it by this one."""
        if self.place is None or not call.workspace:
            return await self._send(call)
        await self._introduce(self.place)
        try:
            return await self._send(call.within(self.place.id))
        except BadRequest as error:
            if error.code != UNKNOWN:
                raise
        # It has lost what it was told, or is another server by now.
        self._introduced = False
        await self._introduce(self.place)
        return await self._send(call.within(self.place.id))

    async def take(self, steps: Steps[T]) -> T:
        """Do the steps of an operation one after the other and return what it makes of them."""
        try:
            step = next(steps)
            while True:
                try:
                    result = await self._do(step)
                except ClientError as error:
                    step = steps.throw(error)
                else:
                    step = steps.send(result)
        except StopIteration as end:
            made: T = end.value
            return made

    def pieces(self, stream: Following) -> PieceStream:
        """Follow a stream, giving together what arrived together.

        The server is read only when the next piece is asked for: who pauses holds up nobody and
        has nothing buffered but what the network holds.
        """
        return PieceStream(lambda: self._pieces(stream))

    start = _asking(calls.start)
    get = _asking(calls.get)
    wait = _taking(calls.wait)
    list = _taking(calls.list_runs)
    cancel = _asking(calls.cancel)
    delete = _asking(calls.delete)
    send = _asking(calls.send)
    approvals = _asking(calls.approvals)
    approve = _asking(calls.approve)
    events = _asking(calls.events)
    append = _asking(calls.append)
    output = _asking(calls.output)
    blob = _asking(calls.blob)
    prune = _asking(calls.prune)
    agents = _asking(calls.agents)
    tools = _asking(calls.tools)
    status = _asking(calls.status)
    search = _asking(calls.search)

    put_workspace = _asking(calls.put_workspace)
    workspaces = _asking(calls.workspaces)
    submit = _asking(calls.submit)
    update = _asking(calls.update)
    remove = _asking(calls.remove)
    get_process = _asking(calls.get_process)
    list_processes = _taking(calls.list_processes)
    clear = _asking(calls.clear)
    emit_output = _asking(calls.emit_output)
    cancel_process = _asking(calls.cancel_process)
    stats = _asking(calls.stats)

    post_message = _asking(calls.post_message)
    messages = _asking(calls.messages)
    post_envelopes = _asking(calls.post_envelopes)

    follow = _following(following.of_run)
    follow_all = _following(following.of_all)
    follow_messages = _following(following.of_messages)
    follow_process = _following(following.of_process)

    async def _send(self, call: Call[T]) -> T:
        return call.result(await self._connections.send(call))

    async def _do(self, step: Call[T] | Pause) -> T | None:
        if isinstance(step, Pause):
            await self._connections.pause(step.seconds)
            return None
        return await self.request(step)

    async def _introduce(self, place: Place) -> None:
        async with self._connections.turn:
            if not self._introduced:
                await self.take(place.introduction())
                self._introduced = True

    async def _pieces(self, stream: Following) -> AsyncGenerator[Piece]:
        async with aclosing(self._chunks(stream)) as chunks:
            async for chunk in chunks:
                for events in stream.feed(chunk):
                    yield events
                if stream.over:
                    return

    async def _chunks(self, stream: Following) -> AsyncGenerator[bytes]:
        """Yield the bytes of one connection after the other, until the stream is over."""
        while not stream.over:
            problem: ClientError | None = None
            try:
                if stream.origin is not None:
                    stream.begin(await self._send(stream.origin))
                async with self._connections.open(stream) as chunks:
                    async for chunk in chunks:
                        yield chunk
            except ClientError as failure:
                problem = failure
            if not stream.over:
                await self._connections.pause(stream.broke(problem, time.monotonic()))
