"""Reading beside the writer: a few threads with connections that cannot write."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

import apsw
import msgspec

from runcast.core.errors import Unavailable
from runcast.core.events import Batch
from runcast.core.runs import STATUSES, Run, Status
from runcast.stores import Approval, Checkpoint, LogHead, Piece, Positions, RunFilter
from runcast.stores.sqlite import queries
from runcast.stores.sqlite.database import open_for_reading
from runcast.stores.sqlite.operations import decode_approval, decode_run

THREADS = 2  # a long list of runs must not hold up followers
T = TypeVar("T")
_decode_checkpoint = msgspec.msgpack.Decoder(Checkpoint).decode


class Reader:
    """Runs queries off the loop; each sees what was committed when it began."""

    def __init__(self, path: Path) -> None:
        self._free = [open_for_reading(path) for _ in range(THREADS)]
        self._threads = ThreadPoolExecutor(THREADS, "runcast-reader")

    async def run(self, query: Callable[..., T], *args: Any) -> T:
        """Call `query(connection, *args)` in a thread; Unavailable if storage refuses."""
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._threads, self._call, query, *args)
        except apsw.Error as error:
            raise Unavailable("storage", f"the store cannot be read: {error}") from error

    async def close(self) -> None:
        """Let the queries under way end, then close."""
        await asyncio.to_thread(self._threads.shutdown)
        for connection in self._free:
            connection.close()

    def _call(self, query: Callable[..., T], *args: Any) -> T:
        connection = self._free.pop()  # there are as many as threads
        try:
            return query(connection, *args)
        finally:
            self._free.append(connection)


def batches(
    connection: apsw.Connection, sql: str, values: tuple[str | int, ...], limit: int
) -> list[Batch]:
    """Return batches until their bodies add up to `limit` bytes, at least one if there is one."""
    found: list[Batch] = []
    size = 0
    # Closed at once: a statement that is not at its end pins the snapshot and the WAL.
    with closing(connection.cursor()) as cursor:
        for name, first_seq, position, count, body in cursor.execute(sql, values):
            found.append(Batch(name, first_seq, position, count, body))
            size += len(body)
            if size >= limit:
                break
    return found


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


def keys(connection: apsw.Connection) -> set[str]:
    """Return the folder keys of all runs."""
    return {key for (key,) in _rows(connection, queries.KEYS)}


def _rows(connection: apsw.Connection, sql: str, *values: Any) -> Iterator[Any]:
    return iter(connection.execute(sql, values).fetchall())


def _run(row: Any) -> Run:
    order, doc, last_seq, size = row
    return msgspec.structs.replace(decode_run(doc), order=order, last_seq=last_seq, bytes=size)
