"""The file in which an outbox keeps what could not be sent yet: a SQLite database."""

import fcntl
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec

from runcast.client import queue_rows as rows
from runcast.client.errors import ClientError
from runcast.client.queue_folder import begin_file, set_aside, set_aside_before
from runcast.client.queue_rows import Damage, Item, Request

_READ, _WRITE = "BEGIN", "BEGIN IMMEDIATE"  # the second waits its turn before it reads anything
_BUSY_S = 10.0  # others hold the file for one commit at a time
# SQLITE_ERROR is what it says of a table or column that is missing.
_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)


class OutboxError(ClientError):
    """The outbox cannot do this now; nothing of it was changed."""


class OutboxFull(OutboxError):
    """As much is kept as may be; nothing is dropped to make room."""

    def __init__(self, message: str) -> None:
        super().__init__("outbox_full", message)


class OutboxDamaged(OutboxError):
    """The file is no whole outbox; `aside` is where it is now, for somebody to look at."""

    def __init__(self, path: Path, aside: Path) -> None:
        super().__init__(
            "outbox_damaged",
            f"the outbox {path} was damaged and is set aside as {aside}; nothing of it is sent any "
            "more. To begin a new one: runcast outbox renew",
        )
        self.aside = aside


class QueueFile:
    """Keeps items in order; what a call has changed is on disk when it returns.

    A connection lives as long as a call, so threads, processes and forked children share a file
    without further ado. Every call raises OutboxError if the file cannot be read or written, and
    OutboxDamaged if it is no whole outbox, until `renew` begins a new one. `now` is µs since the
    epoch.
    """

    def __init__(self, path: Path, max_items: int, max_bytes: int) -> None:
        self.path = path.expanduser().absolute()
        self._max_items = max_items
        self._max_bytes = max_bytes

    def keep(self, server: str, request: Request, now: int) -> int:
        """Put a request last and return its number; OutboxFull if there is no room."""
        row = rows.stored(server, request, now)
        with self._opened() as db:
            items, size = db.execute(rows.TOTALS).fetchone()
            if items >= self._max_items or size + row[1] > self._max_bytes:
                raise OutboxFull(
                    f"the outbox {self.path} is full ({items} items, {size} bytes); see what is in "
                    "it with: runcast outbox"
                )
            cursor = db.execute(rows.ADD, (server, request.kind, request.process, *row))
            assert cursor.lastrowid is not None
            return cursor.lastrowid

    def first(self, server: str, last: int, now: int) -> tuple[Item, Request] | None:
        """Return the first item that waits for this server, up to number `last`.

        What is too old is set aside as expired; what follows a submit that was set aside, as
        refused.
        """
        with self._opened() as db:
            while (row := db.execute(rows.FIRST_WAITING, (server, last)).fetchone()) is not None:
                item, request = rows.whole(row)
                if rows.is_too_old(item, now):
                    db.execute(rows.EXPIRE, (item.number,))
                elif submit := rows.missing_submit(db, item):
                    said = f"the submit of its process, item {submit}, was set aside"
                    db.execute(rows.REFUSE, (said, submit, item.number))
                else:
                    return item, request
            return None

    def forget(self, item: Item) -> None:
        """Remove an item that has arrived."""
        with self._opened() as db:
            db.execute(rows.FORGET, (item.number,))
            if item.kind == "submit":
                db.execute(rows.MAKE_UP_FOR, (item.number, item.server, item.process))

    def refuse(self, number: int, said: str) -> None:
        """Set an item aside as refused for good."""
        with self._opened() as db:
            db.execute(rows.REFUSE, (said, None, number))

    def items(self, now: int) -> list[Item]:
        """Return everything that is kept, in order."""
        with self._opened() as db:
            db.execute(rows.EXPIRE_ALL, rows.ages(now))
            return [rows.item_of(row) for row in db.execute(rows.ITEMS)]

    def waiting(self, server: str) -> tuple[int, int]:
        """Return how many items wait for this server, and the number of the last of them."""
        with self._opened(_READ) as db:
            count, last = db.execute(rows.COUNT_WAITING, (server,)).fetchone()
            return count, last

    def drop(self, number: int) -> int:
        """Remove an item and what was set aside because of it; return how many went."""
        with self._opened() as db:
            return db.execute(rows.DROP, (number,)).rowcount

    def retry(self, number: int, now: int, new_key: Callable[[], str]) -> int:
        """Let an item, and what was set aside because of it, wait again; return how many do.

        They have their old places in the order, new keys and a new age.
        """
        with self._opened() as db:
            found = db.execute(rows.SET_ASIDE, (number,)).fetchall()
            for item, request in map(rows.whole, found):
                again = msgspec.structs.replace(request, key=new_key())
                row = rows.stored(item.server, again, now)
                db.execute(rows.SET_BACK, (*row, item.number))
            return len(found)

    def check(self) -> None:
        """Read the whole file; raise OutboxDamaged if it is not as it was written."""
        with self._opened(_READ) as db:
            # There is no index, so the quick form looks at everything but the bytes of the rows.
            if db.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
                raise Damage
            for row in db.execute(rows.ALL):
                rows.whole(row)

    def renew(self) -> None:
        """Begin a new file if the old one is damaged; a file that is whole stays as it is."""
        try:
            self.check()
        except OutboxDamaged:
            self._begin()

    @contextmanager
    def turn_to_send(self) -> Iterator[bool]:
        """Keep all others from sending until the block is left; False if another one sends."""
        with ExitStack() as held:
            try:
                self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                lock = os.open(f"{self.path}.lock", os.O_RDWR | os.O_CREAT, mode=0o600)
            except OSError as error:
                raise self._unusable(error) from None
            # The lock ends with the process that holds it, however that ends.
            held.callback(os.close, lock)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True

    @contextmanager
    def _opened(self, begin: str = _WRITE) -> Iterator[sqlite3.Connection]:
        """Open the file for one commit, made when the block is left without an error."""
        inode = self._found() or self._begin()
        try:
            with self._connected(self.path) as db:
                rows.recognize(db)
                self.path.chmod(0o600)
                db.execute(begin)
                yield db
                db.execute("COMMIT")
        except (Damage, msgspec.MsgspecError, UnicodeDecodeError):
            raise self._damaged(inode) from None
        except sqlite3.Error as error:
            raise (self._damaged(inode) if _is_damage(error) else self._unusable(error)) from None
        except OSError as error:
            raise self._unusable(error) from None

    @contextmanager
    def _connected(self, path: Path) -> Iterator[sqlite3.Connection]:
        # Closing takes back whatever was not committed.
        with ExitStack() as held:
            uri = f"{path.as_uri()}?mode=rw"
            db = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=_BUSY_S)
            held.callback(db.close)
            # Of a commit that is FULL only, a power cut could leave the rollback journal.
            db.execute("PRAGMA synchronous = EXTRA")
            yield db

    def _found(self) -> int:
        """Return which file is there, 0 if none was ever begun."""
        try:
            return self.path.stat().st_ino
        except FileNotFoundError:
            if (aside := set_aside_before(self.path)) is not None:
                raise OutboxDamaged(self.path, aside) from None
            return 0
        except OSError as error:
            raise self._unusable(error) from None

    def _begin(self) -> int:
        def fill(draft: Path) -> None:
            with self._connected(draft) as db:
                db.executescript(rows.SCHEMA)

        try:
            begin_file(self.path, fill)
            return self.path.stat().st_ino
        except (OSError, sqlite3.Error) as error:
            raise self._unusable(error) from None

    def _damaged(self, inode: int) -> OutboxError:
        try:
            return OutboxDamaged(self.path, set_aside(self.path, inode))
        except OSError as error:
            return self._unusable(error)

    def _unusable(self, error: Exception) -> OutboxError:
        return OutboxError(
            "outbox_storage",
            f"the outbox {self.path} cannot be used: {error}; it is as it was before",
        )


def _is_damage(error: sqlite3.Error) -> bool:
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:  # text that cannot be decoded has no code
        return isinstance(error, sqlite3.OperationalError)
    return code & 0xFF in _DAMAGE
