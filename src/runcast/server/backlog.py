"""What was emitted and is not committed yet: from any thread, in order, and not without end."""

import asyncio
from collections import deque
from collections.abc import Sequence
from queue import Full
from threading import Condition
from typing import Any, NamedTuple, Protocol

from runcast.runtime.runtime import Runtime

CAPACITY = 10_000
GROUP = 500  # emissions of one commit: its readers take it whole
GROUP_BYTES = 1024 * 1024


class Target(Protocol):
    """Where emissions go: those of one lane in order, those of others beside them."""

    @property
    def lane(self) -> str:
        """What orders it: nobody who follows sees emissions of several lanes as one stream."""

    @property
    def together(self) -> str:
        """What neighbours in a lane have in common that are committed at once."""

    @classmethod
    async def take(cls, runtime: Runtime, stretches: Sequence[tuple[Any, list[Any]]]) -> None:
        """Commit what goes to targets of this class, in order; all of it or nothing."""


Stretch = tuple[Target, list[Any]]  # neighbours with one target


class Emission(NamedTuple):
    """One thing that was emitted, and about how many bytes it has."""

    target: Target
    value: Any
    size: int


class Backlog:
    """A queue from any thread to one coroutine."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._waiting: deque[Emission] = deque()
        self._put = 0
        self._done = 0
        self._closed = False
        self._dropped = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake = asyncio.Event()

    def put(self, emission: Emission) -> None:
        """Put something at the end; raise Full if too much waits, RuntimeError after `close`."""
        with self._changed:
            if self._closed:
                raise RuntimeError("the server was stopped; nothing can be emitted any more")
            if len(self._waiting) >= CAPACITY:
                raise Full(f"{CAPACITY} emissions wait to be committed; try again in a moment")
            self._waiting.append(emission)
            self._put += 1
            self._rouse()

    def close(self) -> None:
        """Take nothing more; what waits can still be taken."""
        with self._changed:
            self._closed = True
            self._rouse()

    @property
    def closed(self) -> bool:
        """Whether it takes nothing more."""
        return self._closed

    def flush(self, timeout: float | None) -> bool:
        """Wait until everything was dealt with that was put before; False if time ran out.

        RuntimeError if it was dropped.
        """
        with self._changed:
            until = self._put
            ended = self._changed.wait_for(lambda: self._done >= until or self._dropped, timeout)
            if self._done < until and self._dropped:
                raise RuntimeError("the server was stopped before everything was committed")
            return ended

    async def take(self) -> list[Emission]:
        """Return the next emissions, in order; none once it is closed and empty.

        Only one coroutine may take, and says of each group when it is `done`.
        """
        while True:
            self._wake.clear()
            with self._changed:
                self._loop = asyncio.get_running_loop()
                group = self._next_group()
                if group or self._closed:
                    self._loop = None
                    return group
            await self._wake.wait()

    def done(self, count: int) -> None:
        """Note that so many more were dealt with."""
        with self._changed:
            self._done += count
            self._changed.notify_all()

    def drop(self) -> int:
        """Drop what waits, and let those go who flush; return how much it was."""
        with self._changed:
            count = len(self._waiting)
            self._waiting.clear()
            self._dropped = True
            self._changed.notify_all()
            return count

    def _next_group(self) -> list[Emission]:
        group: list[Emission] = []
        size = 0
        while self._waiting and len(group) < GROUP and size < GROUP_BYTES:
            group.append(self._waiting.popleft())
            size += group[-1].size
        return group

    def _rouse(self) -> None:
        """Wake the one who takes, if it sleeps: once is enough."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._wake.set)
            self._loop = None
