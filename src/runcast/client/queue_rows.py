"""What an outbox keeps: items, and the rows of the database that they are."""

import sqlite3
from hashlib import sha256
from typing import Any, Literal

import msgspec

from runcast.client.workspaces import Place

State = Literal["waiting", "refused", "expired"]
Row = tuple[Any, ...]

# The server forgets a key 24 h after it first heard it; the rest is room for a slow request.
KEY_LIFE_S = 24 * 3600 - 600
_AHEAD_S = 600  # a clock that was set back by more leaves keys whose age nobody knows

_APPLICATION = 0x52434F42  # "RCOB": tells an outbox from other databases
_VERSION = 1
_MARKS = {"application_id": _APPLICATION, "user_version": _VERSION}

# No index: what is set aside is little, and what comes first is found first.
SCHEMA = f"""
    PRAGMA application_id = {_APPLICATION};
    PRAGMA user_version = {_VERSION};
    CREATE TABLE items (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        state TEXT NOT NULL CHECK (state IN ('waiting', 'refused', 'expired')),
        server TEXT NOT NULL,
        kind TEXT NOT NULL,
        process TEXT,
        kept_at INTEGER NOT NULL,
        tried_at INTEGER,
        size INTEGER NOT NULL,
        because INTEGER,
        said TEXT NOT NULL,
        digest BLOB NOT NULL,
        request BLOB NOT NULL
    );
"""
_ITEM = "number, state, server, kind, process, kept_at, tried_at, size, because, said"
ITEMS = f"SELECT {_ITEM} FROM items ORDER BY number"  # noqa: S608
NUMBERS = "SELECT number FROM items"
ALL = f"SELECT {_ITEM}, digest, request FROM items"  # noqa: S608
FIRST_WAITING = f"""
    SELECT {_ITEM}, digest, request FROM items
    WHERE state = 'waiting' AND server = ? AND number <= ? ORDER BY number LIMIT 1
"""  # noqa: S608
ADD = """
    INSERT INTO items (state, said, server, kind, process, kept_at, digest, size, request)
    VALUES ('waiting', '', ?, ?, ?, ?, ?, ?, ?)
"""
TOTALS = "SELECT count(*), ifnull(sum(size), 0) FROM items"
COUNT_WAITING = """
    SELECT count(*), ifnull(max(number), 0) FROM items WHERE state = 'waiting' AND server = ?
"""
MISSING_SUBMIT = """
    SELECT max(number) FROM items WHERE kind = 'submit' AND state != 'waiting'
    AND server = ? AND process = ? AND number < ?
"""
MARK_TRIED = "UPDATE items SET tried_at = ?, digest = ? WHERE number = ?"
REFUSE = "UPDATE items SET state = 'refused', said = ?, because = ? WHERE number = ?"
FORGET = "DELETE FROM items WHERE number = ?"
# A submit, and what was set aside because of it.
DROP = "DELETE FROM items WHERE number = ?1 OR because = ?1"
SET_ASIDE = f"""
    SELECT {_ITEM}, digest, request FROM items
    WHERE state != 'waiting' AND (number = ?1 OR because = ?1)
"""  # noqa: S608
SET_BACK = """
    UPDATE items SET state = 'waiting', said = '', because = NULL,
    tried_at = NULL, kept_at = ?, digest = ?, size = ?, request = ? WHERE number = ?
"""
_EXPIRED_SAID = "it is so old that a server may have forgotten its key"
_EXPIRED = f"state = 'expired', said = '{_EXPIRED_SAID}'"
EXPIRE = f"UPDATE items SET {_EXPIRED} WHERE number = ?"  # noqa: S608
# What was never tried has no time, and NULL is not outside of anything.
EXPIRE_ALL = f"""
    UPDATE items SET {_EXPIRED} WHERE state = 'waiting' AND tried_at NOT BETWEEN ? AND ?
"""  # noqa: S608


class Damage(Exception):
    """What was read is not what was written."""


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What is sent: byte for byte the same, however often, so that it is done once.

    The server must know the workspace at `place` before it takes the request.
    """

    kind: str
    process: str | None
    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    key: str
    place: Place | None = None


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is kept; items are sent in the order of their numbers.

    `kept_at` and `tried_at`, the first time that it was sent, are µs since the epoch; `size` is
    bytes. `said` is why it was set aside, in the server's words if it refused it. `because` is
    the submit that was set aside before, if it was refused for want of its process.
    """

    number: int
    state: State
    server: str
    kind: str
    process: str | None
    kept_at: int
    tried_at: int | None
    size: int
    because: int | None
    said: str


def recognize(db: sqlite3.Connection) -> None:
    """Raise NotSupportedError for a database that is no outbox, or one of another version."""
    for name, ours in _MARKS.items():
        if db.execute(f"PRAGMA {name}").fetchone() != (ours,):
            raise sqlite3.NotSupportedError("it does not begin as one of this version does")


def ages(now: int) -> tuple[int, int]:
    """Return between which times something may have been tried first to be sent again now."""
    return now - KEY_LIFE_S * 1_000_000, now + _AHEAD_S * 1_000_000


def is_too_old(item: Item, now: int) -> bool:
    """Whether a server may have heard and forgotten the item's key, and would do it twice."""
    earliest, latest = ages(now)
    return item.tried_at is not None and not earliest <= item.tried_at <= latest


def at(item: Item, now: int) -> Item:
    """Return an item as it stands at this time: what waits may have expired meanwhile."""
    if item.state != "waiting" or not is_too_old(item, now):
        return item
    return msgspec.structs.replace(item, state="expired", said=_EXPIRED_SAID)


def mark_tried(db: sqlite3.Connection, item: Item, request: Request, now: int) -> None:
    """Note that an item is sent now, unless it was sent before."""
    if item.tried_at is None:
        digest = _digest(item.server, item.kept_at, now, _encoded(request))
        db.execute(MARK_TRIED, (now, digest, item.number))


def stored(server: str, request: Request, now: int) -> Row:
    """Make the part of a row that holds a request: its age, digest, size and bytes."""
    encoded = _encoded(request)
    return now, _digest(server, now, None, encoded), len(encoded), encoded


def item_of(row: Row) -> Item:
    """Make an item of the first columns of a row; ValidationError if they cannot be one."""
    return msgspec.convert(dict(zip(Item.__struct_fields__, row, strict=True)), Item)


def whole(row: Row) -> tuple[Item, Request]:
    """Make a row's item and request; Damage if a byte of what is sent has changed."""
    *columns, digest, encoded = row
    item = item_of(tuple(columns))
    # SQLite notices a broken page, not a changed byte within a row.
    if digest != _digest(item.server, item.kept_at, item.tried_at, encoded):
        raise Damage
    request = msgspec.msgpack.decode(encoded, type=Request)
    if (item.kind, item.process) != (request.kind, request.process):
        raise Damage
    return item, request


def _encoded(request: Request) -> bytes:
    return msgspec.msgpack.encode(request)


def _digest(server: str, kept_at: int, tried_at: int | None, encoded: bytes) -> bytes:
    return sha256(msgspec.msgpack.encode((server, kept_at, tried_at)) + encoded).digest()
