"""Gathering: what many runs said at about the same time is read at once, and is one commit."""

import asyncio
import logging
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from runcast.stores import Addition, Store

AT_ONCE = 32  # so many are read before others have their turn on the loop

logger = logging.getLogger(__name__)


class Source(Protocol):
    """Somebody who says little at a time."""

    def gather(self) -> Addition | None:
        """Return what is to be committed, if anything; `gathered` or `left_out` is called then."""

    def gathered(self) -> None:
        """Note that it is committed."""

    def left_out(self) -> None:
        """Note that it was not committed, and is for the source itself to see to."""

    def broke(self, error: Exception) -> None:
        """Note that `gather` raised this."""


class _Part(NamedTuple):
    source: Source
    addition: Addition


class Gathering:
    """Commits together what sources say: neither a task nor a commit for each of them."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._due: list[Source] = []
        self._commits: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()

    def add(self, source: Source) -> None:
        """Have a source gathered from, in this turn of the loop or soon after."""
        if not self._due:
            self._loop.call_soon(self._gather)
        self._due.append(source)

    async def close(self) -> None:
        """Wait for what is being committed; nothing may be added any more."""
        self._due.clear()
        await asyncio.gather(*self._commits)

    def _gather(self) -> None:
        due, self._due = self._due[:AT_ONCE], self._due[AT_ONCE:]
        if self._due:
            self._loop.call_soon(self._gather)
        if parts := [part for source in due if (part := _part(source)) is not None]:
            commit = self._loop.create_task(self._commit(parts))
            self._commits.add(commit)
            commit.add_done_callback(self._commits.discard)

    async def _commit(self, parts: Sequence[_Part]) -> None:
        try:
            await self._store.append_all([part.addition for part in parts])
        except Exception:  # noqa: BLE001 - what is refused of one is refused of all
            # Whose fault it was, each finds out by itself.
            told = [part.source.left_out for part in parts]
        else:
            told = [part.source.gathered for part in parts]
        for tell in told:
            try:
                tell()
            except Exception:
                logger.exception("gathering: a source failed")


def _part(source: Source) -> _Part | None:
    try:
        addition = source.gather()
    except Exception as error:  # noqa: BLE001 - whoever it is about gets it, the others go on
        source.broke(error)
        return None
    return None if addition is None else _Part(source, addition)
