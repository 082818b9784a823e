"""What stands around an event in its log."""

import asyncio
from collections.abc import Sequence

from runcast.core.events import Batch, run_log, text_of
from runcast.stores import Store

_READ_BYTES = 64 * 1024
_BEHIND = 64  # events read beyond those asked for: whoever goes back through a log asks for them


class Nearby:
    """The texts of neighbours in a log, of each so many characters as are shown.

    The stretch of a log that was read last is kept, for what is asked next is mostly close by.
    """

    def __init__(self, store: Store, shown_chars: int) -> None:
        self._store = store
        self._shown_chars = shown_chars
        self._run_id = ""
        self._first = 1
        self._texts: list[str] = []
        self._at_end = False

    async def around(self, run_id: str, seq: int, count: int) -> tuple[list[str], list[str]]:
        """Return what the `count` events before and after an event say, if they say anything."""
        first, last = max(seq - count, 1), seq + count
        if not self._has(run_id, first, last):
            await self._load(run_id, max(first - _BEHIND, 1), last)
        at = seq - self._first
        before, after = self._texts[max(at - count, 0) : at], self._texts[at + 1 : at + 1 + count]
        return list(filter(None, before)), list(filter(None, after))

    def _has(self, run_id: str, first: int, last: int) -> bool:
        reaches = self._at_end or last < self._first + len(self._texts)
        return run_id == self._run_id and first >= self._first and reaches

    async def _load(self, run_id: str, first: int, last: int) -> None:
        log, after = run_log(run_id), first - 1
        self._run_id, self._first, self._texts = run_id, first, []
        while after < last and (batches := await self._store.read(log, after, _READ_BYTES)):
            if not self._texts:
                self._first = batches[0].first_seq
            self._texts += await asyncio.to_thread(self._read, batches)
            after = batches[-1].last_seq
        self._at_end = after < last

    def _read(self, batches: Sequence[Batch]) -> list[str]:
        return [
            text_of(event.data)[: self._shown_chars]
            for batch in batches
            for event in batch.events()
        ]
