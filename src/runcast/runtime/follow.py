"""Following: the one loop that replays and goes on live, at the reader's own pace."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Protocol

from runcast.core.events import Batch
from runcast.core.limits import READ_BYTES
from runcast.runtime.pages import Key, Pages


class Listener(Protocol):
    """Reads for many followers of a track at once."""

    def moved(self, urgent: bool) -> None:
        """Note that there is something new, perhaps something urgent."""


class Track:
    """What followers share of a log, or of a selection of logs: its newest batches and its head.

    `head` is the newest number: a seq, or for a selection the position up to which everything is
    known. `hot` has every batch after `since`. A track that is `sealed` or `deleted` grows no
    more.
    """

    __slots__ = (
        *("deleted", "followers", "head", "hot", "key", "listeners", "sealed", "since", "urgent"),
        "waiting",
    )

    def __init__(self, key: Key, since: int | None = None) -> None:
        self.key = key
        self.hot: deque[Batch] = deque()
        self.since = since
        self.head = since or 0
        self.sealed = False
        self.deleted = False
        self.urgent = False  # something came that its readers should be told of at once
        self.followers: set[Follower] = set()
        self.waiting: list[asyncio.Future[None]] = []
        # Who else is told when it moves: those who read for many followers at once.
        self.listeners: dict[object, Listener] = {}

    def add(self, batch: Batch, first: int, last: int) -> None:
        """Take a committed batch with its first and last number."""
        if self.since is None:
            self.since = first - 1
        self.hot.append(batch)
        self.head = last
        self.urgent = self.urgent or batch.urgent

    def drop_oldest(self, last: int) -> None:
        """Forget the oldest batch, whose last number this is."""
        self.hot.popleft()
        self.since = last

    def wake(self) -> None:
        """Let every follower look again."""
        urgent, self.urgent = self.urgent, False
        for listener in list(self.listeners.values()):
            listener.moved(urgent)
        waiting, self.waiting = self.waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)
        for follower in self.followers:
            if follower.on_move is not None:
                follower.on_move(urgent)


class Follower:
    """One reader's place in a log; `cursor` says how far it has everything.

    Whoever reads many logs sets `on_move`: it is called on the loop each time the log moved, with
    whether something urgent came. Close the follower when done: `close()`.
    """

    __slots__ = ("_leave", "_missed", "_nudged", "_pages", "_wait", "cursor", "on_move", "track")

    def __init__(
        self, pages: Pages, track: Track, cursor: int, leave: "Callable[[Follower], None]"
    ) -> None:
        self._pages = pages
        self._leave = leave
        self.track = track
        self.cursor = cursor
        self.on_move: Callable[[bool], None] | None = None
        self._wait: asyncio.Future[None] | None = None
        self._nudged = False
        self._missed = 0

    # How a batch is numbered on this track.
    first: Callable[[Batch], int] = staticmethod(lambda batch: batch.first_seq)
    last: Callable[[Batch], int] = staticmethod(lambda batch: batch.last_seq)

    @property
    def floor(self) -> int:
        """The highest number that `take` found to be removed: seqs have no other holes."""
        return self._missed

    @property
    def removed(self) -> int:
        """The highest number that is known to be removed, whether it is missed here or not."""
        return self._missed

    @property
    def at_end(self) -> bool:
        """Whether the log can never give more than the cursor has."""
        track = self.track
        return track.deleted or (track.sealed and self.cursor >= track.head)

    @property
    def behind(self) -> bool:
        """Whether there may be something to take."""
        return self.track.head > self.cursor

    async def take(self) -> list[Batch]:
        """Return the next batches after the cursor and move the cursor behind them.

        The first may begin before the cursor. An empty list means: look around, nothing is new
        (`at_end` may have become true, or somebody called `nudge`). Cancelling loses nothing.
        """
        while not (batches := await self.take_ready()):
            if self._nudged or self.at_end:
                self._nudged = False
                return []
            if not self.behind:
                await self._moved()
        return batches

    async def take_ready(self) -> list[Batch]:
        """Return the next batches as `take` does, but an empty list instead of waiting."""
        batches = self._hot()
        while not batches and self.behind:
            head = self.track.head
            batches = await self._pages.read(self.track.key, self.cursor, head)
            if not batches:
                # What was committed up to there is in the store, and none of it is for us.
                self.cursor = max(self.cursor, head)
        if batches:
            if (first := self.first(batches[0])) > self.cursor + 1:
                self._missed = first - 1
            self.cursor = max(self.cursor, self.last(batches[-1]))
        return batches

    def peek(self) -> list[Batch]:
        """Return the next batches if they are at hand, without moving the cursor."""
        return self._hot()

    async def nudged(self) -> None:
        """Wait until somebody nudges, whatever moves meanwhile."""
        if not self._nudged:
            self._wait = asyncio.get_running_loop().create_future()
            try:
                await self._wait
            finally:
                self._wait = None
        self._nudged = False

    def nudge(self) -> None:
        """Make a `take` that has nothing to give return an empty list."""
        self._nudged = True
        if self._wait is not None and not self._wait.done():
            self._wait.set_result(None)

    def close(self) -> None:
        """Leave the log."""
        self._leave(self)

    def _hot(self) -> list[Batch]:
        hot, since, cursor = self.track.hot, self.track.since, self.cursor
        if not hot or since is None or self.track.head <= cursor or cursor < since:
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
    """A reader of a selection of logs; its cursor is a position."""

    __slots__ = ("_excused",)

    def __init__(
        self, pages: Pages, track: Track, cursor: int, leave: "Callable[[Follower], None]"
    ) -> None:
        super().__init__(pages, track, cursor, leave)
        self._excused = 0

    @property
    def floor(self) -> int:
        """The highest position whose removal this reader may have missed; 0 if it missed none."""
        floor = self._pages.floor
        return floor if floor > self._excused else 0

    @property
    def removed(self) -> int:
        """The highest position that is known to be removed."""
        return self._pages.floor

    def excuse(self, floor: int) -> None:
        """Note a removal: who has everything by now has lost nothing by it."""
        if not self.behind:
            self._excused = floor

    first = staticmethod(lambda batch: batch.first_position)
    last = staticmethod(lambda batch: batch.last_position)
