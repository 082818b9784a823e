"""Following: the one loop that replays and goes on live, at the reader's own pace."""

import asyncio
from collections import deque
from collections.abc import Callable

from runcast.core.events import Batch
from runcast.core.limits import READ_BYTES
from runcast.runtime.pages import Pages


class Track:
    """One log as followers see it: its newest batches, its head, and who waits for more.

    `head` is the last seq (a position on the track ALL). A track that is `sealed` or `deleted`
    grows no more.
    """

    __slots__ = ("deleted", "followers", "head", "hot", "name", "sealed", "waiting")

    def __init__(self, name: str) -> None:
        self.name = name
        self.hot: deque[Batch] = deque()
        self.head = 0
        self.sealed = False
        self.deleted = False
        self.followers: set[Follower] = set()
        self.waiting: list[asyncio.Future[None]] = []

    def wake(self) -> None:
        """Let every waiting follower look again."""
        waiting, self.waiting = self.waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)


class Follower:
    """One reader's place in a log; `cursor` says how far it has everything.

    Close it when done: `close()`.
    """

    __slots__ = ("_leave", "_nudged", "_pages", "_wait", "cursor", "track")

    def __init__(
        self, pages: Pages, track: Track, cursor: int, leave: "Callable[[Follower], None]"
    ) -> None:
        self._pages = pages
        self._leave = leave
        self.track = track
        self.cursor = cursor
        self._wait: asyncio.Future[None] | None = None
        self._nudged = False

    # How a batch is numbered on this track.
    first: Callable[[Batch], int] = staticmethod(lambda batch: batch.first_seq)
    last: Callable[[Batch], int] = staticmethod(lambda batch: batch.last_seq)

    @property
    def floor(self) -> int:
        """The highest number that was removed from this log: a run's log only goes whole."""
        return 0

    @property
    def at_end(self) -> bool:
        """Whether the log can never give more than the cursor has."""
        track = self.track
        return track.deleted or (track.sealed and self.cursor >= track.head)

    async def take(self) -> list[Batch]:
        """Return the next batches after the cursor and move the cursor behind them.

        The first may begin before the cursor. An empty list means: look around, nothing is new
        (`at_end` may have become true, or somebody called `nudge`). Cancelling loses nothing.
        """
        while not (batches := self._hot()):
            if self._nudged or self.at_end:
                self._nudged = False
                return []
            head = self.track.head
            if head > self.cursor:
                batches = await self._pages.read(self.track.name, self.cursor, head)
                if batches:
                    break
                if self.track.head != head:
                    continue  # committed while we read: its wake-up is already gone
            await self._moved()
        self.cursor = max(self.cursor, self.last(batches[-1]))
        return batches

    def nudge(self) -> None:
        """Make a `take` that has nothing to give return an empty list."""
        self._nudged = True
        if self._wait is not None and not self._wait.done():
            self._wait.set_result(None)

    def close(self) -> None:
        """Leave the log."""
        self._leave(self)

    def _hot(self) -> list[Batch]:
        hot = self.track.hot
        cursor = self.cursor
        if not hot or self.track.head <= cursor or self.first(hot[0]) > cursor + 1:
            return []
        newer: list[Batch] = []
        for batch in reversed(hot):
            if self.last(batch) <= cursor:
                break
            newer.append(batch)
        newer.reverse()
        size = 0
        for index, batch in enumerate(newer):
            size += len(batch.body)
            if size > READ_BYTES:
                return newer[: index + 1]
        return newer

    async def _moved(self) -> None:
        """Wait until the track moves or somebody nudges."""
        if self._nudged:
            return
        self._wait = asyncio.get_running_loop().create_future()
        self.track.waiting.append(self._wait)
        try:
            await self._wait
        finally:
            if self._nudged or self._wait.cancelled():
                self._forget(self._wait)
            self._wait = None

    def _forget(self, future: asyncio.Future[None]) -> None:
        if future in self.track.waiting:
            self.track.waiting.remove(future)


class PositionFollower(Follower):
    """A reader of all run logs; its cursor is a position."""

    __slots__ = ()

    @property
    def floor(self) -> int:
        """The highest position that was ever removed; what `take` just gave may lie above it."""
        return self._pages.floor

    first = staticmethod(lambda batch: batch.first_position)
    last = staticmethod(lambda batch: batch.last_position)
