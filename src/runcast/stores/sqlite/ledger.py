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
    """

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._cursor = connection.cursor()
        self._committed: dict[str, Log] = {}
        self._staged: dict[str, Log | None] = {}  # None: deleted
        self._touched: dict[str, Log | None] = {}
        self._batches: list[Batch] = []
        self._started = (0, 0, 0)
        self._version: object = None
        self._saved = (0, 0)
        self.position = 0
        self.floor = 0
        self.removing = True  # until a look says that nothing waits to be removed

    def query(self, sql: str, *values: Any) -> list[Any]:
        """Run one statement in the transaction and return its rows."""
        return self._cursor.execute(sql, values).fetchall()

    def begin(self) -> None:
        """Open a transaction, starting from what is committed."""
        self.query("BEGIN IMMEDIATE")
        version = self.query("PRAGMA data_version")
        if version != self._version:
            # Another connection wrote, so nothing that is remembered may be trusted.
            self._version = version
            self._committed.clear()
            self._saved = self.query(queries.POSITIONS)[0]
        self.position, self.floor = self._saved

    def commit(self) -> list[Batch]:
        """Make the transaction durable and return the batches it added, in order."""
        self._save()
        self.query("COMMIT")
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
            self.query("ROLLBACK")
        self._forget()

    def start(self) -> None:
        """Begin an operation."""
        self.query("SAVEPOINT operation")
        self._started = len(self._batches), self.position, self.floor

    def keep(self) -> None:
        """Make the operation part of the transaction."""
        self.query("RELEASE operation")
        self._staged.update(self._touched)
        self._touched.clear()

    def undo(self) -> None:
        """Drop what the operation did; the transaction goes on."""
        self.query("ROLLBACK TO operation")
        self.query("RELEASE operation")
        self._touched.clear()
        count, self.position, self.floor = self._started
        del self._batches[count:]

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

    def add(self, name: str, packed: Packed) -> None:
        """Number the entries and append them to a log as one batch; none at all are skipped."""
        if not packed.count:
            return
        log = self.log(name)
        batch = Batch(
            *(name, log.last + 1, self.position + 1, packed.count, packed.body, log.ref),
            urgent=packed.urgent,
        )
        self.query(
            queries.ADD_BATCH,
            *(batch.first_position, log.id, batch.first_seq, batch.count, packed.newest),
            batch.body,
        )
        self._batches.append(batch)
        self.position = batch.last_position
        self.put(name, last=batch.last_seq, bytes=log.bytes + len(batch.body))

    def put(self, name: str, **fields: int) -> None:
        """Change where a log stands; it is written at the commit."""
        self._touched[name] = msgspec.structs.replace(self.log(name), **fields)

    def save_checkpoint(self, name: str, checkpoint: Checkpoint) -> None:
        """Move the checkpoint of a log's run."""
        doc = _encode(checkpoint)
        self.query(queries.SAVE_CHECKPOINT, self.log(name).id, checkpoint.offset, doc)
        self.put(name, offset=checkpoint.offset)

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

    def _load(self, name: str) -> Log | None:
        # What the transaction changed is in another layer, so this row is as committed.
        rows = self.query(queries.LOG, name)
        if rows:
            stand, unchanging, run_id = rows[0][:6], rows[0][6:], run_of(name)
            ref = None if run_id is None else RunRef(run_id, *unchanging)
            self._committed[name] = msgspec.structs.replace(Log(*stand), ref=ref)
        return self._committed.get(name)

    def _save(self) -> None:
        for log in self._staged.values():
            if log is not None:
                self.query(queries.SAVE_LOG, log.id, log.first, log.last, log.bytes, log.sealed)
        for key, value, saved in zip(
            ("head", "floor"), (self.position, self.floor), self._saved, strict=True
        ):
            if value != saved:
                self.query(queries.SET_META, key, value)

    def _forget(self) -> list[Batch]:
        batches, self._batches = self._batches, []
        self._staged.clear()
        self._touched.clear()
        return batches
