"""What every engine refuses, and what a change makes of a run: rules without storage."""

import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from runcast.core.errors import Conflict, NotFound, StaleCheckpoint, Unavailable
from runcast.core.events import (
    LIFECYCLE,
    MESSAGES,
    Draft,
    Entry,
    count_events,
    encode_entries,
    run_of,
)
from runcast.core.runs import OUTCOME_FIELDS, Run, Status, public_run, status_data
from runcast.stores import Advance, Approval, Piece, Stdin

PENDING = "pending"  # the state of an approval that waits for its answer
SHARED_LOGS = (LIFECYCLE, MESSAGES)  # they belong to no run, always exist and may be trimmed
# What `update` may not set: identity, the status, and what the store counts.
FIXED_FIELDS = frozenset(
    {
        *("id", "key", "source", "status", "order", "last_seq", "bytes"),
        *("pending_approvals", "stdin_bytes", "stdin_ended"),
    }
)
_EDITABLE = frozenset(Run.__struct_fields__) - FIXED_FIELDS


class Packed(msgspec.Struct, frozen=True):
    """Entries ready to be stored: their encoding, how many events, and the newest time.

    `moves` has the approvals among them, each as its event alone tells it.
    """

    body: bytes
    count: int
    newest: int
    moves: tuple[Approval, ...] = ()


def pack(entries: Sequence[Entry]) -> Packed:
    """Encode entries as the body of a batch; no entries pack to a count of 0."""
    body = encode_entries(entries)
    newest = max([entry.time for entry in entries], default=0)
    # Every append pays for this look, so it goes by the type of an entry and no further.
    told = [entry for entry in entries if type(entry) is Draft and entry.type == "approval"]
    return Packed(body, count_events(entries), newest, _moves(told) if told else ())


def pack_status(run: Run, time: int) -> Packed:
    """Pack the `status` event that tells where `run` stands now."""
    return pack([Draft(time, "status", status_data(run))])


def pack_lifecycle(time: int, name: str, runs: Sequence[Run]) -> Packed:
    """Pack one `lifecycle` event for each of the runs that were added, updated or removed."""
    return pack([Draft(time, "custom", {"name": name, "value": public_run(run)}) for run in runs])


def kind_of(run: Run) -> str:
    """Name what a run executes, as RunFilter.kind matches it."""
    return run.agent or run.tool or "command"


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


def _moves(told: Iterable[Draft]) -> tuple[Approval, ...]:
    # Copies: what the callers do to their events later must not reach what the store keeps.
    return tuple(
        Approval(
            id=event.data["id"],
            state=event.data["state"],
            data=copy.deepcopy(event.data),
            time=event.time,
        )
        for event in told
        if all(isinstance(event.data.get(name), str) for name in ("id", "state"))
    )
