"""The default engine: one SQLite database file, through apsw's own SQLite."""

import asyncio
from pathlib import Path
from urllib.parse import parse_qs

from runcast.core.errors import ConfigError
from runcast.stores.sqlite.database import (
    SYNCHRONOUS,
    Durability,
    migrations,
    open_database,
)
from runcast.stores.sqlite.reader import Reader
from runcast.stores.sqlite.store import SqliteStore
from runcast.stores.sqlite.writer import Writer


async def open_store(location: str) -> SqliteStore:
    """Open `PATH` or `PATH?durability=fast`, making the file if there is none.

    Raises ConfigError, in one line, if the file cannot be opened, is not a runcast store or was
    written by a newer runcast. One process at a time should have a store open.
    """
    path, durability = parse_location(location)
    connection = await asyncio.to_thread(open_database, path, durability, migrations())
    return SqliteStore(Writer(connection), Reader(path))


def parse_location(location: str) -> tuple[Path, Durability]:
    """Split a location into the path of the file and the durability asked for."""
    # The last one: a path may have a question mark of its own.
    text, mark, query = location.rpartition("?")
    text, query = (text, query) if mark else (query, "")
    options = parse_qs(query, keep_blank_values=True)
    asked = options.pop("durability", ["safe"])[-1]
    if options or not text:
        raise ConfigError(f"a SQLite store is PATH or PATH?durability=fast, not {location!r}")
    for durability in SYNCHRONOUS:
        if durability == asked:
            return Path(text).absolute(), durability
    raise ConfigError(f"durability must be {' or '.join(SYNCHRONOUS)}, not {asked!r}")
