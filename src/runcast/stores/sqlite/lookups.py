"""What can be asked of the database about runs and logs, but for their events."""

from collections.abc import Iterator
from typing import Any

import apsw
import msgspec

from runcast.core.runs import STATUSES, Run, Status
from runcast.stores import Approval, Checkpoint, LogHead, Piece, Positions, RunFilter
from runcast.stores.sqlite import queries
from runcast.stores.sqlite.operations import decode_approval, decode_run

_decode_checkpoint = msgspec.msgpack.Decoder(Checkpoint).decode


def head(connection: apsw.Connection, log: str) -> LogHead | None:
    """Return where a log stands, None if it does not exist."""
    for first, last, sealed, size in _rows(connection, queries.HEAD, log):
        return LogHead(first, last, bool(sealed), size)
    return None


def positions(connection: apsw.Connection) -> Positions:
    """Return the newest position and the floor."""
    return Positions(*next(_rows(connection, queries.POSITIONS)))


def checkpoint(connection: apsw.Connection, log: str) -> Checkpoint:
    """Return the checkpoint of a log's run."""
    for (doc,) in _rows(connection, queries.CHECKPOINT, log):
        return _decode_checkpoint(doc)
    return Checkpoint()


def approvals(connection: apsw.Connection, log: str) -> list[Approval]:
    """Return the approvals of a log's run, in the order asked."""
    return [decode_approval(doc) for (doc,) in _rows(connection, queries.APPROVALS, log)]


def stdin(connection: apsw.Connection, log: str) -> list[Piece]:
    """Return what waits for the command of a log's run."""
    rows = _rows(connection, queries.STDIN, log)
    return [Piece(offset, data, bool(last)) for offset, data, last in rows]


def is_deleted(connection: apsw.Connection, run_id: str) -> bool:
    """Tell whether the id is spent."""
    return bool(next(_rows(connection, queries.IS_DELETED, run_id))[0])


def run(connection: apsw.Connection, log: str) -> Run | None:
    """Return the run of a log, None if there is none."""
    for row in _rows(connection, queries.RUN, log):
        return _run(row)
    return None


def runs(
    connection: apsw.Connection, where: RunFilter, limit: int, before: int | None, offset: int
) -> list[Run]:
    """Return a page of the runs that match, newest first."""
    clause, values = queries.where_clause(where, before)
    rows = _rows(connection, queries.RUNS + clause + queries.PAGE, *values, limit, offset)
    return [_run(row) for row in rows]


def count(connection: apsw.Connection, where: RunFilter) -> int:
    """Count the runs that match."""
    clause, values = queries.where_clause(where)
    return int(next(_rows(connection, queries.COUNT + clause, *values))[0])


def totals(connection: apsw.Connection) -> dict[Status, int]:
    """Count the runs of each status."""
    return dict.fromkeys(STATUSES, 0) | dict(_rows(connection, queries.TOTALS))


def workspace_totals(connection: apsw.Connection) -> dict[str, int]:
    """Count the runs of each workspace that has any."""
    return dict(_rows(connection, queries.WORKSPACE_TOTALS))


def keys(connection: apsw.Connection) -> set[str]:
    """Return the folder keys of all runs."""
    return {key for (key,) in _rows(connection, queries.KEYS)}


def _rows(connection: apsw.Connection, sql: str, *values: Any) -> Iterator[Any]:
    return iter(connection.execute(sql, values).fetchall())


def _run(row: Any) -> Run:
    order, doc, last_seq, size = row
    return msgspec.structs.replace(decode_run(doc), order=order, last_seq=last_seq, bytes=size)
