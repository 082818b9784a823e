"""Opening a database file: its connections, and bringing its schema up to date."""

from collections.abc import Sequence
from contextlib import suppress
from importlib.resources import files
from pathlib import Path
from typing import Literal

import apsw

from runcast.core.errors import ConfigError
from runcast.stores.sqlite import queries

Durability = Literal["safe", "fast"]
# NORMAL syncs only at WAL checkpoints: a power cut may take the newest commits, a crash never.
SYNCHRONOUS: dict[Durability, str] = {"safe": "FULL", "fast": "NORMAL"}
BUSY_MS = 5_000  # another program (a backup, a shell) may hold the lock for a moment
WAL_PAGES = 4_000  # 16 MiB between WAL checkpoints: each costs two syncs in some commit's way
_STATEMENTS = 200  # all that are named in `queries`, and the shapes of lists


def migrations() -> list[str]:
    """Return the SQL of each step, oldest first; the schema version is how many were made."""
    folder = files("runcast.stores.sqlite") / "migrations"
    found = {path.name: path for path in folder.iterdir() if path.name.endswith(".sql")}
    return [found[name].read_text() for name in sorted(found)]


def open_database(path: Path, durability: Durability, steps: Sequence[str]) -> apsw.Connection:
    """Open the writing connection and migrate the file; ConfigError tells why it cannot be."""
    try:
        connection = apsw.Connection(str(path), statementcachesize=_STATEMENTS)
    except apsw.Error as error:
        raise _refused(path, error) from error
    try:
        # First: setting the journal mode writes into the file, whoever it belongs to.
        _check_version(connection, path, len(steps))
        _prepare(connection, durability)
        _migrate(connection, path, steps)
        _gather_statistics(connection)
    except apsw.Error as error:
        connection.close()
        raise _refused(path, error) from error
    except ConfigError:
        connection.close()
        raise
    return connection


def open_for_reading(path: Path) -> apsw.Connection:
    """Open a connection that cannot write, to a file that `open_database` has opened."""
    connection = apsw.Connection(
        str(path), flags=apsw.SQLITE_OPEN_READONLY, statementcachesize=_STATEMENTS
    )
    connection.set_busy_timeout(BUSY_MS)
    return connection


def _refused(path: Path, error: apsw.Error) -> ConfigError:
    return ConfigError(f"cannot open the store {path}: {error}")


def _prepare(connection: apsw.Connection, durability: Durability) -> None:
    connection.set_busy_timeout(BUSY_MS)
    connection.pragma("journal_mode", "WAL")
    connection.pragma("synchronous", SYNCHRONOUS[durability])
    connection.pragma("wal_autocheckpoint", WAL_PAGES)


def _gather_statistics(connection: apsw.Connection) -> None:
    # Without them a list of runs may be searched by the index that excludes the least. They are
    # sampled and taken only where a table has much changed; a full disk can do without.
    with suppress(apsw.Error):
        connection.pragma("optimize", 0x10002)


def _migrate(connection: apsw.Connection, path: Path, steps: Sequence[str]) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = _check_version(connection, path, len(steps))
        for step in steps[version:]:
            connection.execute(step)
        if version < len(steps):
            connection.execute(queries.SET_META, ("schema_version", len(steps)))
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _check_version(connection: apsw.Connection, path: Path, known: int) -> int:
    version: int = 0
    if connection.table_exists("main", "meta"):
        version = connection.execute(queries.SCHEMA_VERSION).get
    elif not connection.execute(queries.IS_EMPTY).get:
        raise ConfigError(f"{path} is a database of another program, not a runcast store")
    if version > known:
        raise ConfigError(
            f"the store {path} has schema version {version}, newer than the {known} "
            "that this runcast knows; use a newer runcast"
        )
    return version
