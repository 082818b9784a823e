"""The memory engine as a store: runs, what they ask and are told, and their logs."""

# ruff: noqa: D102 - Store documents these methods once for every engine

import copy
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from runcast.core.events import LIFECYCLE, Batch, Entry, run_log, run_of
from runcast.core.runs import STATUSES, Run, Status, check_transition
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
from runcast.stores.listeners import tell
from runcast.stores.memory.logs import Logs
from runcast.stores.memory.records import Record, advanced, fed, matches, moved
from runcast.stores.rules import Packed


class MemoryStore:
    """Keeps everything in plain Python objects; see Store for what each call promises.

    Whatever may be refused is worked out before anything is changed.
    """

    def __init__(self) -> None:
        self._logs = Logs()
        self._records: dict[str, Record] = {}  # in the order of creation
        self._deleted: set[str] = set()
        self._order = 0
        self._listeners: list[Listener] = []
        self._closed = False

    async def close(self) -> None:
        self._closed = True

    def listen(self, listener: Listener) -> None:
        self._listeners.append(listener)

    async def create(self, run: Run, entries: Sequence[Entry] = ()) -> Run:
        self._check_open()
        packed = rules.pack(entries)
        taken, deleted = run.id in self._records, run.id in self._deleted
        rules.check_create(run, packed.count, taken=taken, deleted=deleted)
        kept = rules.born(copy.deepcopy(run), self._order + 1)
        self._records[run.id] = moved(Record(kept), packed)
        self._order = kept.order
        log = self._logs.create(run_log(run.id))
        self._logs.add(run_log(run.id), rules.pack_status(kept, kept.created_at))
        self._logs.add(run_log(run.id), packed)
        log.sealed = run.ended
        return self._told("run_added", kept.created_at, run.id)

    async def get(self, run_id: str) -> Run:
        self._check_open()
        return self._shown(run_id)

    async def runs(
        self, where: RunFilter, limit: int, *, before: int | None = None, offset: int = 0
    ) -> list[Run]:
        found = [run for run in self._matching(where) if before is None or run.order < before]
        return [self._shown(run.id) for run in found[::-1][offset : offset + limit]]

    async def count(self, where: RunFilter) -> int:
        return len(self._matching(where))

    async def totals(self) -> dict[Status, int]:
        return {status: len(self._matching(RunFilter(statuses=[status]))) for status in STATUSES}

    async def keys(self) -> set[str]:
        return {run.key for run in self._matching(RunFilter())}

    async def claim(self, limit: int, time: int) -> list[Run]:
        queued = self._matching(RunFilter(statuses=["queued"], source="run"))
        ready = [run for run in queued if not run.cancel_requested][:limit]
        return [await self.transition(run.id, "running", time) for run in ready]

    async def transition(
        self,
        run_id: str,
        status: Status,
        time: int,
        outcome: Mapping[str, Any] = {},
        entries: Sequence[Entry] = (),
        advance: Advance | None = None,
    ) -> Run:
        self._check_open()
        record = self._find(run_id)
        if not check_transition(record.run, status):
            return self._shown(run_id)
        log, packed = run_log(run_id), rules.pack(entries)
        rules.check_advance(log, record.checkpoint.offset, advance)
        run = copy.deepcopy(rules.changed(record.run, status, time, outcome))
        record = advanced(moved(msgspec.structs.replace(record, run=run), packed), advance)
        self._records[run_id] = msgspec.structs.replace(record, stdin=()) if run.ended else record
        self._logs.add(log, packed)
        self._logs.add(log, rules.pack_status(run, time))
        self._logs.find(log).sealed = run.ended
        return self._told("run_updated", time, run_id)

    async def update(self, run_id: str, fields: Mapping[str, Any]) -> Run:
        self._check_open()
        record = self._find(run_id)
        run = copy.deepcopy(rules.edited(record.run, fields))
        self._records[run_id] = msgspec.structs.replace(record, run=run)
        return self._shown(run_id)

    async def append(
        self,
        log: str,
        entries: Sequence[Entry],
        *,
        advance: Advance | None = None,
        after: int | None = None,
        stdin: Stdin | None = None,
    ) -> Span:
        self._check_open()
        packed = rules.pack(entries)
        rules.check_append(log, packed.count, advance, stdin)
        kept = self._logs.find(log)
        if kept.sealed:
            raise rules.log_sealed(log)
        run_id = run_of(log) or ""  # which is no run's
        record = self._records.get(run_id)
        rules.check_advance(log, 0 if record is None else record.checkpoint.offset, advance)
        rules.check_after(log, kept.last, after)
        is_news = self._change(record, packed, advance, stdin)
        first = kept.last + 1
        self._logs.add(log, packed)
        span = Span(first, kept.last, self._logs.positions().head)
        if is_news:
            self._add_news("run_updated", packed.newest, run_id)
        self._tell()
        return span

    async def approvals(self, run_id: str) -> list[Approval]:
        self._check_open()
        record = self._records.get(run_id)
        return [] if record is None else copy.deepcopy(list(record.approvals.values()))

    async def stdin(self, run_id: str) -> list[Piece]:
        self._check_open()
        record = self._records.get(run_id)
        return [] if record is None else list(record.stdin)

    async def delivered(self, run_id: str, end: int) -> None:
        self._check_open()
        if run_id in self._records:
            record = self._records[run_id]
            left = tuple(piece for piece in record.stdin if piece.end > end)
            self._records[run_id] = msgspec.structs.replace(record, stdin=left)

    async def checkpoint(self, run_id: str) -> Checkpoint:
        self._check_open()
        record = self._records.get(run_id)
        return Checkpoint() if record is None else record.checkpoint

    async def read(self, log: str, after: int, limit_bytes: int) -> list[Batch]:
        self._check_open()
        return self._logs.read(log, after, limit_bytes)

    async def read_all(self, after: int, limit_bytes: int) -> list[Batch]:
        self._check_open()
        return self._logs.read_all(after, limit_bytes)

    async def head(self, log: str) -> LogHead:
        self._check_open()
        return self._logs.find(log).head()

    async def positions(self) -> Positions:
        self._check_open()
        return self._logs.positions()

    async def delete(self, run_ids: Sequence[str], time: int) -> list[str]:
        self._check_open()
        found = [run_id for run_id in dict.fromkeys(run_ids) if run_id in self._records]
        for run_id in found:
            rules.check_delete(self._records[run_id].run)
        gone = [self._shown(run_id) for run_id in found]
        for run_id in found:
            self._logs.remove(run_log(run_id))
            del self._records[run_id]
            self._deleted.add(run_id)
        self._logs.add(LIFECYCLE, rules.pack_lifecycle(time, "run_removed", gone))
        self._tell()
        return found

    async def is_deleted(self, run_id: str) -> bool:
        self._check_open()
        return run_id in self._deleted

    async def trim(self, log: str, before: int) -> int:
        self._check_open()
        rules.check_trim(log)
        return self._logs.trim(log, before)

    def _check_open(self) -> None:
        if self._closed:
            raise rules.closed()

    def _find(self, run_id: str) -> Record:
        if run_id not in self._records:
            raise rules.no_run(run_id)
        return self._records[run_id]

    def _matching(self, where: RunFilter) -> list[Run]:
        self._check_open()
        return [record.run for record in self._records.values() if matches(record.run, where)]

    def _shown(self, run_id: str) -> Run:
        run, head = self._find(run_id).run, self._logs.find(run_log(run_id)).head()
        return msgspec.structs.replace(copy.deepcopy(run), last_seq=head.last, bytes=head.bytes)

    def _change(
        self,
        record: Record | None,
        packed: Packed,
        advance: Advance | None,
        stdin: Stdin | None,
    ) -> bool:
        """Put a record as an append leaves it; tell whether that is news of its run."""
        if record is None:
            return False
        changed = fed(advanced(moved(record, packed), advance), stdin)
        self._records[record.run.id] = changed
        return changed.run.pending_approvals != record.run.pending_approvals

    def _add_news(self, event: str, time: int, run_id: str) -> None:
        self._logs.add(LIFECYCLE, rules.pack_lifecycle(time, event, [self._shown(run_id)]))

    def _told(self, event: str, time: int, run_id: str) -> Run:
        self._add_news(event, time, run_id)
        self._tell()
        return self._shown(run_id)

    def _tell(self) -> None:
        tell(self._listeners, self._logs.take_news())


if TYPE_CHECKING:
    _: type[Store] = MemoryStore
