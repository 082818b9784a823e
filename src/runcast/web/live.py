"""Live: a stream whose client has everything is written to its socket when its log moves."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from runcast.core.events import Batch
from runcast.runtime.follow import Follower
from runcast.web.protocol import Direct, chunk

Encode = Callable[[Iterable[Batch], int], list[bytes]]


class Move(NamedTuple):
    """What a client gets who had everything up to some number: `framed`, and then up to `last`.

    `done` says that this is all there is for now, and that more may come.
    """

    framed: bytes
    last: int
    done: bool


class Live:
    """Writes new events for one client, in the pass that wakes all followers of the log.

    No task is woken, and clients who have come equally far get the same bytes, framed once. It
    is used for as long as nothing else is to be done: whatever is not simply more of the same
    (old events, an end, a heartbeat, a client that does not read) makes `run` return.
    """

    __slots__ = ("_direct", "_encode", "_follower", "_key", "_limit")

    def __init__(
        self, direct: Direct, follower: Follower, key: object | None, limit: int, encode: Encode
    ) -> None:
        """Encode with `encode`, which gives the same for the same `key`, if that is not None.

        What takes more than `limit` bytes is left to others.
        """
        self._direct = direct
        self._follower = follower
        self._key = key
        self._limit = limit
        self._encode = encode

    @property
    def possible(self) -> bool:
        """Whether `run` would write what comes next."""
        follower = self._follower
        return self._direct.ready and not (follower.behind or follower.at_end)

    async def run(self) -> None:
        """Write what comes until something else is to be done, or somebody nudges."""
        self._follower.on_move = self._moved
        try:
            await self._follower.nudged()
        finally:
            self._follower.on_move = None

    def _moved(self, _urgent: bool) -> None:
        # Called for every client at every move: each call that it makes is a good part of it all.
        follower = self._follower
        shared = follower.track.shared
        place = (self._key, follower.cursor)
        move = shared.get(place)
        if move is None:
            move = self._make(follower)
            if self._key is not None:
                shared[place] = move
        if not move.framed or follower.floor > follower.cursor or not self._direct.ready:
            follower.nudge()
            return
        self._direct.write(move.framed)
        follower.cursor = move.last
        if not move.done:
            follower.nudge()

    def _make(self, follower: Follower) -> Move:
        after, track = follower.cursor, follower.track
        batches = follower.peek()
        framed = chunk(b"".join(self._encode(batches, after)))
        if not batches or len(framed) > self._limit:
            return Move(b"", after, done=False)
        last = follower.last(batches[-1])
        return Move(framed, last, done=last >= track.head and not (track.sealed or track.deleted))
