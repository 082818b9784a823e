"""Logs in memory: the newest batches, shared by all followers, and the one loop that follows."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from time import perf_counter

from runcast.core.events import Batch, run_of
from runcast.core.limits import READ_BYTES
from runcast.stores import Store

ALL = "*"  # the track of all run logs together, followed by position
HOT_BYTES = 4 * 1024 * 1024  # recent batches; their encodings add a few times as much
BATCH_OVERHEAD = 512  # what a batch takes in memory beside its body
COLD_BYTES = 2 * 1024 * 1024  # pages read back for late followers
MAX_PACE_S = 0.010  # batching pays up to here; beyond it only adds delay
PACE_FACTOR = 10  # a flush pass may take a tenth of the loop's time


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


class Logs:
    """Shares what is committed with everybody who follows.

    A follower pulls: what is recent comes from memory, what is older from the store, by the same
    loop. Nothing is kept per follower but its cursor, so a slow one costs nothing.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.events_committed = 0
        self.bytes_committed = 0
        self._tracks: dict[str, Track] = {ALL: Track(ALL)}
        self._recent: deque[Batch] = deque()
        self._recent_bytes = 0
        self.pages = Pages(store)
        self._moved: set[Track] = set()
        self._next_pass = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        store.listen(self._committed)

    async def open(self) -> None:
        """Learn where the store stands; call once, before anything follows."""
        self._tracks[ALL].head = (await self.store.positions()).head

    def close(self) -> None:
        """Stop the flush timer; followers are let go by whoever owns them."""
        if self._timer is not None:
            self._timer.cancel()

    async def follow(self, log: str, after: int) -> "Follower":
        """Follow one log from seq `after` on; raise NotFound if its run does not exist."""
        track = self._track(log)
        follower = Follower(self, track, after)
        track.followers.add(follower)
        try:
            head = await self.store.head(log)
        except BaseException:
            follower.close()
            raise
        track.head = max(track.head, head.last)
        track.sealed = track.sealed or head.sealed
        return follower

    def follow_all(self, after: int) -> "Follower":
        """Follow every run's log from position `after` on."""
        track = self._tracks[ALL]
        follower = PositionFollower(self, track, after)
        track.followers.add(follower)
        return follower

    def head_position(self) -> int:
        """The position of the newest event of any run."""
        return self._tracks[ALL].head

    def seal(self, log: str) -> None:
        """Note that the log ended, and let its followers know at once."""
        if track := self._tracks.get(log):
            track.sealed = True
            self._moved.add(track)
        self.flush()

    def delete(self, log: str) -> None:
        """Note that the log was removed, and let its followers know at once."""
        if track := self._tracks.pop(log, None):
            track.deleted = True
            track.hot.clear()
            track.wake()
        every = self._tracks[ALL]
        every.hot = deque(batch for batch in every.hot if batch.log != log)

    def nudge_all(self) -> None:
        """Make every waiting `take` return, for instance because the server drains."""
        for track in self._tracks.values():
            for follower in track.followers:
                follower.nudge()

    def flush(self) -> None:
        """Wake the followers of what moved now, instead of at the next pass."""
        if self._timer is not None:
            self._timer.cancel()
        self._pass()

    def _track(self, log: str) -> Track:
        track = self._tracks.get(log)
        if track is None:
            track = self._tracks[log] = Track(log)
        return track

    def leave(self, follower: "Follower") -> None:
        """Forget a follower, and a log that nobody follows and that has nothing recent."""
        track = follower.track
        track.followers.discard(follower)
        if not track.followers and not track.hot and track.name != ALL:
            self._tracks.pop(track.name, None)

    def _committed(self, batches: Sequence[Batch]) -> None:
        every = self._tracks[ALL]
        for batch in batches:
            track = self._track(batch.log)
            track.hot.append(batch)
            track.head = batch.last_seq
            self._moved.add(track)
            self._recent.append(batch)
            self._recent_bytes += _weight(batch)
            self.events_committed += batch.count
            self.bytes_committed += len(batch.body)
            if run_of(batch.log) is not None:
                every.hot.append(batch)
                every.head = batch.last_position
                self._moved.add(every)
        while self._recent_bytes > HOT_BYTES:
            self._forget_oldest()
        self._schedule()

    def _forget_oldest(self) -> None:
        batch = self._recent.popleft()
        self._recent_bytes -= _weight(batch)
        for name in (batch.log, ALL):
            track = self._tracks.get(name)
            if track is None or not track.hot or track.hot[0] is not batch:
                continue
            track.hot.popleft()
            if not track.hot and not track.followers and name != ALL:
                del self._tracks[name]

    def _schedule(self) -> None:
        if self._timer is None:
            pause = self._next_pass - perf_counter()
            self._timer = self._loop.call_later(max(pause, 0), self._pass)

    def _pass(self) -> None:
        self._timer = None
        moved, self._moved = self._moved, set()
        begun = perf_counter()  # the loop's own clock counts in whole ms
        for track in moved:
            track.wake()
        # Callbacks run in the order they were scheduled: this one after all the woken.
        self._loop.call_soon(self._passed, begun)

    def _passed(self, begun: float) -> None:
        now = perf_counter()
        self._next_pass = now + min(MAX_PACE_S, PACE_FACTOR * (now - begun))


