"""Live: clients who have everything are written to together when their log moves."""

import logging
from collections.abc import Callable, Iterable
from functools import partial
from typing import NamedTuple, Protocol

from runcast.core.events import Batch
from runcast.runtime.follow import Follower, Track
from runcast.web.throttle import Throttle

logger = logging.getLogger(__name__)


class Outlet(Protocol):
    """Where the bytes of one client can be written straight to its socket."""

    @property
    def ready(self) -> bool:
        """Whether what is written would go out at once, between two whole frames."""

    @property
    def write(self) -> Callable[[bytes], None]:
        """What writes framed bytes; to be called only while `ready`."""

    def when_held(self, held: Callable[[], None] | None) -> None:
        """Call `held` as soon as this is no longer `ready`; None: call nobody."""


class Part(NamedTuple):
    """What is sung: `encode` frames the events of batches behind a number.

    What has the same `key`, if it is not None, encodes alike. What takes more than `limit` bytes is
    for each client to be sent at its own pace. Between two reads lies `interval_s`, but what is
    urgent is read at once.
    """

    key: object | None
    limit: int
    encode: Callable[[list[Batch], int], bytes]
    interval_s: float = 0.0


class _Seat(NamedTuple):
    outlet: Outlet
    released: Callable[[], None]


class Chorus:
    """The clients of one track who have everything, and are told what comes in the same bytes.

    When the track moves, those bytes are framed once and written to all of them: no task is
    woken, and what a client costs is the write. Whatever is not simply more of the same (old
    events, an end, a client that does not read) is for each to see to by itself: it is let go.
    Who joins is read for when the others are, so its first read may come early.
    """

    def __init__(self, track: Track, part: Part) -> None:
        self.throttle = Throttle(self._ring, part.interval_s)
        self._track = track
        self._part = part
        self._place = object() if part.key is None else part.key
        self._members: dict[Follower, Callable[[bytes], None]] = {}  # what writes to each
        self._seats: dict[Follower, _Seat] = {}
        self._removed = 0  # who missed a removal up to here was let go

    @classmethod
    def of(cls, track: Track, part: Part) -> "Chorus":
        """Return the chorus that sings this part, or a new one."""
        found = None if part.key is None else track.listeners.get(part.key)
        return found if isinstance(found, cls) else cls(track, part)

    def __len__(self) -> int:
        """Count the members."""
        return len(self._members)

    def takes(self, follower: Follower, outlet: Outlet) -> bool:
        """Tell whether a client can join: it has everything, was told of any loss, and reads."""
        if follower.behind or follower.at_end:
            return False
        return follower.floor <= follower.cursor and outlet.ready

    def join(self, follower: Follower, outlet: Outlet, released: Callable[[], None]) -> None:
        """Write to a client what comes, and move its cursor, until it leaves or is let go.

        `released` is called in the latter case: it is no member any more then.
        """
        self._members[follower] = outlet.write
        self._seats[follower] = _Seat(outlet, released)
        self._track.listeners[self._place] = self
        outlet.when_held(partial(self._release, follower))

    def leave(self, follower: Follower) -> None:
        """Write nothing more to a client; do nothing if it is no member."""
        if self._members.pop(follower, None) is None:
            return
        self._seats.pop(follower).outlet.when_held(None)
        if not self._members:
            self.throttle.stop()
            del self._track.listeners[self._place]

    async def sing(self, follower: Follower) -> None:
        """Wait until somebody nudges a member's follower, then let it leave."""
        try:
            await follower.nudged()
        finally:
            self.leave(follower)

    def moved(self, urgent: bool) -> None:
        """Read what is new as soon as it is time to."""
        if self._part.interval_s:
            self.throttle.wake(urgent)
        else:
            self._read()

    def _ring(self) -> None:
        self.throttle.begin()
        if not self._read():
            self.throttle.forgive()

    def _read(self) -> bool:
        """Write what is new to all who read on, let go of the others; tell if it was anything."""
        self._heed_removals()
        track = self._track
        after, last, spoke = -1, -1, False
        framed: bytes | None = None
        for follower, write in list(self._members.items()):
            # Who joined since the last read may be ahead of the others.
            if follower.cursor != after:
                after = follower.cursor
                last = max(after, track.head)
                framed = self._next(follower)
                spoke = spoke or bool(framed)
            if framed is None:
                self._release(follower)
                continue
            follower.cursor = last
            try:
                # This may tell that the client is held up, who is let go of then.
                write(framed)
            except Exception:
                logger.exception("live: a client cannot be written to")
                self._release(follower)
        if track.sealed or track.deleted:
            self._let_go(list(self._members))
        return spoke

    def _next(self, follower: Follower) -> bytes | None:
        """Frame all that is new to a member; None if that is for itself to read."""
        if not follower.behind:
            return b""
        batches = follower.peek()
        if not batches or follower.last(batches[-1]) < self._track.head:
            return None
        framed = self._part.encode(batches, follower.cursor)
        return framed if len(framed) <= self._part.limit else None

    def _heed_removals(self) -> None:
        """Let go of all from before whose next event something was removed: they are told of it."""
        first = next(iter(self._members), None)
        if first is not None and first.removed != self._removed:
            self._removed = first.removed
            self._let_go([one for one in self._members if one.floor > one.cursor])

    def _let_go(self, followers: Iterable[Follower]) -> None:
        for follower in followers:
            self._release(follower)

    def _release(self, follower: Follower) -> None:
        if (seat := self._seats.get(follower)) is not None:
            self.leave(follower)
            seat.released()
