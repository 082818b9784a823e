"""Reading beside the writer: a few threads with connections that cannot write."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import apsw

from runcast.core.errors import Unavailable
from runcast.stores.sqlite.database import open_for_reading

THREADS = 2  # a long list of runs must not hold up followers
T = TypeVar("T")


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
