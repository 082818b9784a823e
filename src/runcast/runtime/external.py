"""External runs: a client reports what happens, runcast numbers, keeps and streams it."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import msgspec

from runcast.core.errors import BadRequest, Conflict
from runcast.core.events import EVENT_TYPES, Data, Draft, Entry, run_log
from runcast.core.ids import check_id, uuid7
from runcast.core.once import Once, mapped
from runcast.core.runs import (
    OUTCOME_FIELDS,
    TERMINAL,
    Reason,
    Run,
    Status,
    check_transition,
    fixed_metadata,
)
from runcast.runtime.approvals import Approvals
from runcast.runtime.blobs import spilled
from runcast.runtime.clock import now
from runcast.runtime.logs import Logs
from runcast.runtime.submit import fault_of_metadata
from runcast.runtime.workspaces import Workspaces
from runcast.stores import Addition, Span, Store

_TELLERS = {"run": "runcast executes", "watch": "a log file tells of"}  # and no client
_TIMES = ("started_at", "ended_at")  # what a client has said of them stays until it says more


class _Ending(msgspec.Struct):
    """What the data of a reported `status` event may say; anything else in it is passed over."""

    status: Status
    reason: Reason | None = None
    exit_code: int | None = None
    signal: str | None = None
    result: Any = None
    error: str | None = None


class ExternalSpec(msgspec.Struct, kw_only=True):
    """A run that its client executes; times are µs, and `kind` is what the client calls it."""

    id: str | None = None
    task_id: str | None = None
    workspace_id: str = "default"
    kind: str | None = None
    dialect: str = "lines"
    status: Status = "running"
    prompt_preview: str | None = None
    full_prompt: str | None = None
    started_at: int | None = None
    ended_at: int | None = None
    result: Any = None
    error: str | None = None
    structured_result: Any = None
    metadata: dict[str, Any] = {}


class Report(msgspec.Struct, frozen=True):
    """One event as a client reports it; without a time (µs) it happens now."""

    type: str
    data: Data
    time: int | None = None


class External:
    """What clients may do with the runs they report.

    Everything is durable when a call returns. Nothing of runcast's own ends or restarts such a
    run, but that it was silent for longer than `external.idle_timeout`.
    """

    def __init__(self, store: Store, logs: Logs, folders: Path, workspaces: Workspaces) -> None:
        self._store = store
        self._logs = logs
        self._folders = folders
        self._workspaces = workspaces
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def start(self, spec: ExternalSpec, once: Once | None = None) -> Run:
        """Add a run as its client describes it; one that has ended is sealed at once.

        Raises BadRequest, or Conflict `id_taken` or `id_deleted`.
        """
        await self._workspaces.folder(spec.workspace_id)
        _check_metadata(spec.metadata)
        run_id = uuid7() if spec.id is None else check_id(spec.id)
        fields = {name: getattr(spec, name) for name in spec.__struct_fields__}
        time = now()
        fields |= {"id": run_id, "key": uuid7(), "source": "external", "created_at": time}
        task_id = run_id if spec.task_id is None else check_id(spec.task_id, "task_id")
        fields["task_id"] = task_id
        if spec.status != "queued" and spec.started_at is None:
            fields["started_at"] = time
        if spec.status in TERMINAL and spec.ended_at is None:
            fields["ended_at"] = time
        return await self._store.create(Run(**fields), once=once)

    async def append(
        self,
        run_id: str,
        reports: Sequence[Report],
        after: int | None = None,
        once: Once | None = None,
    ) -> Span:
        """Append events in order; a terminal `status` as the last one ends the run.

        `after` is the last seq that the client knows of. Raises NotFound, BadRequest for what no
        event can be, or Conflict: `not_external`, `stale_after`, `log_sealed`.
        """
        drafts = [_draft(number, report) for number, report in enumerate(reports)]
        if not drafts:
            raise BadRequest.of("events", "give at least one")
        if any(draft.type == "status" for draft in drafts[:-1]):
            raise BadRequest.of("events", "a status must be the last of them")
        ending = _ending(drafts[-1]) if drafts[-1].type == "status" else None
        async with self._turn(run_id):
            run = await self._external(run_id)
            if run.ended:
                raise Conflict("log_sealed", f"run {run_id} has ended; nothing can be appended")
            if ending is not None and ending.status != run.status:
                return await self._end(run, drafts, ending, after, once)
            # The status that a run has already changes nothing.
            entries = await self._kept(run, drafts if ending is None else drafts[:-1])
            if not entries:
                return await self._nothing(run, after, once)
            return await self._store.append(run_log(run_id), entries, after=after, once=once)

    async def append_all(self, stretches: Sequence[tuple[str, Sequence[Report]]]) -> None:
        """Append events to runs, each with its id, in this order and in one commit.

        None may be a `status`. What `append` would refuse of one run is refused of all.
        """
        async with AsyncExitStack() as turns:
            runs: dict[str, Run] = {}
            for run_id in sorted({run_id for run_id, _ in stretches}):
                await turns.enter_async_context(self._turn(run_id))
                runs[run_id] = await self._external(run_id)
            additions = []
            for run_id, reports in stretches:
                drafts = [_draft(number, report) for number, report in enumerate(reports)]
                if any(draft.type == "status" for draft in drafts):
                    raise BadRequest.of("events", "a status must come alone")
                additions.append(Addition(run_id, await self._kept(runs[run_id], drafts)))
            await self._store.append_all(additions)

    async def update(
        self,
        run_id: str,
        fields: Mapping[str, Any],
        status: Status | None = None,
        once: Once | None = None,
    ) -> Run:
        """Change what a client tells of a run, and its status if one is given.

        The other fields may be changed after the end, and on runs that runcast executes; what is
        as it was is not told again. Raises NotFound, BadRequest, or Conflict: `not_external`,
        `bad_transition`.
        """
        _check_metadata(fields.get("metadata", {}))
        async with self._turn(run_id):
            run = await self._store.get(run_id)
            if status is None or status == run.status:
                return await self._edit(run, fields, once)
            _check_external(run)
            told = {name: getattr(run, name) for name in _TIMES if getattr(run, name) is not None}
            outcome = {name: value for name, value in fields.items() if name in OUTCOME_FIELDS}
            await self._withdraw(run, status)
            run = await self._store.transition(run_id, status, now(), told | outcome, once=once)
            self._seal(run)
        return run

    async def cancel(self, run: Run, once: Once | None = None) -> Run:
        """Cancel a run for all who watch it; its client, if it has one, learns of it as they do."""
        outcome = {"reason": "cancelled"}
        async with self._turn(run.id):
            await self._withdraw(run, "cancelled")
            run = await self._store.transition(run.id, "cancelled", now(), outcome, once=once)
            self._seal(run)
        return run

    async def _edit(self, run: Run, fields: Mapping[str, Any], once: Once | None) -> Run:
        if "metadata" in fields:
            fields = {**fields, "metadata": fields["metadata"] | fixed_metadata(run)}
        new = {name: told for name, told in fields.items() if _differs(getattr(run, name), told)}
        time = now() if new else None
        if run.source == "external":
            new["heard_at"] = now()
        return await self._store.update(run.id, new, time, once=once)

    async def _end(
        self,
        run: Run,
        drafts: list[Draft],
        ending: _Ending,
        after: int | None,
        once: Once | None,
    ) -> Span:
        """Change the status, as the last draft says, together with what happened before it."""
        _check_after(run, after)
        given = {name: getattr(ending, name) for name in ending.__struct_fields__}
        outcome = {name: given[name] for name in drafts[-1].data if name in given}
        status = outcome.pop("status")
        entries = await self._kept(run, drafts[:-1])
        once = mapped(once, lambda run: _span(run, len(drafts)))
        time = drafts[-1].time
        await self._withdraw(run, status)
        run = await self._store.transition(run.id, status, time, outcome, entries, once=once)
        self._seal(run)
        return _span(run, len(drafts))

    async def _nothing(self, run: Run, after: int | None, once: Once | None) -> Span:
        """Answer with an empty span."""
        _check_after(run, after)
        once = mapped(once, lambda run: _span(run, 0))
        return _span(await self._store.update(run.id, {}, once=once), 0)

    def _turn(self, run_id: str) -> asyncio.Lock:
        """Return what is held while a run is changed, so that what was looked at stays true."""
        return self._turns.setdefault(run_id, asyncio.Lock())

    async def _external(self, run_id: str) -> Run:
        run = await self._store.get(run_id)
        _check_external(run)
        return run

    async def _kept(self, run: Run, drafts: list[Draft]) -> list[Entry]:
        return await spilled(self._folders / run.key, drafts)

    async def _withdraw(self, run: Run, status: Status) -> None:
        """Settle what a run has asked and nobody answered, if it ends now."""
        if run.pending_approvals and check_transition(run, status) and status in TERMINAL:
            approvals = Approvals(self._store, run.id)
            await approvals.load()
            await approvals.withdraw(run_log(run.id))

    def _seal(self, run: Run) -> None:
        if run.ended:
            self._logs.seal(run_log(run.id))


def _check_external(run: Run) -> None:
    if run.source != "external":
        raise Conflict("not_external", f"{_TELLERS[run.source]} run {run.id}; no client does")


def _check_after(run: Run, after: int | None) -> None:
    if after is not None and after != run.last_seq:
        raise Conflict("stale_after", f"the last seq of {run.id} is {run.last_seq}, not {after}")


def _differs(one: object, other: object) -> bool:
    """Compare as JSON: to Python 1, 1.0 and True are equal."""
    return msgspec.json.encode(one) != msgspec.json.encode(other)


def _check_metadata(metadata: Mapping[str, Any]) -> None:
    if fault := fault_of_metadata(metadata):
        raise BadRequest.of("metadata", fault)


def _draft(number: int, report: Report) -> Draft:
    if report.type not in EVENT_TYPES:
        problem = f"{report.type!r} is none of {', '.join(EVENT_TYPES)}"
        raise BadRequest.of(f"events[{number}].type", problem)
    return Draft(now() if report.time is None else report.time, report.type, report.data)


def _ending(status: Draft) -> _Ending:
    try:
        return msgspec.convert(status.data, _Ending)
    except msgspec.ValidationError as error:
        raise BadRequest.of("status", str(error)) from None


def _span(run: Run, count: int) -> Span:
    return Span(run.last_seq - count + 1, run.last_seq, 0)
