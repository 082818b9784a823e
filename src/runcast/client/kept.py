"""What is kept for one server: all of an outbox but the sending, the same for both clients."""

import time
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TypedDict, TypeVar
from uuid import uuid4

from runcast.client.delivery import Delivery
from runcast.client.drafts import Draft
from runcast.client.queue_file import OutboxError, QueueFile
from runcast.client.queue_folder import default_path
from runcast.client.queue_rows import Item, Request
from runcast.client.workspaces import AnyPath, Place
from runcast.core.limits import BODY_BYTES

MAX_ITEMS = 10_000
MAX_BYTES = 64 * 1024 * 1024

T = TypeVar("T")


class Bounds(TypedDict, total=False):
    """How much an outbox keeps at most: 10,000 items and 64 MiB unless said."""

    max_items: int
    max_bytes: int


class Kept:
    """Keeps drafts as items of a file, for the server at `base_url`, in the workspace `place`.

    `clock` gives the seconds since the epoch.
    """

    def __init__(
        self,
        base_url: str,
        place: Place | None,
        path: AnyPath | None,
        bounds: Bounds,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._base_url = base_url
        self._place = place
        self._clock = clock
        self._queue = QueueFile(
            default_path() if path is None else Path(path),
            bounds.get("max_items", MAX_ITEMS),
            bounds.get("max_bytes", MAX_BYTES),
        )

    def keep(self, draft: Draft[T]) -> T:
        """Put a draft last; it is on disk when this returns."""
        request = self._request(draft)
        if len(request.body) > BODY_BYTES:
            raise OutboxError(
                "body_too_large",
                f"{draft.kind}: {len(request.body)} bytes are more than a server takes at a time "
                f"({BODY_BYTES}); nothing was kept",
            )
        self._queue.keep(self._base_url, request, self._now())
        return draft.result

    def waiting(self) -> int:
        """Count what waits for the server."""
        return self._queue.waiting(self._base_url)[0]

    def items(self) -> list[Item]:
        """Return everything in the file, for whichever server, in order."""
        return self._queue.items(self._now())

    def drop(self, numbers: Collection[int]) -> int:
        """Remove items, and what was set aside because of them; return how many went."""
        return self._queue.drop(numbers)

    def drop_alone(self, numbers: Collection[int]) -> int:
        """Remove items and nothing else; return how many went."""
        return self._queue.drop_alone(numbers)

    def retry(self, numbers: Collection[int]) -> int:
        """Let items that were set aside wait again, under new keys; return how many do.

        What was set aside because of them comes along. If the answer of one got lost before it
        expired, it may be done twice: once under each key.
        """
        return self._queue.retry(numbers, self._now(), _new_key)

    def renew(self) -> Path | None:
        """Begin a new file in place of what is no whole outbox; return where that is now."""
        return self._queue.renew()

    def turn_to_send(self) -> AbstractContextManager[bool]:
        """Keep all others from sending until the block is left; False if another one sends."""
        return self._queue.turn_to_send()

    def delivery(self) -> Delivery:
        """Begin a pass over what waits."""
        return Delivery(self._queue, self._base_url, self._now)

    def _request(self, draft: Draft[T]) -> Request:
        place = self._place if draft.call.workspace else None
        call = draft.call if place is None else draft.call.within(place.id)
        return Request(
            kind=draft.kind,
            process=draft.process,
            method=call.method,
            path=call.path,
            headers=dict(call.headers),
            body=call.body,
            key=_new_key(),
            place=place,
        )

    def _now(self) -> int:
        return int(self._clock() * 1e6)


def _new_key() -> str:
    return str(uuid4())
