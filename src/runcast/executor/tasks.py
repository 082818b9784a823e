"""Awaiting with care: work that no cancellation may cut short, and acts that wait for an event."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

T = TypeVar("T")


@asynccontextmanager
async def once(event: asyncio.Event, act: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """Act when the event is set, if that happens within the block."""

    async def wait() -> None:
        await event.wait()
        await act()

    task = asyncio.create_task(wait())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled():
            task.result()


async def to_its_end(work: Coroutine[Any, Any, T]) -> tuple[T, asyncio.CancelledError | None]:
    """Await something, however often that is cancelled; return the last cancellation, too."""
    task = asyncio.create_task(work)
    cancellation: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancellation = error
    return task.result(), cancellation


async def uninterrupted(work: Coroutine[Any, Any, T]) -> T:
    """Await something to its end, however often that is cancelled; then raise the cancellation."""
    result, cancellation = await to_its_end(work)
    if cancellation is not None:
        raise cancellation
    return result
