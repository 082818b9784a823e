"""Pages: old events read back from the store, shared by the followers that ask for the same."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable

from runcast.core.events import Batch
from runcast.core.limits import READ_BYTES
from runcast.stores import Selection, Store

Key = str | Selection  # a log by its name, by seq; or a selection of logs, by position

COLD_BYTES = 2 * 1024 * 1024  # of pages that are kept for the next who asks


class Pages:
    """Pages read back from the store, shared by the followers that ask for the same one."""

    def __init__(self, store: Store, raised: Callable[[int], None] = lambda _: None) -> None:
        """Make it empty; `raised` is called with the floor each time that it rises."""
        self._store = store
        self._raised = raised
        self._kept: OrderedDict[tuple[Key, int], list[Batch]] = OrderedDict()
        self._kept_bytes = 0
        self._reading: dict[tuple[Key, int, int], asyncio.Task[list[Batch]]] = {}
        self.floor = 0  # the highest position that is known to have been removed

    async def read(self, of: Key, after: int, head: int) -> list[Batch]:
        """Return the page of a log, or of a selection, that begins after this cursor.

        `head` is where the caller believes the log to end: who knows of more does not share the
        read of one who knew of less. Cancelling is safe.
        """
        if (page := self._kept.get((of, after))) is not None:
            self._kept.move_to_end((of, after))
            return page
        key = (of, after, head)
        task = self._reading.get(key)
        if task is None:
            task = self._reading[key] = asyncio.create_task(self._load(key))
            task.add_done_callback(_retrieve)
        return await asyncio.shield(task)

    def raise_floor(self, floor: int) -> None:
        """Note up to where events have been removed."""
        if floor > self.floor:
            self.floor = floor
            self._raised(floor)

    def forget(self, log: str, floor: int) -> None:
        """Drop the pages that may hold events of a log that was removed."""
        self.raise_floor(floor)
        for key in [key for key in self._kept if key[0] == log or isinstance(key[0], Selection)]:
            self._kept_bytes -= _size(self._kept.pop(key))

    async def _load(self, key: tuple[Key, int, int]) -> list[Batch]:
        of, after, _ = key
        try:
            if isinstance(of, Selection):
                page = await self._store.read_all(after, READ_BYTES, of)
                # Asked after the page was read: it knows of every removal that the page shows.
                self.raise_floor((await self._store.positions()).floor)
            else:
                page = await self._store.read(of, after, READ_BYTES)
        finally:
            del self._reading[key]
        # A short page may be the log's end, which moves; only a full one stays as it is.
        if _size(page) >= READ_BYTES:
            self._keep((of, after), page)
        return page

    def _keep(self, key: tuple[Key, int], page: list[Batch]) -> None:
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
