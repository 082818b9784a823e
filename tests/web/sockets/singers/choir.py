"""Sockets that follow one run, and which of them are written to together."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from runcast.runtime.runtime import Runtime
from runcast.stores import Selection
from tests.web.live import Live
from tests.web.sockets.client import Talk, talking

NATIVE = {"type": "subscribe", "runId": "r", "format": "native"}


def choirs(runtime: Runtime, **selected: str) -> list[int]:
    """Return how many sing together on a run or task, by chorus."""
    follower = runtime.logs.follow_where(Selection(**selected or {"run_id": "r"}), 0)
    follower.close()
    choruses: dict[Any, Any] = follower.track.listeners
    return sorted(len(one) for one in choruses.values())


def seqs(heard: list[dict[str, Any]]) -> list[int]:
    """Return the seqs of native events, batched or not."""
    return [one["seq"] for message in heard for one in message.get("events", [message])]


@contextlib.asynccontextmanager
async def crowd(live: Live, count: int, **wanted: Any) -> AsyncIterator[list[Talk]]:
    """Open so many sockets that follow the run."""
    async with contextlib.AsyncExitStack() as stack:
        talks = [await stack.enter_async_context(talking(live)) for _ in range(count)]
        for talk in talks:
            await talk.ask(**NATIVE | wanted)
        yield talks
