"""What every engine refuses, and what a change makes of a run: rules without storage."""

import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from runcast.core.errors import BadRequest, Conflict, NotFound, StaleCheckpoint, Unavailable
from runcast.core.events import (
    LIFECYCLE,
    MESSAGES,
    URGENT,
    Data,
    Draft,
    Entry,
    Lines,
    encode_entries,
    is_urgent,
    run_log,
    run_of,
)
from runcast.core.runs import OUTCOME_FIELDS, Run, Status, public_run, status_data
from runcast.core.workspaces import Workspace
from runcast.stores import Addition, Advance, Approval, Piece, Selection, Stdin

PENDING = "pending"  # the state of an approval that waits for its answer
SHARED_LOGS = (LIFECYCLE, MESSAGES)  # they belong to no run, always exist and may be trimmed
# What `update` may not set: identity (all that a RunRef tells), the status, what the store counts.
FIXED_FIELDS = frozenset(
    {
        *("id", "key", "source", "task_id", "workspace_id", "agent", "tool", "kind"),
        *("status", "order", "last_seq", "bytes"),
        *("pending_approvals", "stdin_bytes", "stdin_ended"),
    }
)
_EDITABLE = frozenset(Run.__struct_fields__) - FIXED_FIELDS
# The types of which `pack` has to know more than their time; so has it of stderr.
_MARKED = URGENT | {"output"}


class Packed(msgspec.Struct, frozen=True):
    """Entries ready to be stored: their encoding, how many events, and the newest time.

    `urgent` is that of their batch. `moves` has the approvals among them, each as its event alone
    tells it.
    """

    body: bytes
    count: int
    newest: int
    urgent: bool = False
    moves: tuple[Approval, ...] = ()


def pack(entries: Sequence[Entry]) -> Packed:
    """Encode entries as the body of a batch; no entries pack to a count of 0."""
    # Every append pays for this, so the entries are walked once, and by their types no further.
    count = newest = 0
    marked: list[Entry] = []
    for entry in entries:
        if entry.time > newest:
            newest = entry.time
        if isinstance(entry, Lines):
            count += len(entry.texts)
            if entry.stream == "stderr":
                marked.append(entry)
        else:
            count += 1
            if entry.type in _MARKED:
                marked.append(entry)
    body = encode_entries(entries)
    if not marked:
        return Packed(body, count, newest)
    return Packed(body, count, newest, any(map(is_urgent, marked)), _moves(marked))


def pack_addition(addition: Addition) -> Packed:
    """Pack what is to be appended to a run's log beside others'; ValueError if it is nothing."""
    packed = pack(addition.entries)
    check_append(run_log(addition.run_id), packed.count, addition.advance, None)
    return packed


def pack_status(run: Run, time: int) -> Packed:
    """Pack the `status` event that tells where `run` stands now."""
    return pack([Draft(time, "status", status_data(run))])


def pack_birth(run: Run) -> Packed:
    """Pack the `status` events with which the log of `run` begins."""
    statuses = [run]
    if run.source == "external" and run.ended:
        statuses.insert(0, Run(id=run.id, key=run.key, task_id=run.task_id, status="running"))
    return pack([Draft(run.created_at, "status", status_data(each)) for each in statuses])


def pack_message(data: Data, time: int) -> Packed:
    """Pack one message of the bus."""
    return pack([Draft(time, "message", data)])


def pack_lifecycle(time: int, name: str, runs: Sequence[Run]) -> Packed:
    """Pack one `lifecycle` event for each of the runs that were added, updated or removed."""
    return pack([Draft(time, "custom", {"name": name, "value": public_run(run)}) for run in runs])


def born(run: Run, order: int) -> Run:
    """Return a run as it is stored first: nothing was asked yet, whatever it says."""
    return msgspec.structs.replace(run, order=order, pending_approvals=0)


def changed(run: Run, status: Status, time: int, outcome: Mapping[str, Any]) -> Run:
    """Return the run in its new status; `time` is when it started or ended unless told."""
    unknown = set(outcome) - set(OUTCOME_FIELDS)
    if unknown:
        raise ValueError(f"not fields of an outcome: {sorted(unknown)}")
    stamp = {"started_at": time} if status == "running" else {"ended_at": time}
    return msgspec.structs.replace(run, status=status, **(stamp | dict(outcome)))


def edited(run: Run, fields: Mapping[str, Any]) -> Run:
    """Return the run with fields set; ValueError for one that only the store may set."""
    refused = set(fields) - _EDITABLE
    if refused:
        raise ValueError(f"not fields that can be updated: {sorted(refused)}")
    return msgspec.structs.replace(run, **fields)


def moved(before: Approval | None, move: Approval) -> Approval:
    """Return what an approval is after `move`; refuse to ask or to settle it twice."""
    if before is None:
        if move.state != PENDING:
            raise NotFound("not_found", f"the run has no approval {move.id}")
        return move
    if before.state != PENDING:
        raise Conflict("approval_settled", f"the approval {move.id} is {before.state} already")
    if move.state == PENDING:
        raise Conflict("approval_settled", f"the approval {move.id} has been asked already")
    return msgspec.structs.replace(before, state=move.state, data=before.data | move.data)


