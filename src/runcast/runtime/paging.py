"""Paging: a log read as JSON pages are, so many events at a time."""

import msgspec

from runcast.core.errors import Gone
from runcast.core.events import Event
from runcast.core.limits import PAGE_BYTES, READ_BYTES
from runcast.stores import Store


class Page(msgspec.Struct, frozen=True):
    """Some events of a log, the cursor after them, and whether the log has no more now."""

    events: list[Event]
    next_after: int
    at_end: bool


async def read_page(store: Store, log: str, after: int, limit: int) -> Page:
    """Read events after `after`: at most `limit` and about 1 MiB.

    Raises NotFound, or Gone `cursor_ahead` beyond the newest event.
    """
    head = await store.head(log)
    if after > head.last + head.sealed:
        raise Gone("cursor_ahead", f"the newest event is {head.last}", {"last": head.last})
    events: list[Event] = []
    size = 0
    while len(events) < limit and size < PAGE_BYTES:
        batches = await store.read(log, after, READ_BYTES)
        if not batches:
            break
        for batch in batches:
            events.extend(batch.events(after))
            size += len(batch.body)
        after = batches[-1].last_seq
    del events[limit:]
    after = events[-1].seq if events else min(after, head.last)
    return Page(events, after, after >= head.last)
