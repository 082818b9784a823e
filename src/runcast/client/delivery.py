"""What an outbox sends next, and what the answer means for it: the same for both clients."""

from collections.abc import Callable
from typing import Any

import msgspec

from runcast.client import calls
from runcast.client.call import Call
from runcast.client.errors import ApiError
from runcast.client.queue_file import QueueFile
from runcast.client.queue_rows import Item, Request

# How the answer to each kind is read: what does not read as one is not from runcast.
_READS: dict[str, Callable[[bytes, int], object]] = {
    "submit": calls.submit("").read,
    "update": calls.update("").read,
    "remove": calls.remove("").read,
    "output": calls.emit_output("", "").read,
    "message": calls.post_message("").read,
}

# Whose fault is the client's settings or the moment, but not the item's: it may be taken later.
_NOT_THE_ITEMS_FAULT = frozenset({401, 403, 407, 408, 425, 429})


class Delivery:
    """One pass over what waited at its beginning, in order, one request at a time.

    `next` gives the call to make, and `arrived` or `refused` is told how it went, until there is
    none. All of them read and write the file: in a coroutine they are for a thread. A call that
    got no answer stays first and is made again, the same under the same key, in the next pass.
    `registered` holds the workspaces that the server has been told of; a pass that breaks off
    leaves it empty, since the server that comes back may be another.
    """

    def __init__(
        self, queue: QueueFile, server: str, now: Callable[[], int], registered: set[str]
    ) -> None:
        self._queue = queue
        self._server = server
        self._now = now
        self._registered = registered
        self._known = set(registered)
        registered.clear()
        self._last: int | None = None
        self._sending: Item | None = None
        self._registering = ""
        self.sent = 0

    def next(self) -> Call[Any] | None:
        """Return what is to be asked of the server, None once all is done.

        Raises OutboxDamaged before anything is sent of a file that is not whole.
        """
        if self._last is None:
            self._queue.check()
            _, self._last = self._queue.waiting(self._server)
        found = self._queue.first(self._server, self._last, self._now())
        if found is None:
            self._registered |= self._known
            return None
        item, request = found
        if request.place is not None and request.place.id not in self._known:
            self._sending = None
            self._registering = request.place.id
            return request.place.registration()
        self._sending = item
        return _call(request)

    def arrived(self) -> None:
        """Take note that the last call was answered well."""
        if self._sending is None:
            self._known.add(self._registering)
            return
        self._queue.forget(self._sending)
        self.sent += 1

    def refused(self, error: ApiError) -> None:
        """Set aside what the server will never take; raise the error if it may take it later."""
        if not is_final(error):
            raise error
        if self._sending is None or (self._sending.kind == "remove" and error.status == 404):
            # Without its workspace an item is refused, too, and it is for it to say why.
            self.arrived()
        else:
            self._queue.refuse(self._sending.number, f"{error.message} ({error.code})")


def is_final(error: ApiError) -> bool:
    """Whether a runcast server refuses this very request, now and always."""
    # What has no code of runcast's was said by something in between, which will not stay there.
    said_by_runcast = not error.code.startswith("http_") and error.code != "not_runcast"
    return said_by_runcast and error.status < 500 and error.status not in _NOT_THE_ITEMS_FAULT


def _call(request: Request) -> Call[Any]:
    call: Call[Any] = Call(
        method=request.method,
        path=request.path,
        read=_READS[request.kind],
        json=msgspec.Raw(request.body) if request.body else None,
        headers=request.headers,
    )
    return call.under(request.key)
