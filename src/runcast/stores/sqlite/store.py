"""The SQLite engine: writes go to one thread, reads to others, the loop waits for neither."""

# ruff: noqa: D102 - Store documents these methods once for every engine

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from runcast.core.events import Batch, Entry, run_log
from runcast.core.runs import Run, Status
from runcast.stores import (
    Advance,
    Approval,
    Checkpoint,
    Listener,
    LogHead,
    Piece,
    Positions,
    RunFilter,
    Span,
    Stdin,
    Store,
    rules,
)
from runcast.stores.sqlite import operations, queries, reader
from runcast.stores.sqlite.reader import Reader
from runcast.stores.sqlite.writer import Operation, T, Writer


class SqliteStore:
    """Keeps everything in one database file; see Store for what each call promises."""

    def __init__(self, writer: Writer, reader: Reader) -> None:
        self._writer = writer
        self._reader = reader
        self._closed = False

    async def close(self) -> None:
        if not self._closed:
            self._closed = True
            await self._reader.close()
            await self._writer.close()

    def listen(self, listener: Listener) -> None:
        self._writer.listeners.append(listener)

    async def create(self, run: Run, entries: Sequence[Entry] = ()) -> Run:
        return await self._write(partial(operations.create, run=run, packed=rules.pack(entries)))

    async def get(self, run_id: str) -> Run:
        run = await self._read(reader.run, run_log(run_id))
        if run is None:
            raise rules.no_run(run_id)
        return run

    async def runs(
        self, where: RunFilter, limit: int, *, before: int | None = None, offset: int = 0
    ) -> list[Run]:
        return await self._read(reader.runs, where, limit, before, offset)

    async def count(self, where: RunFilter) -> int:
        return await self._read(reader.count, where)

    async def totals(self) -> dict[Status, int]:
        return await self._read(reader.totals)

    async def keys(self) -> set[str]:
        return await self._read(reader.keys)

    async def claim(self, limit: int, time: int) -> list[Run]:
        return await self._write(partial(operations.claim, limit=limit, time=time))

    async def transition(
        self,
        run_id: str,
        status: Status,
        time: int,
        outcome: Mapping[str, Any] = {},
        entries: Sequence[Entry] = (),
        advance: Advance | None = None,
    ) -> Run:
        packed = rules.pack(entries)
        return await self._write(
            lambda ledger: operations.transition(
                ledger, run_id, status, time, outcome, packed, advance
            )
        )

    async def update(self, run_id: str, fields: Mapping[str, Any]) -> Run:
        return await self._write(partial(operations.update, run_id=run_id, fields=fields))

    async def append(
        self,
        log: str,
        entries: Sequence[Entry],
        *,
        advance: Advance | None = None,
        after: int | None = None,
        stdin: Stdin | None = None,
    ) -> Span:
        packed = rules.pack(entries)
        rules.check_append(log, packed.count, advance, stdin)
        return await self._write(
            lambda ledger: operations.append(ledger, log, packed, advance, after, stdin)
        )

    async def approvals(self, run_id: str) -> list[Approval]:
        return await self._read(reader.approvals, run_log(run_id))

    async def stdin(self, run_id: str) -> list[Piece]:
        return await self._read(reader.stdin, run_log(run_id))

    async def delivered(self, run_id: str, end: int) -> None:
        await self._write(partial(operations.delivered, name=run_log(run_id), end=end))

    async def checkpoint(self, run_id: str) -> Checkpoint:
        return await self._read(reader.checkpoint, run_log(run_id))

    async def read(self, log: str, after: int, limit_bytes: int) -> list[Batch]:
        return await self._read(reader.batches, queries.READ, (log, after), limit_bytes)

    async def read_all(self, after: int, limit_bytes: int) -> list[Batch]:
        return await self._read(reader.batches, queries.READ_ALL, (after,), limit_bytes)

    async def head(self, log: str) -> LogHead:
        head = await self._read(reader.head, log)
        if head is None:
            raise rules.no_log(log)
        return head

    async def positions(self) -> Positions:
        return await self._read(reader.positions)

    async def delete(self, run_ids: Sequence[str], time: int) -> list[str]:
        return await self._write(partial(operations.delete, run_ids=tuple(run_ids), time=time))

    async def is_deleted(self, run_id: str) -> bool:
        return await self._read(reader.is_deleted, run_id)

    async def trim(self, log: str, before: int) -> int:
        rules.check_trim(log)
        return await self._write(partial(operations.trim, name=log, before=before))

    async def _write(self, operation: Operation[T]) -> T:
        self._check_open()
        return await self._writer.submit(operation)

    async def _read(self, query: Callable[..., T], *args: Any) -> T:
        self._check_open()
        return await self._reader.run(query, *args)

    def _check_open(self) -> None:
        if self._closed:
            raise rules.closed()


if TYPE_CHECKING:
    _: type[Store] = SqliteStore
