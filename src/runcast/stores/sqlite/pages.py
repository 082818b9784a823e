"""Pages of batches: of one log by seq, or of many by position."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from heapq import merge
from operator import itemgetter
from typing import Any, NamedTuple

import apsw

from runcast.core.events import Batch, run_of
from runcast.core.runs import RunRef
from runcast.stores import ALL_RUNS, Selection
from runcast.stores.sqlite import queries

CACHED_REFS = 10_000  # about 3 MB; beyond it all are forgotten and read again when needed
# Up to so many logs are read side by side, which costs some µs for each that has more; beyond it
# all batches are looked at in turn, for then these are a good part of them.
MERGED_LOGS = 1_000
Row = tuple[str, int, int, int, bytes]  # log, first seq, first position, count, body


class Refs:
    """What never changes about runs, by their logs: one object for all batches of a run."""

    def __init__(self) -> None:
        self._known: dict[str, RunRef | None] = {}

    def of(self, connection: apsw.Connection, log: str) -> RunRef | None:
        """Return what never changes about a log's run; safe in several threads."""
        try:
            return self._known[log]
        except KeyError:
            return self._load(connection, log)

    def _load(self, connection: apsw.Connection, log: str) -> RunRef | None:
        if len(self._known) >= CACHED_REFS:
            self._known.clear()
        rows: list[Any] = connection.execute(queries.REF, (log,)).fetchall()
        ref = RunRef(str(run_of(log)), *rows[0]) if rows else None
        return self._known.setdefault(log, ref)


class Standing(NamedTuple):
    """Where a log stands by seq, and how far its positions are ahead of its seqs at both ends."""

    name: str
    id: int
    first: int
    last: int
    first_gap: int
    last_gap: int


def read(connection: apsw.Connection, refs: Refs, log: str, after: int, limit: int) -> list[Batch]:
    """Return the batches of a log from the one that holds seq `after` + 1 on."""
    return take_rows(connection, refs, queries.READ, (log, after), limit)


def read_all(
    connection: apsw.Connection, refs: Refs, where: Selection, after: int, limit: int
) -> list[Batch]:
    """Return the selected batches from the one that holds position `after` + 1 on."""
    if where == ALL_RUNS:
        return take_rows(connection, refs, queries.READ_ALL, (after,), limit)
    with snapshot(connection):  # a run that comes meanwhile must not be passed over
        return _selected(connection, refs, where, after, limit)


@contextmanager
def snapshot(connection: apsw.Connection) -> Iterator[None]:
    """Have all statements see what was committed when the first began."""
    with connection:
        yield


def _selected(
    connection: apsw.Connection, refs: Refs, where: Selection, after: int, limit: int
) -> list[Batch]:
    if where.log is not None:
        logs = standing(connection, queries.STANDING_OF_LOG, [where.log])
        return _merged(connection, refs, logs, after, limit)
    terms, values = queries.selection_terms(where)
    clause = " WHERE " + " AND ".join(terms)
    some = queries.COUNT_SOME.format(clause)
    if connection.execute(some, (*values, MERGED_LOGS + 1)).get > MERGED_LOGS:
        scan = " AND ".join([queries.SCAN, *terms]) + queries.SCAN_ORDER
        return take_rows(connection, refs, scan, (after, *values), limit)
    logs = standing(connection, queries.STANDING_OF_RUNS + clause, values)
    return _merged(connection, refs, logs, after, limit)


def take_rows(
    connection: apsw.Connection,
    refs: Refs,
    sql: str,
    values: Sequence[str | int],
    limit: int,
) -> list[Batch]:
    """Return the batches that a statement finds, until their bodies add up to `limit` bytes."""
    # Closed at once: a statement that is not at its end pins the snapshot and the WAL.
    with closing(connection.cursor()) as cursor:
        return _take(connection, refs, cursor.execute(sql, values), limit)


def _take(connection: apsw.Connection, refs: Refs, rows: Iterable[Row], limit: int) -> list[Batch]:
    """Return batches until their bodies add up to `limit` bytes, at least one if there is one."""
    found: list[Batch] = []
    size = 0
    for name, first_seq, position, count, body in rows:
        ref = refs.of(connection, name)
        found.append(Batch(name, first_seq, position, count, body, ref))
        size += len(body)
        if size >= limit:
            break
    return found


def standing(connection: apsw.Connection, sql: str, values: Sequence[str]) -> list[Standing]:
    """Return where the logs stand that a statement finds, without those that hold no batches."""
    rows = map(Standing._make, connection.execute(sql, values).fetchall())
    return [log for log in rows if log.last_gap is not None]


def _merged(
    connection: apsw.Connection, refs: Refs, logs: Iterable[Standing], after: int, limit: int
) -> list[Batch]:
    sources = [_turns(connection, log, after) for log in logs if log.last + log.last_gap > after]
    turns = merge(*sources, key=itemgetter(0))
    return _take(connection, refs, (row for _, row in turns if row is not None), limit)


def _turns(
    connection: apsw.Connection, log: Standing, after: int
) -> Iterator[tuple[int, Row | None]]:
    """Yield the batches of a log by position, and first where they begin: it is read then."""
    yield max(log.first + log.first_gap, after), None
    start, wanted = seek(connection, log, after), 1
    # Twice as many each time: little is read in vain, and no cursor stays open beside hundreds of
    # others, which SQLite would walk through whenever one is opened.
    while rows := _rows(connection, log, start, wanted):
        for row in rows:
            _, first_seq, position, count, _ = row
            if position + count - 1 > after:
                yield position, row
        start, wanted = first_seq + count, wanted * 2


def _rows(connection: apsw.Connection, log: Standing, start: int, wanted: int) -> list[Row]:
    rows: list[Any] = connection.execute(
        queries.READ_FROM, (log.name, log.id, start, wanted)
    ).fetchall()
    return rows


def seek(connection: apsw.Connection, log: Standing, after: int) -> int:
    """Return the first seq of the newest batch that begins at position `after` + 1 or before.

    By halves, as positions grow with the seqs; they grow no slower, which bounds where to look.
    """
    start = log.first
    low = max(log.first, after + 1 - log.last_gap)
    high = min(log.last, after + 1 - log.first_gap)
    while low <= high:
        middle = (low + high + 1) // 2
        first_seq, position = next(connection.execute(queries.BATCH_AT, (log.id, middle)))
        if position <= after + 1:
            start, low = first_seq, middle + 1
        else:
            high = first_seq - 1
    return start
