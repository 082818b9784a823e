"""Waiting until something changes in a folder: hints, with the caller's own poll behind them."""

import asyncio
import os
import stat
import sys
from collections.abc import Collection
from functools import partial
from types import TracebackType
from typing import Self

from runcast.tail.hints import CREATE, DELETE, MODIFY, MOVED_FROM, MOVED_TO, Hints, Ticket

LISTED = CREATE | DELETE | MOVED_FROM | MOVED_TO  # what changes the names in a folder


class Changes:
    """What has changed in some folders, for a program that does one thing after the other.

    Hints may be missing or late, and there are none where the system has none. Whoever waits is
    woken, too, when nobody reads standard output any more.
    """

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._found: dict[str, int] = {}
        self._tickets: dict[str, Ticket | None] = {}
        self._nobody_reads = False
        self._hints = self._loop.run_until_complete(_new_hints())

    def __enter__(self) -> Self:
        if _is_pipe(sys.stdout.fileno()):
            # The end that is written to becomes readable when the other one is closed.
            self._loop.add_reader(sys.stdout.fileno(), self._left)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._hints.close()
        self._loop.close()

    def watch(self, folders: Collection[str]) -> None:
        """Give hints of these folders from now on, and of no others."""
        for folder in self._tickets.keys() - set(folders):
            self._hints.remove(self._tickets.pop(folder))
        for folder in folders:
            if not self.is_hinted(folder):
                noted = partial(self._note, folder)
                self._tickets[folder] = self._hints.add(folder, MODIFY | LISTED, noted)

    def is_hinted(self, folder: str) -> bool:
        """Tell whether changes in the folder are hinted at."""
        ticket = self._tickets.get(folder)
        return ticket is not None and ticket.alive

    def wait(self, seconds: float) -> dict[str, int]:
        """Return the paths that were hinted at, and how, as soon as there are some.

        Raises BrokenPipeError once nobody reads standard output.
        """
        timer = self._loop.call_later(seconds, self._loop.stop)
        try:
            self._loop.run_forever()
        finally:
            timer.cancel()
        if self._nobody_reads:
            raise BrokenPipeError
        found, self._found = self._found, {}
        return found

    def _note(self, folder: str, name: str, mask: int) -> None:
        path = f"{folder}/{name}"
        self._found[path] = self._found.get(path, 0) | mask
        self._loop.stop()

    def _left(self) -> None:
        self._nobody_reads = True
        self._loop.stop()


async def _new_hints() -> Hints:
    return Hints()


def _is_pipe(fd: int) -> bool:
    return stat.S_ISFIFO(os.fstat(fd).st_mode)
