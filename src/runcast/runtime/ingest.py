"""Ingest: one run's spool becomes events, exactly once, whatever crashes."""

import asyncio
import os
from collections.abc import Callable, Iterator
from functools import partial
from time import perf_counter
from typing import NamedTuple

import structlog

from runcast.core.errors import Unavailable
from runcast.core.events import Draft, Entry
from runcast.core.runs import Run
from runcast.parsers import PARSERS, Parser, Saved, new_parser
from runcast.runtime.approvals import Approvals, is_approval
from runcast.runtime.clock import now
from runcast.runtime.spill import Blobs, spill
from runcast.spool.folder import RunFolder
from runcast.spool.records import MAX_RECORD_BYTES, Block, Broken, blocks, whole_records
from runcast.stores import Addition, Advance, Checkpoint, Store

CHUNK_BYTES = 2 * MAX_RECORD_BYTES  # always holds a whole record, and keeps a parse under 1 ms
CHUNKS_IN_FLIGHT = 16  # of all runs together: 2 MiB of raw text at most
LITTLE_BYTES = 4096  # less than this is committed beside what others said
REST_FACTOR = 2  # a command that prints faster than we read has two thirds of our time
MAX_REST_S = 0.020
STORAGE_RETRY_S = 0.25

log = structlog.get_logger(__name__)


class Budget(asyncio.Semaphore):
    """Bounds the raw bytes that are read but not yet committed, over all runs."""

    def __init__(self) -> None:
        super().__init__(CHUNKS_IN_FLIGHT)


class _Step(NamedTuple):
    """What was read and parsed, until it is committed; a parser cannot be asked twice."""

    entries: list[Entry]
    blobs: Blobs
    checkpoint: Checkpoint
    more: bool


