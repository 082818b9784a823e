"""The memory engine: the model that the others are compared with; nothing outlives it."""

# ruff: noqa: D102 - Store documents these methods once for every engine

import copy
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from runcast.core.errors import ConfigError
from runcast.core.events import LIFECYCLE, Batch, Entry, run_log, run_of
from runcast.core.runs import STATUSES, Run, Status, check_transition
from runcast.stores import (
    Advance,
    Checkpoint,
    Listener,
    LogHead,
    Positions,
    RunFilter,
    Span,
    Store,
    rules,
)
from runcast.stores.listeners import tell
from runcast.stores.rules import Packed


class _Log:
    """One log; `newest` has the newest time of each of its batches."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.newest: list[int] = []
        self.last = 0
        self.sealed = False

    def head(self) -> LogHead:
        first = self.batches[0].first_seq if self.batches else self.last + 1
        return LogHead(first, self.last, self.sealed, sum(len(b.body) for b in self.batches))


class MemoryStore:
    """Keeps everything in plain Python objects; see Store for what each call promises."""

    def __init__(self) -> None:
        self._logs = {name: _Log() for name in rules.SHARED_LOGS}
        self._runs: dict[str, Run] = {}  # in the order of creation
        self._checkpoints: dict[str, Checkpoint] = {}
        self._deleted: set[str] = set()
        self._order = self._position = self._floor = 0
        self._by_position: list[Batch] = []  # of run logs only
        self._listeners: list[Listener] = []
        self._news: list[Batch] = []
        self._closed = False

    async def close(self) -> None:
        self._closed = True

    def listen(self, listener: Listener) -> None:
        self._listeners.append(listener)

    async def create(self, run: Run, entries: Sequence[Entry] = ()) -> Run:
        self._check_open()
        packed = rules.pack(entries)
        taken, deleted = run.id in self._runs, run.id in self._deleted
        rules.check_create(run, packed.count, taken=taken, deleted=deleted)
        self._order += 1
        kept = copy.deepcopy(run)
        kept.order = self._order
        self._runs[run.id] = kept
        self._logs[run_log(run.id)] = log = _Log()
        self._add(run_log(run.id), rules.pack_status(kept, kept.created_at))
        self._add(run_log(run.id), packed)
        log.sealed = run.ended
        return self._told("run_added", kept.created_at, kept)

    async def get(self, run_id: str) -> Run:
        self._check_open()
        return self._shown(self._find(run_id))

    async def runs(
        self, where: RunFilter, limit: int, *, before: int | None = None, offset: int = 0
    ) -> list[Run]:
        found = [run for run in self._matching(where) if before is None or run.order < before]
        return [self._shown(run) for run in found[::-1][offset : offset + limit]]

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
        run = self._find(run_id)
        if not check_transition(run, status):
            return self._shown(run)
        log = run_log(run_id)
        rules.check_advance(log, self._offset(run_id), advance)
        kept = copy.deepcopy(rules.changed(run, status, time, outcome))
        self._runs[run_id] = kept
        self._add(log, rules.pack(entries))
        self._add(log, rules.pack_status(kept, time))
        self._logs[log].sealed = kept.ended
        if advance is not None:
            self._checkpoints[run_id] = advance.checkpoint
        return self._told("run_updated", time, kept)

    async def update(self, run_id: str, fields: Mapping[str, Any]) -> Run:
        self._check_open()
        self._runs[run_id] = copy.deepcopy(rules.edited(self._find(run_id), fields))
        return self._shown(self._runs[run_id])

    async def append(
        self,
        log: str,
        entries: Sequence[Entry],
        *,
        advance: Advance | None = None,
        after: int | None = None,
    ) -> Span:
        self._check_open()
        packed = rules.pack(entries)
        rules.check_append(log, packed.count, advance)
        kept = self._log(log)
        if kept.sealed:
            raise rules.log_sealed(log)
        run_id = run_of(log) or ""
        rules.check_advance(log, self._offset(run_id), advance)
        rules.check_after(log, kept.last, after)
        first = kept.last + 1
        self._add(log, packed)
        if advance is not None:
            self._checkpoints[run_id] = advance.checkpoint
        self._tell()
        return Span(first, kept.last, self._position)

    async def checkpoint(self, run_id: str) -> Checkpoint:
        self._check_open()
        return self._checkpoints.get(run_id, Checkpoint())

    async def read(self, log: str, after: int, limit_bytes: int) -> list[Batch]:
        self._check_open()
        batches = self._logs[log].batches if log in self._logs else []
        start = bisect_right(batches, after, key=lambda batch: batch.last_seq)
        return _first_bytes(batches[start:], limit_bytes)

    async def read_all(self, after: int, limit_bytes: int) -> list[Batch]:
        self._check_open()
        start = bisect_right(self._by_position, after, key=lambda batch: batch.last_position)
        return _first_bytes(self._by_position[start:], limit_bytes)

    async def head(self, log: str) -> LogHead:
        self._check_open()
        return self._log(log).head()

    async def positions(self) -> Positions:
        self._check_open()
        return Positions(self._position, self._floor)

    async def delete(self, run_ids: Sequence[str], time: int) -> list[str]:
        self._check_open()
        found = [self._runs[run_id] for run_id in dict.fromkeys(run_ids) if run_id in self._runs]
        for run in found:
            rules.check_delete(run)
        gone = [self._shown(run) for run in found]
        for run in gone:
            self._remove(run.id)
        self._add(LIFECYCLE, rules.pack_lifecycle(time, "run_removed", gone))
        self._tell()
        return [run.id for run in gone]

    async def is_deleted(self, run_id: str) -> bool:
        self._check_open()
        return run_id in self._deleted

    async def trim(self, log: str, before: int) -> int:
        self._check_open()
        rules.check_trim(log)
        kept = self._logs[log]
        dropped = 0
        while len(kept.batches) > 1 and kept.newest[0] < before:
            batch = kept.batches.pop(0)
            kept.newest.pop(0)
            dropped += batch.count
            self._floor = max(self._floor, batch.last_position)
        return dropped

    def _check_open(self) -> None:
        if self._closed:
            raise rules.closed()

    def _find(self, run_id: str) -> Run:
        if run_id not in self._runs:
            raise rules.no_run(run_id)
        return self._runs[run_id]

    def _log(self, log: str) -> _Log:
        if log not in self._logs:
            raise rules.no_log(log)
        return self._logs[log]

    def _offset(self, run_id: str) -> int:
        return self._checkpoints.get(run_id, Checkpoint()).offset

    def _matching(self, where: RunFilter) -> list[Run]:
        self._check_open()
        return [run for run in self._runs.values() if _matches(run, where)]

    def _shown(self, run: Run) -> Run:
        head = self._logs[run_log(run.id)].head()
        return msgspec.structs.replace(copy.deepcopy(run), last_seq=head.last, bytes=head.bytes)

    def _add(self, name: str, packed: Packed) -> None:
        if not packed.count:
            return
        log = self._logs[name]
        batch = Batch(name, log.last + 1, self._position + 1, packed.count, packed.body)
        log.batches.append(batch)
        log.newest.append(packed.newest)
        log.last = batch.last_seq
        self._position = batch.last_position
        self._news.append(batch)
        if run_of(name) is not None:
            self._by_position.append(batch)

    def _told(self, event: str, time: int, run: Run) -> Run:
        shown = self._shown(run)
        self._add(LIFECYCLE, rules.pack_lifecycle(time, event, [shown]))
        self._tell()
        return shown

    def _tell(self) -> None:
        news, self._news = self._news, []
        tell(self._listeners, news)

    def _remove(self, run_id: str) -> None:
        log = self._logs.pop(run_log(run_id))
        self._floor = max(self._floor, log.batches[-1].last_position)
        self._by_position = [b for b in self._by_position if b.log != run_log(run_id)]
        self._checkpoints.pop(run_id, None)
        del self._runs[run_id]
        self._deleted.add(run_id)


def _first_bytes(batches: Iterable[Batch], limit: int) -> list[Batch]:
    taken: list[Batch] = []
    size = 0
    for batch in batches:
        taken.append(batch)
        size += len(batch.body)
        if size >= limit:
            break
    return taken


def _matches(run: Run, where: RunFilter) -> bool:
    wanted = {
        "workspace_id": where.workspace_id,
        "task_id": where.task_id,
        "source": where.source,
    }
    return (
        (not where.statuses or run.status in where.statuses)
        and all(value is None or getattr(run, name) == value for name, value in wanted.items())
        and where.kind in (None, rules.kind_of(run))
        and (where.since is None or run.created_at >= where.since)
    )


async def open_store(location: str) -> MemoryStore:
    """Open an empty store; it has no location."""
    if location:
        raise ConfigError(f"the memory store has no location; write 'memory:', not {location!r}")
    return MemoryStore()


if TYPE_CHECKING:
    _: type[Store] = MemoryStore
