"""Retention: ended runs are removed whole, by age, count and size."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from pathlib import Path

import msgspec

from runcast.core.events import LIFECYCLE, MESSAGES
from runcast.core.once import Once, mapped
from runcast.core.runs import TERMINAL, Run, Status
from runcast.runtime.clock import now
from runcast.stores import RunFilter, Store

PAGE = 500
CHUNK = 100  # runs removed in one commit: a long prune must not hold up the appends


# Hears which runs were removed, and the floor since then.
Gone = Callable[[Sequence[str], int], None]


class PruneLimits(msgspec.Struct, frozen=True):
    """What to keep; None does not limit. `max_age` is in seconds since a run's end."""

    max_age: float | None = None
    max_count: int | None = None
    max_bytes: int | None = None


async def prune(store: Store, folders: Path, limits: PruneLimits, gone: Gone) -> int:
    """Remove the ended runs that are over a limit, a few in each commit; return how many went.

    The heads of `lifecycle` and `messages` are cut with them.
    """
    count = 0
    victims, kept_since = await expired(store, limits)
    for start in range(0, len(victims), CHUNK):
        count += await remove(store, folders, victims[start : start + CHUNK], gone)
    await trim_shared_logs(store, limits, kept_since if victims else None)
    return count


async def clear(
    store: Store,
    folders: Path,
    statuses: Collection[Status],
    gone: Gone,
    once: Once | None = None,
) -> int:
    """Remove all runs of these terminal statuses, a few in each commit; return how many went."""
    victims = [run async for run in _ended(store, statuses)]
    count = 0
    # The last commit keeps the answer; an empty one does if there is nothing to remove.
    last = max(len(victims) - 1, 0) // CHUNK * CHUNK
    for start in range(0, last, CHUNK):
        count += await remove(store, folders, victims[start : start + CHUNK], gone)
    before = count
    once = mapped(once, lambda removed: before + len(removed))
    return count + await remove(store, folders, victims[last:], gone, once)


async def expired(store: Store, limits: PruneLimits) -> tuple[list[Run], int]:
    """List the ended runs over a limit, oldest first; and tell since when the others exist."""
    count = size = 0
    kept_since = now()
    oldest = None if limits.max_age is None else now() - round(limits.max_age * 1e6)
    found: list[Run] = []
    async for run in _ended(store, TERMINAL):
        count += 1
        size += run.bytes
        if (
            (limits.max_count is not None and count > limits.max_count)
            or (limits.max_bytes is not None and size > limits.max_bytes)
            or (oldest is not None and (run.ended_at or 0) < oldest)
        ):
            found.append(run)
        else:
            kept_since = min(kept_since, run.created_at)
    found.reverse()
    return found, kept_since


async def remove(
    store: Store, folders: Path, runs: Sequence[Run], gone: Gone, once: Once | None = None
) -> int:
    """Remove runs from the store, say so to `gone`, then remove their folders; count them.

    A crash in between leaves folders that nothing names; recovery removes them.
    """
    removed = await store.delete([run.id for run in runs], now(), once=once)
    gone(removed, (await store.positions()).floor)
    for run in runs:
        if run.id in removed:
            await asyncio.to_thread(shutil.rmtree, folders / run.key, ignore_errors=True)
    return len(removed)


async def trim_shared_logs(store: Store, limits: PruneLimits, kept_since: int | None) -> None:
    """Cut the heads of `lifecycle` and `messages` by age; a run's log only goes whole.

    What `lifecycle` says from before `kept_since` is about runs that are gone.
    """
    if kept_since is not None:
        await store.trim(LIFECYCLE, kept_since)
    if limits.max_age is not None:
        before = now() - round(limits.max_age * 1e6)
        for log in (LIFECYCLE, MESSAGES):
            await store.trim(log, before)


async def _ended(store: Store, statuses: Collection[Status]) -> AsyncIterator[Run]:
    """Yield the runs of these terminal statuses, newest first."""
    where = RunFilter(statuses=sorted(statuses))
    before: int | None = None
    while page := await store.runs(where, PAGE, before=before):
        for run in page:
            yield run
        before = page[-1].order