class Ingest:
    """Reads a spool from its checkpoint on and commits what it says together with the progress.

    The checkpoint moves by compare-and-swap in the commit that holds the events, so that a
    crash between any two steps neither loses nor doubles a line.
    """

    def __init__(
        self, store: Store, budget: Budget, run: Run, folder: RunFolder, approvals: Approvals
    ) -> None:
        self.committed: Callable[[], None] | None = None  # called after every commit
        self._run_id = run.id
        self.parser = parser_of(run)
        self._store = store
        self._budget = budget
        self._folder = folder
        self._approvals = approvals
        self._checkpoint = Checkpoint()
        self._step: _Step | None = None
        self._fd: int | None = None

    @property
    def offset(self) -> int:
        """How many bytes of the spool are committed."""
        return self._checkpoint.offset

    async def open(self) -> None:
        """Continue where the last commit left off; call it once."""
        await self._approvals.load()
        checkpoint = self._checkpoint = await self._store.checkpoint(self._run_id)
        if checkpoint.state_version == self.parser.version:
            saved = Saved(checkpoint.open, checkpoint.state)
        else:
            saved = Saved(checkpoint.open, b"")
        self.parser.restore(saved, self._from_open(checkpoint))

    def close(self) -> None:
        """Close the spool."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    async def drain(self) -> None:
        """Commit everything that the spool has; storage errors are raised and lose nothing.

        While more comes than is read, this rests in between: the command and its runner need the
        processors, and what they write does not get lost.
        """
        begun = size = 0.0
        while await self._advance():
            grown = self._size()
            if 0 < size < grown:
                await asyncio.sleep(min(REST_FACTOR * (perf_counter() - begun), MAX_REST_S))
            begun, size = perf_counter(), grown

    @property
    def behind(self) -> bool:
        """Whether `drain` would find anything."""
        return self._step is not None or self._size() != self.offset

    def gather(self) -> Addition | None:
        """Read what little came, to be committed beside what others said, and `gathered` then.

        None if nothing came, or more: `drain` commits that, and also what was not committed.
        """
        if self._step is not None or self._checkpoint.open:
            return None
        data = self._read(self.offset, LITTLE_BYTES)
        size = whole_records(data)
        if size == 0 or len(data) == LITTLE_BYTES:
            return None
        # Whoever has to drain this reads on: by then the output may have gone on, and ended.
        step = self._step = self._parsed(data[:size], more=True)
        if step.blobs or any(map(is_approval, step.entries)):
            return None
        return Addition(self._run_id, step.entries, Advance(self.offset, step.checkpoint))

    def gathered(self) -> None:
        """Note that what was gathered is committed."""
        if self._step is not None:
            self._settle(self._step)

    async def finish(self) -> None:
        """Commit what the end of the output completes; call it once the spool is read."""
        if self._step is None:
            entries, blobs = spill(self.parser.finish())
            self._step = _Step(entries, blobs, self._checkpoint_at(self.offset), more=False)
        await self._commit(self._step)

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

    async def _advance(self) -> bool:
        """Commit the next chunk; tell whether there may be more."""
        async with self._budget:
            if self._step is None:
                self._step = await self._next()
            if self._step is None:
                return False
            step = self._step
            await self._commit(step)
            return step.more

    async def _next(self) -> _Step | None:
        data = self._read(self.offset, CHUNK_BYTES)
        size = whole_records(data)
        if size == 0 and len(data) < CHUNK_BYTES:
            return self._shrunk(data)
        # A full chunk without a newline is no spool of ours: step over it, say so.
        size = size or len(data)
        parsed = partial(self._parsed, data[:size], more=len(data) == CHUNK_BYTES)
        if self._checkpoint.open:  # the end of a line that was held open may take long to parse
            return await asyncio.to_thread(parsed)
        return parsed()

    def _parsed(self, records: bytes, *, more: bool) -> _Step:
        entries, blobs = spill(self.parser.feed(blocks(records, self.offset)))
        return _Step(entries, blobs, self._checkpoint_at(self.offset + len(records)), more)

    def _checkpoint_at(self, offset: int) -> Checkpoint:
        saved = self.parser.save()
        return Checkpoint(
            offset=offset,
            open=dict(saved.open),
            state=saved.state,
            state_version=self.parser.version,
        )

    def _size(self) -> int:
        return 0 if self._fd is None else os.fstat(self._fd).st_size

    def _read(self, offset: int, limit: int) -> bytes:
        if self._fd is None:
            try:
                self._fd = os.open(self._folder.output_path, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                return b""
        return os.pread(self._fd, limit, offset)

    def _from_open(self, checkpoint: Checkpoint) -> Iterator[Block | Broken]:
        """Read again what lies between the start of an open line and the checkpoint."""
        if not checkpoint.open:
            return
        offset = min(start for start, _ in checkpoint.open.values())
        while offset < checkpoint.offset:
            data = self._read(offset, CHUNK_BYTES)[: checkpoint.offset - offset]
            size = whole_records(data)
            if not size:
                return
            yield from blocks(data[:size], offset)
            offset += size

    def _shrunk(self, data: bytes) -> _Step | None:
        """Step back to the end of a spool that shrank: never read it again from its start."""
        if data or self._fd is None or (size := self._size()) >= self.offset:
            return None
        gap = Draft(now(), "gap", {"reason": "truncated"})
        return _Step([gap], {}, self._checkpoint_at(size), more=False)

    async def _keep(self, blobs: Blobs) -> None:
        try:
            await asyncio.to_thread(self._folder.keep_blobs, blobs)
        except FileNotFoundError:
            log.error("ingest.folder_gone", run=self._run_id)  # and all that was in it
        except OSError as error:
            raise Unavailable("storage", f"cannot keep a blob: {error.strerror}") from error

    async def _commit(self, step: _Step) -> None:
        if step.blobs:
            await self._keep(step.blobs)
        await self._approvals.append(step.entries, Advance(self.offset, step.checkpoint))
        self._settle(step)

    def _settle(self, step: _Step) -> None:
        self._checkpoint = step.checkpoint
        self._step = None
        if self.committed is not None:
            self.committed()


def parser_of(run: Run) -> Parser:
    """Make the parser of a run; what no parser of this version reads becomes lines."""
    if run.dialect in PARSERS:
        return new_parser(run.dialect)
    log.error("ingest.unknown_dialect", run=run.id, dialect=run.dialect)
    return new_parser("lines")
