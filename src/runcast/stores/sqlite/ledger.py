"""The writer's view of the store: where logs stand, and what the open transaction adds."""

from typing import Any

import apsw
import msgspec

from runcast.core.events import Batch, run_of
from runcast.core.runs import RunRef
from runcast.stores import Checkpoint, rules
from runcast.stores.rules import Packed
from runcast.stores.sqlite import queries

CACHED_LOGS = 10_000  # about 3 MB; beyond it all are forgotten and read again when needed
# A longer body is written at once: the database may find it too big, which is its own fault alone.
DEFERRED_BYTES = 65_536
_encode = msgspec.msgpack.Encoder().encode


class Log(msgspec.Struct, frozen=True):
    """A row of `logs`, with the offset of its checkpoint and what never changes about its run."""

    id: int
    first: int = 1
    last: int = 0
    bytes: int = 0
    sealed: bool = False
    offset: int = 0
    ref: RunRef | None = None


class Ledger:
    """Numbers what is written and remembers where each log stands, without reading it back.

    A transaction is `begin`, any number of operations, then `commit` or `rollback`. An operation
    is `start`, then `keep` or `undo`. What an operation changes in a log is kept beside what the
    transaction changed so far, and that beside what is committed, so that either can be dropped.
    What is only appended is written last, all at once, or before the next query.
    """

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._cursor = connection.cursor()
        self._committed: dict[str, Log] = {}
        self._staged: dict[str, Log | None] = {}  # None: deleted
        self._touched: dict[str, Log | None] = {}
        self._batches: list[Batch] = []
        self._rows: list[tuple[Any, ...]] = []  # to be added to `batches`
        self._checkpoints: list[tuple[Any, ...]] = []
        self._started = (0, 0, 0, 0, 0)
        self._marked = False  # whether a savepoint stands before the operation
        self._version: object = None
        self._saved = (0, 0)
        self.position = 0
        self.floor = 0
        self.removing = True  # until a look says that nothing waits to be removed

    def query(self, sql: str, *values: Any) -> list[Any]:
        """Run one statement of an operation and return its rows."""
        if not self._marked:
            self._mark()
        self._write()
        return self._run(sql, *values)

    def begin(self) -> None:
        """Open a transaction, starting from what is committed."""
        self._run("BEGIN IMMEDIATE")
        version = self._run("PRAGMA data_version")
        if version != self._version:
            # Another connection wrote, so nothing that is remembered may be trusted.
            self._version = version
            self._committed.clear()
            self._saved = self._run(queries.POSITIONS)[0]
        self.position, self.floor = self._saved

    def commit(self) -> list[Batch]:
        """Make the transaction durable and return the batches it added, in order."""
        self._write()
        self._save()
        self._run("COMMIT")
        self._saved = self.position, self.floor
        for name, log in self._staged.items():
            self._committed.pop(name, None)
            if log is not None and not log.sealed:
                self._committed[name] = log
        if len(self._committed) > CACHED_LOGS:
            self._committed.clear()
        return self._forget()

    def rollback(self) -> None:
        """Drop the transaction; SQLite may already have done so by itself."""
        if self._connection.in_transaction:
            self._run("ROLLBACK")
        self._rows.clear()
        self._checkpoints.clear()
        self._forget()

    def start(self) -> None:
        """Begin an operation."""
        self._marked = False
        written = len(self._rows), len(self._checkpoints)
        self._started = (len(self._batches), self.position, self.floor, *written)

    def keep(self) -> None:
        """Make the operation part of the transaction."""
        if self._marked:
            self._run("RELEASE operation")
        self._staged.update(self._touched)
        self._touched.clear()

    def undo(self) -> None:
        """Drop what the operation did; the transaction goes on."""
        count, self.position, self.floor, rows, checkpoints = self._started
        if self._marked:
            self._run("ROLLBACK TO operation")
            self._run("RELEASE operation")
            rows = checkpoints = 0
        self._touched.clear()
        del self._batches[count:], self._rows[rows:], self._checkpoints[checkpoints:]

    def log(self, name: str) -> Log:
        """Return where a log stands within the operation; NotFound if it does not exist."""
        for layer in (self._touched, self._staged):
            if name in layer:
                found = layer[name]
                break
        else:
            found = self._committed.get(name) or self._load(name)
        if found is None:
            raise rules.no_log(name)
        return found

    def add_log(self, name: str, ref: RunRef) -> Log:
        """Create the empty log of a run."""
        log = Log(self.query(queries.ADD_LOG, name)[0][0], ref=ref)
        self._touched[name] = log
        return log

    def add(self, name: str, packed: Packed, checkpoint: Checkpoint | None = None) -> None:
        """Number the entries and append them to a log as one batch; none at all are skipped.

        With a checkpoint, move that of the log's run.
        """
        if not packed.count and checkpoint is None:
            return
        log = self.log(name)
        last, size, offset = log.last, log.bytes, log.offset
        if packed.count:
            batch = Batch(
                *(name, last + 1, self.position + 1, packed.count, packed.body, log.ref),
                urgent=packed.urgent,
            )
            row = (batch.first_position, log.id, last + 1, batch.count, packed.newest, batch.body)
            if len(batch.body) > DEFERRED_BYTES:
                self.query(queries.ADD_BATCH, *row)
            else:
                self._rows.append(row)
            self._batches.append(batch)
            self.position = batch.last_position
            last, size = batch.last_seq, size + len(batch.body)
        if checkpoint is not None:
            offset = checkpoint.offset
            self._checkpoints.append((log.id, offset, _encode(checkpoint)))
        self._touched[name] = Log(log.id, log.first, last, size, log.sealed, offset, log.ref)

    def put(self, name: str, **fields: int) -> None:
        """Change where a log stands; it is written at the commit."""
        self._touched[name] = msgspec.structs.replace(self.log(name), **fields)

    def remove_log(self, name: str) -> None:
        """Remove a log and its checkpoint; its batches can no longer be read and go later."""
        log = self.log(name)
        last = self.query(queries.LAST_POSITION, log.id)
        self.floor = max(self.floor, last[0][0])
        self.query(queries.DELETE_CHECKPOINT, log.id)
        self.query(queries.DELETE_LOG, log.id)
        self.remove_batches(log.id, log.last + 1)
        self._touched[name] = None

    def remove_batches(self, log_id: int, before: int) -> None:
        """Have the batches whose first seq is below `before` removed when there is time."""
        self.query(queries.ADD_REMOVAL, log_id, before)
        self.removing = True

    def _run(self, sql: str, *values: Any) -> list[Any]:
        return self._cursor.execute(sql, values).fetchall()

    def _mark(self) -> None:
        """Set the savepoint of an operation, behind what others before it had to write."""
        own = self._rows[self._started[3] :], self._checkpoints[self._started[4] :]
        del self._rows[self._started[3] :], self._checkpoints[self._started[4] :]
        self._write()
        self._run("SAVEPOINT operation")
        self._marked = True
        self._rows, self._checkpoints = own

    def _write(self) -> None:
        if self._rows:
            self._cursor.executemany(queries.ADD_BATCH, self._rows)
            self._rows.clear()
        if self._checkpoints:
            self._cursor.executemany(queries.SAVE_CHECKPOINT, self._checkpoints)
            self._checkpoints.clear()

    def _load(self, name: str) -> Log | None:
        # What the transaction changed is in another layer, so this row is as committed.
        rows = self._run(queries.LOG, name)
        if rows:
            stand, unchanging, run_id = rows[0][:6], rows[0][6:], run_of(name)
            ref = None if run_id is None else RunRef(run_id, *unchanging)
            self._committed[name] = msgspec.structs.replace(Log(*stand), ref=ref)
        return self._committed.get(name)

    def _save(self) -> None:
        logs = [
            (log.id, log.first, log.last, log.bytes, log.sealed)
            for log in self._staged.values()
            if log is not None
        ]
        self._cursor.executemany(queries.SAVE_LOG, logs)
        for key, value, saved in zip(
            ("head", "floor"), (self.position, self.floor), self._saved, strict=True
        ):
            if value != saved:
                self._run(queries.SET_META, key, value)

    def _forget(self) -> list[Batch]:
        batches, self._batches = self._batches, []
        self._staged.clear()
        self._touched.clear()
        return batches
