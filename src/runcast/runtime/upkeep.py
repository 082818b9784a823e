"""Upkeep: what a runtime does once a minute, whatever else happens."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress

import structlog

from runcast.core.errors import Conflict
from runcast.core.events import Draft, run_log
from runcast.runtime.clock import now
from runcast.stores import Store

PAUSE_S = 60.0
ANSWERS_KEPT_S = 24 * 3600  # to what a client may repeat

log = structlog.get_logger(__name__)

# Does one thing that may be due, and returns how many times it was done.
Work = Callable[[], Awaitable[int]]


async def keep_up(works: Mapping[str, Work]) -> None:
    """Do each of the works, by its name, again and again; one that fails is tried again."""
    while True:
        for name, work in works.items():
            try:
                if count := await work():
                    log.info(name, count=count)
            except Exception:
                log.exception(f"{name}.failed")
        await asyncio.sleep(PAUSE_S)


async def forget_answers(store: Store) -> int:
    """Drop the answers that are kept for longer than clients may repeat their requests."""
    return await store.forget_answers(now() - round(ANSWERS_KEPT_S * 1e6))


async def append_ticks(store: Store, run_ids: Collection[str], pause_s: float) -> None:
    """Append an event to the log of each running run, again and again: for tests alone."""
    while True:
        await asyncio.sleep(pause_s)
        for run_id in list(run_ids):
            draft = Draft(now(), "custom", {"name": "testing.tick", "value": None})
            with suppress(Conflict):  # it has just ended
                await store.append(run_log(run_id), [draft])
