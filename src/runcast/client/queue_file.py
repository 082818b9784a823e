"""The file in which an outbox keeps what could not be sent yet: a SQLite database."""

import os
import sqlite3
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from stat import S_IMODE

import msgspec

from runcast.client import queue_rows as rows
from runcast.client.errors import ClientError
from runcast.client.queue_folder import begin_file, command, set_aside, set_aside_before, turn
from runcast.client.queue_rows import Damage, Item, Request

_READ, _WRITE = "BEGIN", "BEGIN IMMEDIATE"  # the second waits its turn before it reads anything
_BUSY_S = 10.0  # others hold the file for one commit at a time
_MODE = 0o600
# SQLITE_ERROR is what it says of a table or column that is missing.
_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_ERROR)


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
            f"more. To begin a new one: {command(path, 'renew')}",
        )
        self.aside = aside


class NoOutbox(OutboxError):
    """The file is something else, or too damaged to tell; it is left as it is."""

    def __init__(self, path: Path, why: object) -> None:
        super().__init__(
            "outbox_storage",
            f"{path} is no outbox: {why}; it is as it was before. To set it aside and begin one in "
            f"its place: {command(path, 'renew')}",
        )


class QueueFile:
    """Keeps items in order; what a call has changed is on disk when it returns.

    A connection lives as long as a call, so threads, processes and forked children share a file
    without further ado. Only `keep` begins a file: before, it is as good as empty. Every call
    raises OutboxError if the file cannot be read or written, NoOutbox if it is something else,
    and OutboxDamaged if it is no whole outbox, until `renew` begins a new one. `now` is µs since
    the epoch.
    """

    def __init__(self, path: Path, max_items: int, max_bytes: int) -> None:
        try:
            # By whichever name it is reached, it has one lock and one journal.
            self.path = Path(os.path.realpath(path.expanduser()))
        except ValueError as error:
            raise OutboxError("outbox_storage", f"{str(path)!r} is no path: {error}") from None
        self._max_items = max_items
        self._max_bytes = max_bytes

    def keep(self, server: str, request: Request, now: int) -> int:
        """Put a request last and return its number; OutboxFull if there is no room."""
        row = rows.stored(server, request, now)
        if self._found() is None:
            self._begin()
        with self._opened() as db:
            items, size = db.execute(rows.TOTALS).fetchone()
            if items >= self._max_items or size + len(row[-1]) > self._max_bytes:
                raise OutboxFull(
                    f"the outbox {self.path} is full ({items} items, {size} bytes); see what is in "
                    f"it with: {command(self.path)}"
                )
            cursor = db.execute(rows.ADD, (server, request.kind, request.process, *row))
            assert cursor.lastrowid is not None
            return cursor.lastrowid

    def take(
        self, server: str, last: int, now: int, arrived: Item | None = None
    ) -> tuple[Item, Request] | None:
        """Return the first item that waits for this server, up to number `last`, as tried now.

        In the same commit, what has `arrived` is removed and what is too old is set aside.
        """
        with self._opened() as db:
            if arrived is not None:
                db.execute(rows.FORGET, (arrived.number,))
            while (row := db.execute(rows.FIRST_WAITING, (server, last)).fetchone()) is not None:
                item, request = rows.whole(row)
                if not rows.is_too_old(item, now):
                    rows.mark_tried(db, item, request, now)
                    return item, request
                db.execute(rows.EXPIRE, (item.number,))
            return None

    def forget(self, item: Item) -> None:
        """Remove an item that has arrived."""
        with self._opened() as db:
            db.execute(rows.FORGET, (item.number,))

    def refuse(self, item: Item, said: str) -> None:
        """Set an item aside as refused for good."""
        with self._opened() as db:
            db.execute(rows.REFUSE, (said, None, item.number))

    def refuse_unknown(self, item: Item, said: str) -> None:
        """Set an item aside whose process the server does not know.

        If a submit of the process was set aside before, it is because of that one.
        """
        with self._opened() as db:
            about = (item.server, item.process, item.number)
            submit = db.execute(rows.MISSING_SUBMIT, about).fetchone()[0]
            if submit is not None:
                said = f"{said}; the submit of its process, item {submit}, was set aside"
            db.execute(rows.REFUSE, (said, submit, item.number))

    def items(self, now: int) -> list[Item]:
        """Return everything that is kept, in order, as it stands now."""
        with self._opened(_READ) as db:
            return [rows.at(rows.item_of(row), now) for row in db.execute(rows.ITEMS)]

    def waiting(self, server: str) -> tuple[int, int]:
        """Return how many items wait for this server, and the number of the last of them."""
        with self._opened(_READ) as db:
            count, last = db.execute(rows.COUNT_WAITING, (server,)).fetchone()
            return count, last

    def drop(self, numbers: Collection[int]) -> int:
        """Remove items and what was set aside because of them; return how many went.

        All of it is done or, if there is no such item, nothing.
        """
        return self._remove(rows.DROP, numbers)

    def drop_alone(self, numbers: Collection[int]) -> int:
        """Remove items and nothing else; all of them or, if there is no such item, none."""
        return self._remove(rows.FORGET, numbers)

    def retry(self, numbers: Collection[int], now: int, new_key: Callable[[], str]) -> int:
        """Let items, and what was set aside because of them, wait again; return how many do.

        They have their old places in the order, new keys and a new age. All of it is done or, if
        one of them was not set aside, nothing.
        """
        with self._opened() as db:
            db.execute(rows.EXPIRE_ALL, rows.ages(now))
            found: dict[int, tuple[Item, Request]] = {}
            for number in numbers:
                aside = [rows.whole(row) for row in db.execute(rows.SET_ASIDE, (number,))]
                found |= {item.number: (item, request) for item, request in aside}
                if number not in found:
                    raise OutboxError("no_item", f"nothing was set aside as item {number}")
            for item, request in found.values():
                again = msgspec.structs.replace(request, key=new_key())
                db.execute(rows.SET_BACK, (*rows.stored(item.server, again, now), item.number))
            return len(found)

    def check(self) -> None:
        """Read the whole file; raise OutboxDamaged if it is not as it was written."""
        with self._opened(_READ) as db:
            # There is no index, so the quick form looks at everything but the bytes of the rows.
            if db.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
                raise Damage
            for row in db.execute(rows.ALL):
                rows.whole(row)

    def renew(self) -> Path | None:
        """Begin a new file if there is one that is no whole outbox; return where that is now."""
        try:
            found = self._found()
            self.check()
        except OutboxDamaged as error:
            aside = error.aside
        except NoOutbox:
            assert found is not None
            aside = self._set_aside(found)
        else:
            return None
        self._begin()
        return aside

    @contextmanager
    def turn_to_send(self) -> Iterator[bool]:
        """Keep all others from sending until the block is left; False if another one sends."""
        with ExitStack() as held:
            try:
                mine = held.enter_context(turn(self.path))
            except OSError as error:
                raise self._unusable(error) from None
            yield mine

    def _remove(self, statement: str, numbers: Collection[int]) -> int:
        with self._opened() as db:
            there = {number for (number,) in db.execute(rows.NUMBERS)}
            for number in numbers:
                if number not in there:
                    raise OutboxError("no_item", f"there is no item {number}")
            return db.executemany(statement, [(number,) for number in numbers]).rowcount

    @contextmanager
    def _opened(self, begin: str = _WRITE) -> Iterator[sqlite3.Connection]:
        """Open the file for one commit, made when the block is left without an error."""
        found = self._found()
        try:
            with _nothing() if found is None else _connected(self.path) as db:
                rows.recognize(db)
                if found is not None and S_IMODE(found.st_mode) != _MODE:
                    self.path.chmod(_MODE)
                db.execute(begin)
                yield db
                db.execute("COMMIT")
        except (Damage, msgspec.MsgspecError, UnicodeDecodeError):
            raise self._damaged(found) from None
        except sqlite3.Error as error:
            raise self._failure(error, found) from None
        except OSError as error:
            raise self._unusable(error) from None

    def _found(self) -> os.stat_result | None:
        """Return which file is there, None if none was ever begun."""
        try:
            return self.path.stat()
        except FileNotFoundError:
            if (aside := set_aside_before(self.path)) is not None:
                raise OutboxDamaged(self.path, aside) from None
            return None
        except OSError as error:
            raise self._unusable(error) from None

    def _begin(self) -> None:
        def fill(draft: Path) -> None:
            with _connected(draft) as db:
                db.executescript(rows.SCHEMA)

        try:
            begin_file(self.path, fill)
        except (OSError, sqlite3.Error) as error:
            raise self._unusable(error) from None

    def _failure(self, error: sqlite3.Error, found: os.stat_result | None) -> OutboxError:
        if _is_foreign(error):
            return NoOutbox(self.path, error)
        return self._damaged(found) if _is_damage(error) else self._unusable(error)

    def _damaged(self, found: os.stat_result | None) -> OutboxDamaged:
        assert found is not None
        return OutboxDamaged(self.path, self._set_aside(found))

    def _set_aside(self, found: os.stat_result) -> Path:
        try:
            return set_aside(self.path, found.st_ino)
        except OSError as error:
            raise self._unusable(error) from None

    def _unusable(self, error: Exception) -> OutboxError:
        return OutboxError(
            "outbox_storage",
            f"the outbox {self.path} cannot be used: {error}; it is as it was before",
        )


@contextmanager
def _connected(path: Path) -> Iterator[sqlite3.Connection]:
    # Closing takes back whatever was not committed.
    with ExitStack() as held:
        uri = f"{path.as_uri()}?mode=rw"
        db = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=_BUSY_S)
        held.callback(db.close)
        # Of a commit that is FULL only, a power cut could leave the rollback journal.
        db.execute("PRAGMA synchronous = EXTRA")
        yield db


@contextmanager
def _nothing() -> Iterator[sqlite3.Connection]:
    """Open an outbox that has no file, with nothing in it."""
    with ExitStack() as held:
        db = sqlite3.connect(":memory:", isolation_level=None)
        held.callback(db.close)
        db.executescript(rows.SCHEMA)
        yield db


def _is_foreign(error: sqlite3.Error) -> bool:
    code = getattr(error, "sqlite_errorcode", None)
    return isinstance(error, sqlite3.NotSupportedError) or code == sqlite3.SQLITE_NOTADB


def _is_damage(error: sqlite3.Error) -> bool:
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:  # text that cannot be decoded has no code
        return isinstance(error, sqlite3.OperationalError)
    return code & 0xFF in _DAMAGE
