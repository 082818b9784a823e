"""Logs in memory: the newest batches, shared by all followers, and who is woken when."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter

from msgspec.structs import astuple

from runcast.core.events import Batch
from runcast.runtime.follow import Follower, PositionFollower, Track
from runcast.runtime.pages import Key, Pages
from runcast.stores import ALL_RUNS, Selection, Store

HOT_BYTES = 4 * 1024 * 1024  # recent batches; their encodings add a few times as much
BATCH_OVERHEAD = 512  # what a batch takes in memory beside its body
MAX_PACE_S = 0.012  # batching pays up to here; beyond it only adds delay
PACE_FACTOR = 16  # a flush pass takes about a sixteenth of the loop's time
LEAD = 0.2  # of a pace before its end, what runs say is read; the pass comes as soon as it is there

logger = logging.getLogger(__name__)


class Logs:
    """Shares what is committed with everybody who follows.

    A follower pulls: what is recent comes from memory, what is older from the store, by the same
    loop. Nothing is kept per follower but its cursor, so a slow one costs nothing.

    Whoever produces only what is followed sets `on_interest`: it is called on the loop with a log's
    name, or a selection, and 1 for each follower that joins it, -1 for each that leaves.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.events_committed = 0
        self.bytes_committed = 0
        self.on_interest: Callable[[Key, int], None] | None = None
        self._head = 0  # the newest position of all
        self._tracks: dict[Key, Track] = {}
        self._selected: dict[Key, Track] = {}  # those of selections: often none
        self._recent: deque[Batch] = deque()
        self._recent_bytes = 0
        self._pages = Pages(store, self._excuse)
        self._moved: set[Track] = set()
        self._early = 0.0  # from here on a pass may be, and
        self._next_pass = 0.0  # here it is, if something waits for it
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        store.listen(self._committed)

    async def open(self) -> None:
        """Learn where the store stands; call once, before anything follows."""
        positions = await self.store.positions()
        self._head = max(self._head, positions.head)
        self._pages.floor = positions.floor

    def close(self) -> None:
        """Stop the flush timer; followers are let go by whoever owns them."""
        if self._timer is not None:
            self._timer.cancel()

    async def follow(self, log: str, after: int) -> Follower:
        """Follow one log from seq `after` on; raise NotFound if its run does not exist."""
        track = self._tracks.get(log) or self._add(Track(log))
        follower = Follower(self._pages, track, after, self._leave)
        self._join(follower)
        try:
            head = await self.store.head(log)
        except BaseException:
            follower.close()
            raise
        track.head = max(track.head, head.last)
        track.sealed = track.sealed or head.sealed
        return follower

    def follow_where(self, selection: Selection, after: int) -> PositionFollower:
        """Follow a selection of logs from position `after` on, whatever joins it later.

        It may name one thing: a task, a workspace, a run, a log, or nothing for all runs.
        """
        assert sum(field is not None for field in astuple(selection)) <= 1, selection
        track = self._selected.get(selection)
        if track is None:
            track = self._selected[selection] = Track(selection, self._head)
        follower = PositionFollower(self._pages, track, after, self._leave)
        self._join(follower)
        return follower

    @contextmanager
    def interested(self, selection: Selection | None) -> Iterator[None]:
        """Count as one who follows a selection, without reading it; None is no selection."""
        note = None if selection is None else self.on_interest
        if note is None or selection is None:
            yield
            return
        note(selection, 1)
        try:
            yield
        finally:
            note(selection, -1)

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
        for track in self._selected.values():
            if any(one.log == log for one in track.hot):
                track.hot = deque(batch for batch in track.hot if batch.log != log)

    def _excuse(self, floor: int) -> None:
        for track in self._selected.values():
            for follower in track.followers:
                if isinstance(follower, PositionFollower):
                    follower.excuse(floor)

    def nudge_all(self) -> None:
        """Make every waiting `take` return, for instance because the server drains."""
        for track in (*self._tracks.values(), *self._selected.values()):
            for follower in track.followers:
                follower.nudge()

    def flush(self) -> None:
        """Wake the followers of what moved now, instead of at the next pass."""
        if self._timer is not None:
            self._timer.cancel()
        self._pass()

    def hold(self) -> float:
        """Return for how many seconds what is read would only wait for the next pass."""
        return self._early - perf_counter()

    def _add(self, track: Track) -> Track:
        self._tracks[track.key] = track
        return track

    def _join(self, follower: Follower) -> None:
        follower.track.followers.add(follower)
        if self.on_interest is not None:
            self.on_interest(follower.track.key, 1)

    def _leave(self, follower: Follower) -> None:
        track = follower.track
        if follower not in track.followers:
            return
        track.followers.discard(follower)
        if not track.followers:
            self._drop_unused(track)
        if self.on_interest is not None:
            self.on_interest(track.key, -1)

    def _drop_unused(self, track: Track) -> None:
        """Let go of what nobody follows: a selection at once, a log once it has nothing hot."""
        if self._selected.get(track.key) is track:
            del self._selected[track.key]
        elif not track.hot and self._tracks.get(track.key) is track:
            del self._tracks[track.key]

    def _selections(self, batch: Batch) -> Iterator[Track]:
        """Yield the followed selections that a batch belongs to."""
        for selection in _selections_of(batch) if self._selected else ():
            if (track := self._selected.get(selection)) is not None:
                yield track

    def _committed(self, batches: Sequence[Batch]) -> None:
        for batch in batches:
            own = self._tracks.get(batch.log) or self._add(Track(batch.log))
            own.add(batch, batch.first_seq, batch.last_seq)
            self._moved.add(own)
            for track in self._selections(batch):
                track.add(batch, batch.first_position, batch.last_position)
                self._moved.add(track)
            self._head = batch.last_position
            self._recent.append(batch)
            self._recent_bytes += _weight(batch)
            self.events_committed += batch.count
            self.bytes_committed += len(batch.body)
        while self._recent_bytes > HOT_BYTES:
            self._forget_oldest()
        self._schedule()

    def _forget_oldest(self) -> None:
        batch = self._recent.popleft()
        self._recent_bytes -= _weight(batch)
        for track in self._selections(batch):
            if track.hot and track.hot[0] is batch:
                track.drop_oldest(batch.last_position)
        own = self._tracks.get(batch.log)
        if own is not None and own.hot and own.hot[0] is batch:
            own.drop_oldest(batch.last_seq)
            if not own.followers:
                self._drop_unused(own)

    def _schedule(self) -> None:
        if self._timer is None:
            now = perf_counter()
            if now >= self._early:
                self._pass()
            else:
                self._timer = self._loop.call_later(self._next_pass - now, self._pass)

    def _pass(self) -> None:
        self._timer = None
        moved, self._moved = self._moved, set()
        begun = perf_counter()  # the loop's own clock counts in whole ms
        self._rest(begun, MAX_PACE_S)  # at most; how long this one takes is not known yet
        for track in moved:
            try:
                track.wake()
            except Exception:
                logger.exception("logs: a follower of %s failed", track.key)
        # Callbacks run in the order they were scheduled: this one after all the woken.
        self._loop.call_soon(self._passed, begun)

    def _passed(self, begun: float) -> None:
        now = perf_counter()
        self._rest(now, min(MAX_PACE_S, PACE_FACTOR * (now - begun)))
        if self._timer is not None:  # set while only the most was known
            self._timer.cancel()
            self._timer = None
            self._schedule()

    def _rest(self, now: float, pace: float) -> None:
        self._next_pass = now + pace
        self._early = self._next_pass - LEAD * pace


def _selections_of(batch: Batch) -> tuple[Selection, ...]:
    ref = batch.ref
    if ref is None:
        return (Selection(log=batch.log),)
    return (
        ALL_RUNS,
        Selection(run_id=ref.id),
        Selection(task_id=ref.task_id),
        Selection(workspace_id=ref.workspace_id),
    )


def _weight(batch: Batch) -> int:
    return len(batch.body) + BATCH_OVERHEAD
