"""The SQLite engine: writes go to one thread, reads to others, the loop waits for neither."""

# ruff: noqa: D102 - Store documents these methods once for every engine

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from runcast.core.events import Batch, Data, Entry, run_log
from runcast.core.once import Answered, Once
from runcast.core.runs import Run, Status
from runcast.core.workspaces import Workspace
from runcast.stores import (
    ALL_RUNS,
    Addition,
    Advance,
    Approval,
    Checkpoint,
    Listener,
    LogHead,
    Piece,
    Positions,
    RunFilter,
    Selection,
    Span,
    Stdin,
    Store,
    rules,
)
from runcast.stores.sqlite import (
    answers,
    backwards,
    lookups,
    messages,
    operations,
    pages,
    removal,
    workspaces,
)
from runcast.stores.sqlite.reader import Reader
from runcast.stores.sqlite.writer import Operation, T, Writer


class SqliteStore:
    """Keeps everything in one database file; see Store for what each call promises."""

    def __init__(self, writer: Writer, reader: Reader) -> None:
        self._writer = writer
        self._reader = reader
        self._refs = pages.Refs()
        self._closed = False

    async def close(self) -> None:
        if not self._closed:
            self._closed = True
            await self._reader.close()
            await self._writer.close()

    def listen(self, listener: Listener) -> None:
        self._writer.listeners.append(listener)

    async def create(
        self, run: Run, entries: Sequence[Entry] = (), *, once: Once | None = None
    ) -> Run:
        packed = rules.pack(entries)
        return await self._write(partial(operations.create, run=run, packed=packed), once)

    async def get(self, run_id: str) -> Run:
        run = await self._read(lookups.run, run_log(run_id))
        if run is None:
            raise rules.no_run(run_id)
        return run

    async def runs(
        self, where: RunFilter, limit: int, *, before: int | None = None, offset: int = 0
    ) -> list[Run]:
        return await self._read(lookups.runs, where, limit, before, offset)

    async def count(self, where: RunFilter) -> int:
        return await self._read(lookups.count, where)

    async def totals(self) -> dict[Status, int]:
        return await self._read(lookups.totals)

    async def workspace_totals(self) -> dict[str, int]:
        return await self._read(lookups.workspace_totals)

    async def keys(self) -> set[str]:
        return await self._read(lookups.keys)

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
        *,
        once: Once | None = None,
    ) -> Run:
        packed = rules.pack(entries)
        return await self._write(
            lambda ledger: operations.transition(
                ledger, run_id, status, time, outcome, packed, advance
            ),
            once,
        )

    async def update(
        self,
        run_id: str,
        fields: Mapping[str, Any],
        time: int | None = None,
        *,
        once: Once | None = None,
    ) -> Run:
        update = partial(operations.update, run_id=run_id, fields=fields, time=time)
        return await self._write(update, once)

    async def append(
        self,
        log: str,
        entries: Sequence[Entry],
        *,
        advance: Advance | None = None,
        after: int | None = None,
        stdin: Stdin | None = None,
        once: Once | None = None,
    ) -> Span:
        packed = rules.pack(entries)
        rules.check_append(log, packed.count, advance, stdin)
        return await self._write(
            lambda ledger: operations.append(ledger, log, packed, advance, after, stdin), once
        )

    async def append_all(
        self,
        additions: Sequence[Addition],
        births: Sequence[Run] = (),
        *,
        once: Once | None = None,
    ) -> list[Span]:
        packed = [(one, rules.pack_addition(one)) for one in additions]
        add = partial(operations.append_all, additions=packed, births=tuple(births))
        return await self._write(add, once)

    async def add_message(
        self,
        data: Data,
        time: int,
        parents: Collection[str] = (),
        *,
        once: Once | None = None,
    ) -> Span:
        packed = rules.pack_message(data, time)
        add = partial(messages.add, msg_id=data["msg_id"], packed=packed, parents=tuple(parents))
        return await self._write(add, once)

    async def put_workspace(
        self, workspace: Workspace, time: int, *, once: Once | None = None
    ) -> Workspace:
        return await self._write(partial(workspaces.put, workspace=workspace, time=time), once)

    async def workspaces(self) -> list[Workspace]:
        return await self._read(workspaces.workspaces)

    async def workspace(self, workspace_id: str) -> Workspace:
        found = await self._read(workspaces.workspace, workspace_id)
        if found is None:
            raise rules.no_workspace(workspace_id)
        return found

    async def answered(self, key: str) -> tuple[bytes, Answered] | None:
        return await self._read(answers.answered, key)

    async def forget_answers(self, before: int) -> int:
        return await self._write(partial(answers.forget, before=before))

    async def approvals(self, run_id: str) -> list[Approval]:
        return await self._read(lookups.approvals, run_log(run_id))

    async def stdin(self, run_id: str) -> list[Piece]:
        return await self._read(lookups.stdin, run_log(run_id))

    async def delivered(self, run_id: str, end: int) -> None:
        await self._write(partial(operations.delivered, name=run_log(run_id), end=end))

    async def checkpoint(self, run_id: str) -> Checkpoint:
        return await self._read(lookups.checkpoint, run_log(run_id))

    async def read(self, log: str, after: int, limit_bytes: int) -> list[Batch]:
        return await self._read(pages.read, self._refs, log, after, limit_bytes)

    async def read_all(
        self, after: int, limit_bytes: int, where: Selection = ALL_RUNS
    ) -> list[Batch]:
        rules.check_selection(where)
        return await self._read(pages.read_all, self._refs, where, after, limit_bytes)

    async def read_back(
        self,
        before: int,
        limit_bytes: int,
        where: Selection = ALL_RUNS,
        *,
        after: int = 0,
        since: int | None = None,
    ) -> list[Batch]:
        rules.check_runs_selected(where)
        stretch = backwards.Stretch(after, before, since)
        return await self._read(backwards.read_back, self._refs, where, stretch, limit_bytes)

    async def head(self, log: str) -> LogHead:
        head = await self._read(lookups.head, log)
        if head is None:
            raise rules.no_log(log)
        return head

    async def positions(self) -> Positions:
        return await self._read(lookups.positions)

    async def delete(
        self, run_ids: Sequence[str], time: int, *, once: Once | None = None
    ) -> list[str]:
        delete = partial(removal.delete, run_ids=tuple(run_ids), time=time)
        return await self._write(delete, once)

    async def is_deleted(self, run_id: str) -> bool:
        return await self._read(lookups.is_deleted, run_id)

    async def trim(self, log: str, before: int) -> int:
        rules.check_trim(log)
        return await self._write(partial(removal.trim, name=log, before=before))

    async def _write(self, operation: Operation[T], once: Once | None = None) -> T:
        self._check_open()
        if once is not None:
            operation = partial(answers.perform_once, operation=operation, once=once)
        return await self._writer.submit(operation)

    async def _read(self, query: Callable[..., T], *args: Any) -> T:
        self._check_open()
        return await self._reader.run(query, *args)

    def _check_open(self) -> None:
        if self._closed:
            raise rules.closed()


if TYPE_CHECKING:
    _: type[Store] = SqliteStore
