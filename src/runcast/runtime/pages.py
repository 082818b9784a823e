"""Pages: old events read back from the store, shared by the followers that ask for the same."""

import asyncio
from collections import OrderedDict

from runcast.core.events import Batch
from runcast.core.limits import READ_BYTES
from runcast.stores import Store

ALL = "*"  # all run logs together, read by position
COLD_BYTES = 2 * 1024 * 1024  # of pages that are kept for the next who asks


class Pages:
    """Pages read back from the store, shared by the followers that ask for the same one."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._kept: OrderedDict[tuple[str, int], list[Batch]] = OrderedDict()
        self._kept_bytes = 0
        self._reading: dict[tuple[str, int, int], asyncio.Task[list[Batch]]] = {}
        self.floor = 0  # the highest position that is known to have been removed

    async def read(self, log: str, after: int, head: int) -> list[Batch]:
        """Return the page that begins after this cursor. Cancelling is safe.

        `head` is where the caller believes the log to end: who knows of more does not share the
        read of one who knew of less.
        """
        if (page := self._kept.get((log, after))) is not None:
            self._kept.move_to_end((log, after))
            return page
        key = (log, after, head)
        task = self._reading.get(key)
        if task is None:
            task = self._reading[key] = asyncio.create_task(self._load(key))
            task.add_done_callback(_retrieve)
        return await asyncio.shield(task)

    def forget(self, log: str, floor: int) -> None:
        """Drop the pages that may hold events of a log that was removed."""
        self.floor = max(self.floor, floor)
        for key in [key for key in self._kept if key[0] in (log, ALL)]:
            self._kept_bytes -= _size(self._kept.pop(key))

    async def _load(self, key: tuple[str, int, int]) -> list[Batch]:
        log, after, _ = key
        try:
            if log == ALL:
                page = await self._store.read_all(after, READ_BYTES)
                # Asked after the page was read: it knows of every removal that the page shows.
                self.floor = max(self.floor, (await self._store.positions()).floor)
            else:
                page = await self._store.read(log, after, READ_BYTES)
        finally:
            del self._reading[key]
        # A short page may be the log's end, which moves; only a full one stays as it is.
        if _size(page) >= READ_BYTES:
            self._keep((log, after), page)
        return page

    def _keep(self, key: tuple[str, int], page: list[Batch]) -> None:
        self._kept[key] = page
        self._kept_bytes += _size(page)
        while self._kept_bytes > COLD_BYTES:
            self._kept_bytes -= _size(self._kept.popitem(last=False)[1])


def _size(page: list[Batch]) -> int:
    return sum(len(batch.body) for batch in page)


def _retrieve(task: asyncio.Task[list[Batch]]) -> None:
    """Take the exception even if every follower that wanted the page has left."""
    if not task.cancelled():
        task.exception()
