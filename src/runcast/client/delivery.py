"""What an outbox sends next, and what the answer means for it: the same for both clients."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import msgspec

from runcast.client import calls, types
from runcast.client.call import Answer, Call, nothing, one, whole
from runcast.client.errors import ApiError
from runcast.client.queue_file import QueueFile
from runcast.client.queue_rows import Item, Request
from runcast.client.workspaces import UNKNOWN, Place

# How the answer to each kind is read: what does not read as one is not from runcast.
_READS: dict[str, Callable[[Answer], object]] = {
    "submit": whole(types.Process),
    "update": whole(types.Process),
    "remove": nothing,
    "output": one("seq", int),
    "message": whole(types.Posted),
}

# Whose fault is the client's settings, but not the item's.
_NOT_LET_IN = frozenset({401, 403, 407})


class _Step(NamedTuple):
    """A call, and what becomes of its result, or of an error that is final."""

    call: Call[Any]
    arrived: Callable[[Any], None]
    refused: Callable[[ApiError], None]


class Delivery:
    """One pass over what waited at its beginning, in order, one request at a time.

    `next` gives the call to make, and `arrived` or `refused` is told how it went, until there is
    none; `end` is called however that ends. All but `arrived` read and write the file: in a
    coroutine they are for a thread. A call that got no answer stays first and is made again, the
    same under the same key, in the next pass.

    A pass begins with a look at the server's workspaces. Those that it lacks are added, also after
    it has lost them; and while nobody answers, no item counts as tried.
    """

    def __init__(self, queue: QueueFile, server: str, now: Callable[[], int]) -> None:
        self._queue = queue
        self._server = server
        self._now = now
        self._last: int | None = None
        self._known: set[str] | None = None
        self._looked_again = False
        self._step: _Step | None = None
        self._sending: tuple[Item, Request] | None = None
        self._delivered: Item | None = None
        self.sent = 0

    def next(self) -> Call[Any] | None:
        """Return what is to be asked of the server, None once all is done.

        Raises OutboxDamaged before anything is sent of a file that is not whole.
        """
        if self._last is None:
            self._queue.check()
            _, self._last = self._queue.waiting(self._server)
        self._step = self._next(self._last) if self._last else None
        return None if self._step is None else self._step.call

    def arrived(self, result: object) -> None:
        """Take note of the result of the last call."""
        assert self._step is not None
        self._step.arrived(result)

    def refused(self, error: ApiError) -> None:
        """Set aside what the server will never take; raise the error if it may take it later."""
        assert self._step is not None
        if error.retryable or error.status in _NOT_LET_IN:
            raise error
        self._step.refused(error)

    def end(self) -> None:
        """Note what has arrived last."""
        delivered, self._delivered = self._delivered, None
        if delivered is not None:
            self._queue.forget(delivered)
            self.sent += 1

    def _next(self, last: int) -> _Step | None:
        if self._known is None:
            return _Step(calls.workspaces(), self._saw, _raise)
        if self._sending is None:
            self._take(last)
        if self._sending is None:
            return None
        item, request = self._sending
        if (place := request.place) is not None and place.id not in self._known:
            # Without its workspace an item is refused, too, and it is for it to say why.
            add = partial(self._add, place)
            return _Step(place.registration(), add, add)
        return _Step(_call(request), partial(self._done, item), partial(self._refused, item))

    def _take(self, last: int) -> None:
        delivered, self._delivered = self._delivered, None
        self._sending = self._queue.take(self._server, last, self._now(), delivered)
        self._looked_again = False
        self.sent += delivered is not None

    def _saw(self, workspaces: list[types.Workspace]) -> None:
        self._known = {workspace.id for workspace in workspaces}

    def _add(self, place: Place, _answer: object) -> None:
        assert self._known is not None
        self._known.add(place.id)

    def _done(self, item: Item, _result: object) -> None:
        self._delivered, self._sending = item, None

    def _refused(self, item: Item, error: ApiError) -> None:
        said = f"{error.message} ({error.code})"
        if error.code == UNKNOWN and not self._looked_again:
            # The server has lost its data since the look at it: the same item comes once more.
            self._known, self._looked_again = None, True
        elif error.code != "not_found":
            self._queue.refuse(item, said)
            self._sending = None
        elif item.kind == "remove":
            self._done(item, None)
        else:
            self._queue.refuse_unknown(item, said)
            self._sending = None


def _raise(error: ApiError) -> None:
    raise error


def _call(request: Request) -> Call[Any]:
    call: Call[Any] = Call(
        method=request.method,
        path=request.path,
        read=_READS[request.kind],
        json=msgspec.Raw(request.body) if request.body else None,
        headers=request.headers,
    )
    return call.under(request.key)
