"""The memory engine as a store: runs, what they ask and are told, and their logs."""

# ruff: noqa: D102 - Store documents these methods once for every engine

import copy
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from runcast.core.events import LIFECYCLE, Entry, run_log, run_of
from runcast.core.once import Once
from runcast.core.runs import STATUSES, Run, Status, check_transition, ref_of
from runcast.stores import (
    Addition,
    Advance,
    Approval,
    Checkpoint,
    Piece,
    RunFilter,
    Span,
    Stdin,
    Store,
    rules,
)
from runcast.stores.memory.logs import Log
from runcast.stores.memory.records import Record, advanced, fed, matches, moved
from runcast.stores.memory.shared import Shared
from runcast.stores.rules import Packed


class MemoryStore(Shared):
    """Keeps everything in plain Python objects; see Store for what each call promises.

    Whatever may be refused is worked out before anything is changed.
    """

    def __init__(self) -> None:
        super().__init__()
        self._records: dict[str, Record] = {}  # in the order of creation
        self._deleted: set[str] = set()
        self._order = 0

    async def create(
        self, run: Run, entries: Sequence[Entry] = (), *, once: Once | None = None
    ) -> Run:
        self._check(once)
        packed = rules.pack(entries)
        self._check_birth(run, packed)
        self._add_run(run, packed)
        self._tell()
        return self._answers.keep(once, self._shown(run.id))

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

    async def workspace_totals(self) -> dict[str, int]:
        return dict(Counter(run.workspace_id for run in self._matching(RunFilter())))

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
        *,
        once: Once | None = None,
    ) -> Run:
        self._check(once)
        record = self._find(run_id)
        if not check_transition(record.run, status):
            return self._answers.keep(once, self._shown(run_id))
        log, packed = run_log(run_id), rules.pack(entries)
        rules.check_advance(log, record.checkpoint.offset, advance)
        run = copy.deepcopy(rules.changed(record.run, status, time, outcome))
        record = advanced(moved(msgspec.structs.replace(record, run=run), packed), advance)
        self._records[run_id] = msgspec.structs.replace(record, stdin=()) if run.ended else record
        self._logs.add(log, packed)
        self._logs.add(log, rules.pack_status(run, time))
        self._logs.find(log).sealed = run.ended
        return self._answers.keep(once, self._told("run_updated", time, run_id))

    async def update(
        self,
        run_id: str,
        fields: Mapping[str, Any],
        time: int | None = None,
        *,
        once: Once | None = None,
    ) -> Run:
        self._check(once)
        record = self._find(run_id)
        run = copy.deepcopy(rules.edited(record.run, fields))
        self._records[run_id] = msgspec.structs.replace(record, run=run)
        if time is not None:
            self._told("run_updated", time, run_id)
        return self._answers.keep(once, self._shown(run_id))

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
        self._check(once)
        packed = rules.pack(entries)
        rules.check_append(log, packed.count, advance, stdin)
        record = self._records.get(run_of(log) or "")  # which is no run's
        kept = self._logs.find(log)
        changed = _appended(record, kept, log, packed, advance, after)
        span = self._add(log, packed, None if changed is None else fed(changed, stdin))
        self._tell()
        return self._answers.keep(once, span)

    async def append_all(
        self,
        additions: Sequence[Addition],
        births: Sequence[Run] = (),
        *,
        once: Once | None = None,
    ) -> list[Span]:
        self._check(once)
        nothing = rules.pack(())
        for run in births:
            self._check_birth(run, nothing)
        planned = {run.id: (Record(run), Log()) for run in births}
        ready = []
        for one in additions:
            log, packed = run_log(one.run_id), rules.pack_addition(one)
            new = planned.get(one.run_id)
            record, kept = new or (self._find(one.run_id), self._logs.find(log))
            changed = _appended(record, kept, log, packed, one.advance, None)
            planned[one.run_id] = changed or record, kept
            ready.append((log, packed, one.advance))
        for run in births:
            self._add_run(run, nothing)
        spans = []
        for log, packed, advance in ready:
            record = self._find(str(run_of(log)))
            changed = _appended(record, self._logs.find(log), log, packed, advance, None)
            spans.append(self._add(log, packed, changed))
        self._tell()
        return self._answers.keep(once, spans)

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

    async def delete(
        self, run_ids: Sequence[str], time: int, *, once: Once | None = None
    ) -> list[str]:
        self._check(once)
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
        return self._answers.keep(once, found)

    async def is_deleted(self, run_id: str) -> bool:
        self._check_open()
        return run_id in self._deleted

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

    def _check_birth(self, run: Run, packed: Packed) -> None:
        taken, deleted = run.id in self._records, run.id in self._deleted
        rules.check_create(run, packed.count, taken=taken, deleted=deleted)

    def _add_run(self, run: Run, packed: Packed) -> None:
        kept = rules.born(copy.deepcopy(run), self._order + 1)
        self._records[run.id] = moved(Record(kept), packed)
        self._order = kept.order
        name = run_log(run.id)
        log = self._logs.create(name, ref_of(kept))
        self._logs.add(name, rules.pack_birth(kept))
        self._logs.add(name, packed)
        log.sealed = run.ended
        self._add_news("run_added", kept.created_at, run.id)

    def _add(self, log: str, packed: Packed, changed: Record | None) -> Span:
        """Append to a log, and put its run, if it is a run's, as that leaves it."""
        kept = self._logs.find(log)
        first = kept.last + 1
        self._logs.add(log, packed)
        span = Span(first, kept.last, self._logs.positions().head)
        if changed is not None:
            run_id = changed.run.id
            before, self._records[run_id] = self._records[run_id], changed
            if changed.run.pending_approvals != before.run.pending_approvals:
                self._add_news("run_asked", packed.newest, run_id)
        return span

    def _add_news(self, event: str, time: int, run_id: str) -> None:
        self._logs.add(LIFECYCLE, rules.pack_lifecycle(time, event, [self._shown(run_id)]))

    def _told(self, event: str, time: int, run_id: str) -> Run:
        self._add_news(event, time, run_id)
        self._tell()
        return self._shown(run_id)


def _appended(
    record: Record | None,
    kept: Log,
    log: str,
    packed: Packed,
    advance: Advance | None,
    after: int | None,
) -> Record | None:
    """Return what an append makes of its run's record; raise what refuses it."""
    if kept.sealed:
        raise rules.log_sealed(log)
    rules.check_advance(log, 0 if record is None else record.checkpoint.offset, advance)
    rules.check_after(log, kept.last, after)
    return None if record is None else advanced(moved(record, packed), advance)


if TYPE_CHECKING:
    _: type[Store] = MemoryStore
