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
        self._reading: dict[tuple[str, int], asyncio.Task[list[Batch]]] = {}

    async def read(self, log: str, after: int) -> list[Batch]:
        """Return the page that begins after this cursor. Cancelling is safe."""
        key = (log, after)
        if (page := self._kept.get(key)) is not None:
            self._kept.move_to_end(key)
            return page
        task = self._reading.get(key)
        if task is None:
            task = self._reading[key] = asyncio.create_task(self._load(log, after))
            task.add_done_callback(_retrieve)
        return await asyncio.shield(task)

    async def _load(self, log: str, after: int) -> list[Batch]:
        try:
            if log == ALL:
                page = await self._store.read_all(after, READ_BYTES)
            else:
                page = await self._store.read(log, after, READ_BYTES)
        finally:
            del self._reading[log, after]
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
