"""Ingest: one run's spool becomes events, exactly once, whatever crashes."""

import asyncio
import os

from runcast.core.events import Draft, Entry, run_log
from runcast.core.runs import Run
from runcast.parsers import new_parser
from runcast.runtime.clock import now
from runcast.spool.records import MAX_RECORD_BYTES, blocks, whole_records
from runcast.stores import Advance, Checkpoint, Store

CHUNK_BYTES = 2 * MAX_RECORD_BYTES  # always holds a whole record, and keeps a parse under 1 ms
CHUNKS_IN_FLIGHT = 16  # of all runs together: 2 MiB of raw text at most


class Budget(asyncio.Semaphore):
    """Bounds the raw bytes that are read but not yet committed, over all runs."""

    def __init__(self) -> None:
        super().__init__(CHUNKS_IN_FLIGHT)


class Ingest:
    """Reads a spool from its checkpoint on and commits what it says together with the progress.

    The checkpoint moves by compare-and-swap in the commit that holds the events, so that a
    crash between any two steps neither loses nor doubles a line.
    """

    def __init__(self, store: Store, budget: Budget, run: Run, spool: str) -> None:
        self._store = store
        self._budget = budget
        self._log = run_log(run.id)
        self._run_id = run.id
        self._spool = spool
        self._parser = new_parser(run.dialect)
        self._checkpoint = Checkpoint()
        self._fd: int | None = None

    @property
    def offset(self) -> int:
        """How many bytes of the spool are committed."""
        return self._checkpoint.offset

    async def open(self) -> None:
        """Continue where the last commit left off."""
        self._checkpoint = await self._store.checkpoint(self._run_id)

    def close(self) -> None:
        """Close the spool."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    async def drain(self) -> None:
        """Commit everything that the spool has; storage errors are raised and lose nothing."""
        while await self._step():
            pass

    def ending(self, spool_bytes: int | None) -> tuple[list[Entry], Advance]:
        """Return what goes into the commit that ends the run: last entries and the checkpoint.

        `spool_bytes` is the size the runner recorded; a spool that is shorter now lost its end
        to a power cut, which is said with a `gap`.
        """
        entries: list[Entry] = []
        lost = (spool_bytes or 0) - self.offset
        if lost > 0:
            entries.append(Draft(now(), "gap", {"reason": "truncated", "bytes": lost}))
        finished = Checkpoint(offset=self.offset, finished=True)
        return entries, Advance(self.offset, finished)

    async def _step(self) -> bool:
        """Commit the next chunk; tell whether there may be more."""
        async with self._budget:
            data = self._read()
            size = whole_records(data)
            if size == 0 and len(data) < CHUNK_BYTES:
                return await self._check_size(data)
            # A full chunk without a newline is no spool of ours: step over it, say so.
            size = size or len(data)
            entries = self._parser.feed(blocks(data[:size]))
            await self._commit(entries, self.offset + size)
            return len(data) == CHUNK_BYTES

    def _read(self) -> bytes:
        if self._fd is None:
            try:
                self._fd = os.open(self._spool, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                return b""
        return os.pread(self._fd, CHUNK_BYTES, self.offset)

    async def _check_size(self, data: bytes) -> bool:
        """Step back to the end of a spool that shrank: never read it again from its start."""
        if data or self._fd is None or (size := os.fstat(self._fd).st_size) >= self.offset:
            return False
        await self._commit([Draft(now(), "gap", {"reason": "truncated"})], size)
        return False

    async def _commit(self, entries: list[Entry], offset: int) -> None:
        checkpoint = Checkpoint(offset=offset)
        await self._store.append(self._log, entries, advance=Advance(self.offset, checkpoint))
        self._checkpoint = checkpoint
