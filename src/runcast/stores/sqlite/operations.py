"""What a transaction can do: each operation happens whole within it or not at all."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from runcast.core.errors import NotFound
from runcast.core.events import LIFECYCLE, run_log, run_of
from runcast.core.runs import Run, Status, check_transition, kind_of, ref_of
from runcast.stores import Addition, Advance, Approval, Span, Stdin, rules
from runcast.stores.rules import Packed
from runcast.stores.sqlite import queries
from runcast.stores.sqlite.ledger import Ledger

_encode = msgspec.msgpack.Encoder().encode
decode_run = msgspec.msgpack.Decoder(Run).decode
decode_approval = msgspec.msgpack.Decoder(Approval).decode


def find(ledger: Ledger, run_id: str) -> Run:
    """Return a run as it stands within the operation; NotFound if there is none."""
    try:
        log = ledger.log(run_log(run_id))
    except NotFound:
        raise rules.no_run(run_id) from None
    run = decode_run(ledger.query(queries.RUN_DOC, log.id)[0][0])
    return msgspec.structs.replace(run, order=log.id, last_seq=log.last, bytes=log.bytes)


def create(ledger: Ledger, run: Run, packed: Packed) -> Run:
    """Add a run as it stands, with its first events."""
    name = run_log(run.id)
    rules.check_create(
        run,
        packed.count,
        taken=bool(ledger.query(queries.HEAD, name)),
        deleted=bool(ledger.query(queries.IS_DELETED, run.id)[0][0]),
    )
    run = rules.born(run, ledger.add_log(name, ref_of(run)).id)
    ledger.add(name, rules.pack_birth(run))
    ledger.add(name, packed)
    run = _moved(ledger, run, packed)
    return _settle(ledger, run, "run_added", run.created_at)


def transition(
    ledger: Ledger,
    run_id: str,
    status: Status,
    time: int,
    outcome: Mapping[str, Any],
    packed: Packed,
    advance: Advance | None,
) -> Run:
    """Change a run's status, if that is a change, with the last events before it."""
    run = find(ledger, run_id)
    if not check_transition(run, status):
        return run
    name = run_log(run_id)
    rules.check_advance(name, ledger.log(name).offset, advance)
    run = rules.changed(run, status, time, outcome)
    ledger.add(name, packed, None if advance is None else advance.checkpoint)
    run = _moved(ledger, run, packed)
    ledger.add(name, rules.pack_status(run, time))
    if run.ended:
        ledger.query(queries.DELETE_STDIN, run.order)
    return _settle(ledger, run, "run_updated", time)


def claim(ledger: Ledger, limit: int, time: int) -> list[Run]:
    """Make the oldest queued runs running."""
    names = [row[0] for row in ledger.query(queries.TO_CLAIM, limit)]
    none = rules.pack(())
    return [
        transition(ledger, str(run_of(name)), "running", time, {}, none, None) for name in names
    ]


def update(ledger: Ledger, run_id: str, fields: Mapping[str, Any], time: int | None) -> Run:
    """Set fields of a run, and tell of it if it has a time."""
    run = rules.edited(find(ledger, run_id), fields)
    _save_run(ledger, run)
    if time is not None:
        ledger.add(LIFECYCLE, rules.pack_lifecycle(time, "run_updated", [run]))
    return run


def append(
    ledger: Ledger,
    name: str,
    packed: Packed,
    advance: Advance | None,
    after: int | None,
    stdin: Stdin | None,
) -> Span:
    """Append one batch, or only move the checkpoint or queue input."""
    log = ledger.log(name)
    if log.sealed:
        raise rules.log_sealed(name)
    rules.check_advance(name, log.offset, advance)
    rules.check_after(name, log.last, after)
    ledger.add(name, packed, None if advance is None else advance.checkpoint)
    span = Span(log.last + 1, log.last + packed.count, ledger.position)
    run_id = run_of(name)
    if run_id is not None and (packed.moves or stdin is not None):
        _exchange(ledger, run_id, packed, stdin)
    return span


def append_all(
    ledger: Ledger, additions: Sequence[tuple[Addition, Packed]], births: Sequence[Run]
) -> list[Span]:
    """Add runs, then append one batch to the log of each run that has an addition."""
    nothing = rules.pack(())
    for run in births:
        create(ledger, run, nothing)
    return [
        append(ledger, run_log(one.run_id), packed, one.advance, None, None)
        for one, packed in additions
    ]


def delivered(ledger: Ledger, name: str, end: int) -> None:
    """Drop the input that the command of a log's run has."""
    ledger.query(queries.DELIVERED, name, end)


def _exchange(ledger: Ledger, run_id: str, packed: Packed, stdin: Stdin | None) -> None:
    """Do what an append asks of a run beside its log, and tell if its approvals changed."""
    before = find(ledger, run_id)
    run = _moved(ledger, before, packed)
    if stdin is not None:
        run, piece = rules.fed(run, stdin)
        ledger.query(queries.ADD_STDIN, run.order, piece.offset, piece.data, piece.last)
    _save_run(ledger, run)
    if run.pending_approvals != before.pending_approvals:
        ledger.add(LIFECYCLE, rules.pack_lifecycle(packed.newest, "run_asked", [run]))


def _moved(ledger: Ledger, run: Run, packed: Packed) -> Run:
    """Move the approvals of a run as the entries tell, and return it with its new count."""
    if not packed.moves:
        return run
    for move in packed.moves:
        rows = ledger.query(queries.APPROVAL, run.order, move.id)
        approval = rules.moved(decode_approval(rows[0][0]) if rows else None, move)
        values = (run.order, approval.id, approval.state, _encode(approval))
        ledger.query(queries.SAVE_APPROVAL, *values)
    pending = ledger.query(queries.COUNT_PENDING, run.order)[0][0]
    return msgspec.structs.replace(run, pending_approvals=pending)


def _settle(ledger: Ledger, run: Run, event: str, time: int) -> Run:
    name = run_log(run.id)
    if run.ended:
        ledger.put(name, sealed=True)
    log = ledger.log(name)
    run = msgspec.structs.replace(run, last_seq=log.last, bytes=log.bytes)
    _save_run(ledger, run)
    ledger.add(LIFECYCLE, rules.pack_lifecycle(time, event, [run]))
    return run


def _save_run(ledger: Ledger, run: Run) -> None:
    ledger.query(
        queries.SAVE_RUN,
        *(
            run.order,
            run.key,
            run.status,
            run.workspace_id,
            run.task_id,
            run.source,
            kind_of(run),
        ),
        *(run.created_at, run.cancel_requested, _encode(run)),
    )
