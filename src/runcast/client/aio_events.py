"""What is awaited of a stream: who is cancelled while waiting for the next can go on with it."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from typing import Self

from runcast.client.contexts import AsyncClosing
from runcast.client.types import StreamEvent

Piece = list[StreamEvent]


class PieceStream(AsyncIterator[Piece], AsyncClosing):
    """Gives what arrives of a stream, in order.

    To cancel the wait for a piece, by a timeout perhaps, breaks the connection off, but loses
    nothing: the next wait makes another one and goes on after the last event that was given. Who
    leaves early closes the stream, by `async with` or `close`, or the connection stays open until
    it is collected. `begin` goes on from where the stream is.
    """

    def __init__(self, begin: Callable[[], AsyncGenerator[Piece]]) -> None:
        self._begin = begin
        self._source = begin()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Piece:
        try:
            return await anext(self._source)
        except asyncio.CancelledError:
            # A generator that was cancelled has ended, and looks as if the stream had.
            self._source = self._begin()
            raise

    async def close(self) -> None:
        """Follow no longer."""
        await self._source.aclose()


class EventStream(AsyncIterator[StreamEvent], AsyncClosing):
    """Gives the events of pieces one by one, with the same promises."""

    def __init__(self, pieces: PieceStream) -> None:
        self._pieces = pieces
        self._at_hand: Iterator[StreamEvent] = iter(())

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> StreamEvent:
        while True:
            for event in self._at_hand:
                return event
            self._at_hand = iter(await anext(self._pieces))

    async def close(self) -> None:
        """Follow no longer."""
        self._at_hand = iter(())
        await self._pieces.close()