class Pages:
    """Pages read back from the store, shared by the followers that ask for the same one."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._kept: OrderedDict[tuple[str, int], list[Batch]] = OrderedDict()
        self._kept_bytes = 0
        self._reading: dict[tuple[str, int], asyncio.Task[list[Batch]]] = {}

    async def read(self, log: str, after: int) -> list[Batch]:
        """Return the page that begins after this cursor. Cancelling is safe."""
        key = (log, after)
        if (page := self._kept.get(key)) is not None:
            self._kept.move_to_end(key)
            return page
        task = self._reading.get(key)
        if task is None:
            task = self._reading[key] = asyncio.create_task(self._load(log, after))
            task.add_done_callback(_retrieve)
        return await asyncio.shield(task)

    async def _load(self, log: str, after: int) -> list[Batch]:
        try:
            if log == ALL:
                page = await self._store.read_all(after, READ_BYTES)
            else:
                page = await self._store.read(log, after, READ_BYTES)
        finally:
            del self._reading[log, after]
        # A short page may be the log's end, which moves; only a full one stays as it is.
        if _size(page) >= READ_BYTES:
            self._keep((log, after), page)
        return page

    def _keep(self, key: tuple[str, int], page: list[Batch]) -> None:
        self._kept[key] = page
        self._kept_bytes += _size(page)
        while self._kept_bytes > COLD_BYTES:
            self._kept_bytes -= _size(self._kept.popitem(last=False)[1])


def _weight(batch: Batch) -> int:
    return len(batch.body) + BATCH_OVERHEAD


def _size(page: list[Batch]) -> int:
    return sum(len(batch.body) for batch in page)


def _retrieve(task: asyncio.Task[list[Batch]]) -> None:
    """Take the exception even if every follower that wanted the page has left."""
    if not task.cancelled():
        task.exception()


class Follower:
    """One reader's place in a log; `cursor` says how far it has everything.

    Close it when done: `close()`.
    """

    __slots__ = ("_logs", "_wait", "cursor", "track")

    def __init__(self, logs: Logs, track: Track, cursor: int) -> None:
        self._logs = logs
        self.track = track
        self.cursor = cursor
        self._wait: asyncio.Future[None] | None = None

    # How a batch is numbered on this track.
    first: Callable[[Batch], int] = staticmethod(lambda batch: batch.first_seq)
    last: Callable[[Batch], int] = staticmethod(lambda batch: batch.last_seq)

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
            if self.at_end:
                return []
            head = self.track.head
            if head > self.cursor:
                batches = await self._logs.pages.read(self.track.name, self.cursor)
                if batches:
                    break
                if self.track.head != head:
                    continue  # committed while we read: its wake-up is already gone
            if not await self._moved():
                return []
        self.cursor = max(self.cursor, self.last(batches[-1]))
        return batches

    def nudge(self) -> None:
        """Make a waiting `take` return an empty list."""
        if self._wait is not None and not self._wait.done():
            self._wait.set_result(None)
            self._wait = None

    @property
    def idle(self) -> bool:
        """Whether a `take` is waiting for something new."""
        return self._wait is not None

    def close(self) -> None:
        """Leave the log."""
        self._logs.leave(self)

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

    async def _moved(self) -> bool:
        """Wait until the track moves; False if `nudge` ended the wait."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._wait = future
        self.track.waiting.append(future)
        try:
            await future
            return self._wait is future
        finally:
            if self._wait is None or future.cancelled():
                self._forget(future)
            self._wait = None

    def _forget(self, future: asyncio.Future[None]) -> None:
        if future in self.track.waiting:
            self.track.waiting.remove(future)


class PositionFollower(Follower):
    """A reader of all run logs; its cursor is a position."""

    __slots__ = ()

    first = staticmethod(lambda batch: batch.first_position)
    last = staticmethod(lambda batch: batch.last_position)
