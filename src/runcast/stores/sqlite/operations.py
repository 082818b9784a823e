"""What a transaction can do: each operation happens whole within it or not at all."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from runcast.core.errors import NotFound
from runcast.core.events import LIFECYCLE, run_log, run_of
from runcast.core.runs import Run, Status, check_transition
from runcast.stores import Advance, Span, rules
from runcast.stores.rules import Packed
from runcast.stores.sqlite import queries
from runcast.stores.sqlite.ledger import Ledger

REMOVE_ROWS = 100  # batches removed in one step: a writer that comes meanwhile waits so long
_encode_run = msgspec.msgpack.Encoder().encode
decode_run = msgspec.msgpack.Decoder(Run).decode


def create(ledger: Ledger, run: Run, packed: Packed) -> Run:
    """Add a run as it stands, with its first events."""
    name = run_log(run.id)
    rules.check_create(
        run,
        packed.count,
        taken=bool(ledger.query(queries.HEAD, name)),
        deleted=bool(ledger.query(queries.IS_DELETED, run.id)[0][0]),
    )
    run = msgspec.structs.replace(run, order=ledger.add_log(name).id)
    ledger.add(name, rules.pack_status(run, run.created_at))
    ledger.add(name, packed)
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
    run = _find(ledger, run_id)
    if not check_transition(run, status):
        return run
    name = run_log(run_id)
    rules.check_advance(name, ledger.log(name).offset, advance)
    run = rules.changed(run, status, time, outcome)
    ledger.add(name, packed)
    ledger.add(name, rules.pack_status(run, time))
    if advance is not None:
        ledger.save_checkpoint(name, advance.checkpoint)
    return _settle(ledger, run, "run_updated", time)


def claim(ledger: Ledger, limit: int, time: int) -> list[Run]:
    """Make the oldest queued runs running."""
    names = [row[0] for row in ledger.query(queries.TO_CLAIM, limit)]
    none = rules.pack(())
    return [
        transition(ledger, str(run_of(name)), "running", time, {}, none, None) for name in names
    ]


def update(ledger: Ledger, run_id: str, fields: Mapping[str, Any]) -> Run:
    """Set fields of a run."""
    run = rules.edited(_find(ledger, run_id), fields)
    _save_run(ledger, run)
    return run


def append(
    ledger: Ledger, name: str, packed: Packed, advance: Advance | None, after: int | None
) -> Span:
    """Append one batch, or only move the checkpoint."""
    log = ledger.log(name)
    if log.sealed:
        raise rules.log_sealed(name)
    rules.check_advance(name, log.offset, advance)
    rules.check_after(name, log.last, after)
    ledger.add(name, packed)
    if advance is not None:
        ledger.save_checkpoint(name, advance.checkpoint)
    return Span(log.last + 1, log.last + packed.count, ledger.position)


def delete(ledger: Ledger, run_ids: Sequence[str], time: int) -> list[str]:
    """Remove runs with their logs for good."""
    gone: list[Run] = []
    for run_id in dict.fromkeys(run_ids):
        try:
            run = _find(ledger, run_id)
        except NotFound:
            continue
        rules.check_delete(run)
        ledger.remove_log(run_log(run_id))
        ledger.query(queries.DELETE_RUN, run.order)
        ledger.query(queries.ADD_DELETED, run_id)
        gone.append(run)
    ledger.add(LIFECYCLE, rules.pack_lifecycle(time, "run_removed", gone))
    return [run.id for run in gone]


def trim(ledger: Ledger, name: str, before: int) -> int:
    """Drop the batches at the head of a log that are older than `before`."""
    log = ledger.log(name)
    found = ledger.query(queries.FIRST_KEPT, log.id, log.first, before, log.last)
    kept = found[0][0] if found else log.first
    if kept == log.first:
        return 0
    size, position = ledger.query(queries.TRIMMED, log.id, log.first, kept)[0]
    ledger.put(name, first=kept, bytes=log.bytes - size)
    ledger.floor = max(ledger.floor, position)
    ledger.remove_batches(log.id, kept)
    return int(kept - log.first)


def remove_some(ledger: Ledger) -> None:
    """Remove a few batches that readers no longer see; `removing` tells whether more wait."""
    waiting = ledger.query(queries.NEXT_REMOVAL)
    ledger.removing = bool(waiting)
    for log_id, before in waiting:
        removed = ledger.query(queries.REMOVE_BATCHES, log_id, before, REMOVE_ROWS)
        if len(removed) < REMOVE_ROWS:
            ledger.query(queries.END_REMOVAL, log_id)


def _find(ledger: Ledger, run_id: str) -> Run:
    try:
        log = ledger.log(run_log(run_id))
    except NotFound:
        raise rules.no_run(run_id) from None
    run = decode_run(ledger.query(queries.RUN_DOC, log.id)[0][0])
    return msgspec.structs.replace(run, order=log.id, last_seq=log.last, bytes=log.bytes)


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
            rules.kind_of(run),
        ),
        *(run.created_at, run.cancel_requested, _encode_run(run)),
    )
