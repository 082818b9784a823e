"""Taking runs and old events away: gone for readers at once, from the file a little at a time."""

from collections.abc import Sequence

from runcast.core.errors import NotFound
from runcast.core.events import LIFECYCLE, run_log
from runcast.core.runs import Run
from runcast.stores import rules
from runcast.stores.sqlite import queries
from runcast.stores.sqlite.ledger import Ledger
from runcast.stores.sqlite.operations import find

REMOVE_ROWS = 100  # batches removed in one step: a writer that comes meanwhile waits so long


def delete(ledger: Ledger, run_ids: Sequence[str], time: int) -> list[str]:
    """Remove runs with their logs for good."""
    gone: list[Run] = []
    for run_id in dict.fromkeys(run_ids):
        try:
            run = find(ledger, run_id)
        except NotFound:
            continue
        rules.check_delete(run)
        ledger.remove_log(run_log(run_id))
        for sql in (queries.DELETE_RUN, queries.DELETE_APPROVALS, queries.DELETE_STDIN):
            ledger.query(sql, run.order)
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
        ledger.query(queries.REMOVE_MESSAGE_IDS)
        if len(removed) < REMOVE_ROWS:
            ledger.query(queries.END_REMOVAL, log_id)
