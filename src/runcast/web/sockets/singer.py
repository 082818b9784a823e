"""Singing: a socket that has everything is written to together with all who want the same."""

from collections.abc import Sequence
from functools import partial

from runcast.core.events import Batch
from runcast.web.live import Chorus, Outlet, Part
from runcast.web.sockets.page import Packing, Slice, Written
from runcast.web.sockets.subscriptions import Subscription, Subscriptions
from runcast.web.sockets.voices import Voice
from runcast.web.sse import SEND_BYTES
from runcast.web.throttle import Throttle


class Singer:
    """A connection's place in a chorus, as long as it follows one thing and has all of it.

    While it is there nothing else may be read for it. Who is let go is read for at once.
    """

    def __init__(
        self,
        outlet: Outlet | None,
        subscriptions: Subscriptions,
        throttle: Throttle,
        written: Written,
    ) -> None:
        """Take the way to the socket; without one it never sings."""
        self._outlet = outlet
        self._subscriptions = subscriptions
        self._throttle = throttle
        self._written = written
        self._place: tuple[Chorus, Subscription] | None = None

    def join(self, packing: Packing) -> None:
        """Be written to together with others from now on, if that can be."""
        subscription = self._subscriptions.lone
        if self._outlet is None or subscription is None:
            return
        follower = subscription.follower
        chorus = Chorus.of(follower.track, self._part(subscription.voice, packing))
        if not chorus.takes(follower, self._outlet):
            return
        if not len(chorus):
            chorus.throttle.due = self._throttle.due
        self._place = (chorus, subscription)
        self._subscriptions.pause(subscription)
        chorus.join(follower, self._outlet, self._let_go)

    def leave(self) -> None:
        """Be read for alone again, no sooner than with the others; do nothing if it is so."""
        if self._place is not None:
            (chorus, subscription), self._place = self._place, None
            chorus.leave(subscription.follower)
            self._throttle.due = chorus.throttle.due
            self._subscriptions.go_on(subscription)

    def _let_go(self) -> None:
        if self._place is not None:
            (_, subscription), self._place = self._place, None
            subscription.advance()
            self._subscriptions.start(subscription)

    def _part(self, voice: Voice, packing: Packing) -> Part:
        interval_s = self._throttle.interval_s
        # Bound to no connection: a part may be sung on when the one that began it has gone.
        encode = partial(_encode, voice, packing, self._written)
        key = (Singer, type(packing), voice.key, interval_s)
        return Part(key, SEND_BYTES, encode, interval_s)


def _encode(
    voice: Voice, packing: Packing, written: Written, batches: Sequence[Batch], after: int
) -> bytes:
    return b"".join(packing.write([Slice(voice, list(batches), after)], written))
