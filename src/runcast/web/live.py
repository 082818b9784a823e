"""Live: streams whose clients have everything are written to together when their log moves."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import NamedTuple

from runcast.core.events import Batch
from runcast.runtime.follow import Follower, PositionFollower, Track
from runcast.web.protocol import Direct, chunk

Encode = Callable[[Iterable[Batch], int], list[bytes]]


class Voice(NamedTuple):
    """How a stream encodes: what has the same `key`, if it is not None, encodes alike.

    What takes more than `limit` bytes is for each stream to send at its client's pace.
    """

    key: object | None
    limit: int
    encode: Encode


class Chorus:
    """The clients of one track who have everything, and are told it in the same bytes.

    When the track moves, those bytes are framed once and written to all of them: no task is
    woken, and what a client costs is the write. Whatever is not simply more of the same (old
    events, an end, a client that does not read) is for its own stream to see to: that is nudged.
    """

    def __init__(self, track: Track, voice: Voice) -> None:
        self._track = track
        self._voice = voice
        self._place = voice.key or object()
        self._cursor = 0  # of all members
        self._members: dict[Follower, Callable[[bytes], None]] = {}

    @classmethod
    def of(cls, track: Track, voice: Voice) -> "Chorus":
        """Return the chorus in which this voice sings, or a new one."""
        found = None if voice.key is None else track.listeners.get(voice.key)
        return found if isinstance(found, cls) else cls(track, voice)

    def takes(self, follower: Follower, direct: Direct) -> bool:
        """Tell whether a client can join: it has everything, as all others have, and reads."""
        if follower.behind or follower.at_end or not direct.ready:
            return False
        return not self._members or follower.cursor == self._cursor

    async def sing(self, follower: Follower, direct: Direct) -> None:
        """Write to a client what comes, until its stream has to see to something itself."""
        self._cursor = follower.cursor
        self._members[follower] = direct.write
        self._track.listeners[self._place] = self
        direct.when_held(partial(self._let_go, [follower]))
        try:
            await follower.nudged()
        finally:
            direct.when_held(None)
            self._leave(follower)

    def moved(self) -> None:
        """Write what is new to all who read on, and let go of the others."""
        first = next(iter(self._members))
        after, batches = self._cursor, first.peek()
        framed = chunk(b"".join(self._voice.encode(batches, after)))
        if not batches or len(framed) > self._voice.limit:
            self._let_go(list(self._members))
            return
        if isinstance(first, PositionFollower):
            # Something may have been removed that its client is to be told of.
            self._let_go([one for one in self._members if one.floor > after])
        self._cursor = last = first.last(batches[-1])
        # A write may tell that its client is held up, who is let go of then.
        for follower, write in list(self._members.items()):
            write(framed)
            follower.cursor = last
        track = self._track
        if last < track.head or track.sealed or track.deleted:
            self._let_go(list(self._members))

    def _let_go(self, followers: Iterable[Follower]) -> None:
        for follower in followers:
            self._leave(follower)
            follower.nudge()

    def _leave(self, follower: Follower) -> None:
        if self._members.pop(follower, None) is not None and not self._members:
            del self._track.listeners[self._place]