def fed(run: Run, stdin: Stdin) -> tuple[Run, Piece]:
    """Return the run with more input, and where that lies; Conflict after the end of input."""
    if run.stdin_ended:
        raise Conflict("input_closed", f"the input of run {run.id} has ended")
    piece = Piece(run.stdin_bytes, stdin.data, stdin.last)
    given = run.stdin_bytes + len(stdin.data)
    return msgspec.structs.replace(run, stdin_bytes=given, stdin_ended=stdin.last), piece


def put(before: Workspace | None, workspace: Workspace, time: int) -> Workspace:
    """Return a workspace as it is kept; Conflict if its id belongs to another folder."""
    if before is None:
        return msgspec.structs.replace(workspace, created_at=time)
    if before.root_path != workspace.root_path:
        raise Conflict(
            "workspace_taken",
            f"the workspace {workspace.id} has the root path {before.root_path}; choose another id",
        )
    return msgspec.structs.replace(before, name=workspace.name, color=workspace.color)


def check_once(key: str, *, taken: bool) -> None:
    """Refuse to do a second time what is to happen once."""
    if taken:
        raise Conflict("idempotency_conflict", f"the key of {key} was used already")


def check_message(msg_id: str, *, taken: bool, unknown: Sequence[str]) -> None:
    """Refuse an id that is in use, and parents that are not there."""
    if taken:
        raise Conflict("id_taken", f"a message with the id {msg_id} exists; choose another id")
    if unknown:
        raise BadRequest.of("parents", f"there is no message {unknown[0]}")


def check_selection(where: Selection) -> None:
    """Refuse to select by run what belongs to no run."""
    if where.log is not None and (
        where.log not in SHARED_LOGS or where != Selection(log=where.log)
    ):
        raise ValueError(f"only {' and '.join(SHARED_LOGS)} can be selected, each alone")


def check_runs_selected(where: Selection) -> None:
    """Refuse a log of no run where only those of runs are read."""
    if where.log is not None:
        raise ValueError(f"only logs of runs can be read back, not {where.log}")


def check_create(run: Run, count: int, *, taken: bool, deleted: bool) -> None:
    """Refuse an id that is or was in use, and entries behind a terminal status."""
    if taken:
        raise Conflict("id_taken", f"a run with the id {run.id} exists; choose another id")
    if deleted:
        raise Conflict("id_deleted", f"the id {run.id} belonged to a deleted run; choose another")
    if count and run.ended:
        raise log_sealed(run.id)


def check_append(log: str, count: int, advance: Advance | None, stdin: Stdin | None) -> None:
    """Refuse calls that no state of the store could make right."""
    if not count and advance is None and stdin is None:
        raise ValueError("an append needs at least one event")
    if (advance is not None or stdin is not None) and log in SHARED_LOGS:
        raise ValueError(f"{log} belongs to no run and has no checkpoint and no stdin")
    if stdin is not None and not stdin.data and not stdin.last:
        raise ValueError("stdin needs at least one byte, unless it is the last")


def check_advance(name: str, offset: int, advance: Advance | None) -> None:
    """Refuse to move a checkpoint that is not where the caller believes it is."""
    if advance is not None and advance.expected != offset:
        raise StaleCheckpoint(
            "stale_checkpoint",
            f"the checkpoint of {name} is at {offset}, not at {advance.expected}; read it again",
        )


def check_after(log: str, last: int, after: int | None) -> None:
    """Refuse an append whose caller has not seen the log's last event."""
    if after is not None and after != last:
        raise Conflict(
            "stale_after", f"the last seq of {log} is {last}, not {after}; read on and try again"
        )


def check_delete(run: Run) -> None:
    """Refuse to remove a run that runcast is executing."""
    if run.source == "run" and run.status == "running":
        raise Conflict("run_active", f"run {run.id} is running; cancel it first")


def check_trim(log: str) -> None:
    """Refuse to trim the log of a run: those are removed whole."""
    if log not in SHARED_LOGS:
        raise ValueError(f"only {' and '.join(SHARED_LOGS)} can be trimmed, not {log}")


def no_run(run_id: str) -> NotFound:
    """Make the error for an id that no run has."""
    return NotFound("not_found", f"there is no run {run_id}")


def no_workspace(workspace_id: str) -> NotFound:
    """Make the error for an id that no workspace has."""
    return NotFound("not_found", f"there is no workspace {workspace_id}")


def no_log(log: str) -> NotFound:
    """Make the error for a log that does not exist; clients know that of a run as the run."""
    run_id = run_of(log)
    if run_id is not None:
        return no_run(run_id)
    return NotFound("not_found", f"there is no log {log}")


def log_sealed(name: str) -> Conflict:
    """Make the error for an append to the log of an ended run."""
    return Conflict("log_sealed", f"{name} has ended; nothing can be appended to its log")


def closed() -> Unavailable:
    """Make the error for a call on a closed store."""
    return Unavailable("draining", "the store is closed")


def _moves(marked: Iterable[Entry]) -> tuple[Approval, ...]:
    # Copies: what the callers do to their events later must not reach what the store keeps.
    return tuple(
        Approval(
            id=event.data["id"],
            state=event.data["state"],
            data=copy.deepcopy(event.data),
            time=event.time,
        )
        for event in marked
        if isinstance(event, Draft)
        and event.type == "approval"
        and all(isinstance(event.data.get(name), str) for name in ("id", "state"))
    )
