"""Logs in memory: the newest batches, shared by all followers, and who is woken when."""

import asyncio
from collections import deque
from collections.abc import Sequence
from time import perf_counter

from runcast.core.events import Batch, run_of
from runcast.runtime.follow import Follower, PositionFollower, Track
from runcast.runtime.pages import ALL, Pages
from runcast.stores import Store

HOT_BYTES = 4 * 1024 * 1024  # recent batches; their encodings add a few times as much
BATCH_OVERHEAD = 512  # what a batch takes in memory beside its body
MAX_PACE_S = 0.010  # batching pays up to here; beyond it only adds delay
PACE_FACTOR = 10  # a flush pass may take a tenth of the loop's time


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
        self._pages = Pages(store)
        self._moved: set[Track] = set()
        self._next_pass = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        store.listen(self._committed)

    async def open(self) -> None:
        """Learn where the store stands; call once, before anything follows."""
        positions = await self.store.positions()
        self._tracks[ALL].head = positions.head
        self._pages.floor = positions.floor

    def close(self) -> None:
        """Stop the flush timer; followers are let go by whoever owns them."""
        if self._timer is not None:
            self._timer.cancel()

    async def follow(self, log: str, after: int) -> Follower:
        """Follow one log from seq `after` on; raise NotFound if its run does not exist."""
        track = self._track(log)
        follower = Follower(self._pages, track, after, self._leave)
        track.followers.add(follower)
        try:
            head = await self.store.head(log)
        except BaseException:
            follower.close()
            raise
        track.head = max(track.head, head.last)
        track.sealed = track.sealed or head.sealed
        return follower

    def follow_all(self, after: int) -> Follower:
        """Follow every run's log from position `after` on."""
        track = self._tracks[ALL]
        follower = PositionFollower(self._pages, track, after, self._leave)
        track.followers.add(follower)
        return follower

    def seal(self, log: str) -> None:
        """Note that the log ended, and let its followers know at once."""
        if track := self._tracks.get(log):
            track.sealed = True
            self._moved.add(track)
        self.flush()

    def delete(self, log: str, floor: int) -> None:
        """Note that the log was removed and `floor` raised; let its followers know at once."""
        self._pages.forget(log, floor)
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

    def _leave(self, follower: Follower) -> None:
        track = follower.track
        track.followers.discard(follower)
        unused = not track.followers and not track.hot and track.name != ALL
        if unused and self._tracks.get(track.name) is track:
            del self._tracks[track.name]

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


def _weight(batch: Batch) -> int:
    return len(batch.body) + BATCH_OVERHEAD
