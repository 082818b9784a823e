"""Upkeep: what a runtime does once a minute, whatever else happens."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import structlog

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
