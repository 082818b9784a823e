"""What the memory engine keeps of a run beside its log, and what a change makes of it."""

import msgspec

from runcast.core.runs import Run, kind_of
from runcast.stores import Advance, Approval, Checkpoint, Piece, RunFilter, Stdin, rules
from runcast.stores.rules import Packed


class Record(msgspec.Struct, frozen=True):
    """A run with all that belongs to it but its log; `approvals` are in the order asked."""

    run: Run
    checkpoint: Checkpoint = Checkpoint()
    approvals: dict[str, Approval] = {}
    stdin: tuple[Piece, ...] = ()


def moved(record: Record, packed: Packed) -> Record:
    """Return a record with its approvals moved as the entries tell."""
    if not packed.moves:
        return record
    approvals = dict(record.approvals)
    for move in packed.moves:
        approvals[move.id] = rules.moved(approvals.get(move.id), move)
    pending = sum(approval.state == rules.PENDING for approval in approvals.values())
    run = msgspec.structs.replace(record.run, pending_approvals=pending)
    return msgspec.structs.replace(record, run=run, approvals=approvals)


def advanced(record: Record, advance: Advance | None) -> Record:
    """Return a record with its checkpoint moved, if it is to be."""
    if advance is None:
        return record
    return msgspec.structs.replace(record, checkpoint=advance.checkpoint)


def fed(record: Record, stdin: Stdin | None) -> Record:
    """Return a record with more input for its command, if there is any."""
    if stdin is None:
        return record
    run, piece = rules.fed(record.run, stdin)
    return msgspec.structs.replace(record, run=run, stdin=(*record.stdin, piece))


def matches(run: Run, where: RunFilter) -> bool:
    """Tell whether a run is one of those that a list asks for."""
    wanted = {
        "workspace_id": where.workspace_id,
        "task_id": where.task_id,
        "source": where.source,
    }
    return (
        (not where.statuses or run.status in where.statuses)
        and all(value is None or getattr(run, name) == value for name, value in wanted.items())
        and where.kind in (None, kind_of(run))
        and (where.since is None or run.created_at >= where.since)
    )
