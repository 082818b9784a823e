"""Commits what was emitted, all that was taken at a time side by side, each lane in order."""

import asyncio
import logging
from collections import deque
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from runcast.core.errors import RuncastError, Unavailable
from runcast.runtime.runtime import Runtime
from runcast.server.backlog import Backlog, Emission, Stretch, Target

RETRY_S = 0.2  # before what the storage refused is committed again
FLUSH_S = 0.6  # that a stop waits for what is left, of the second that it may take

logger = logging.getLogger(__name__)

Part = list[Stretch]  # what is committed at once
Lane = deque[Part]


class Commits:
    """Commits a backlog until that is closed and empty, or `finish` ran out of time."""

    def __init__(self, backlog: Backlog, runtime: Runtime) -> None:
        self._backlog = backlog
        self._runtime = runtime
        self._under_way = 0  # emissions that were taken and not yet dealt with
        self._task = asyncio.create_task(self._run())

    async def finish(self) -> None:
        """Take nothing more, and commit what is left for a while; drop the rest, and say so."""
        self._backlog.close()
        await asyncio.wait([self._task], timeout=FLUSH_S)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        dropped = self._backlog.drop() + self._under_way
        if dropped:
            logger.error("%d emissions were dropped: the server had to stop before", dropped)

    async def _run(self) -> None:
        while emissions := await self._backlog.take():
            self._under_way = len(emissions)
            lanes = _lanes(emissions)
            while any(refusals := await asyncio.gather(*[self._commit(one) for one in lanes])):
                # Held up with it, the backlog fills, and who emits learns of it there.
                logger.warning("emissions wait for the storage: %s", next(filter(None, refusals)))
                await asyncio.sleep(RETRY_S)
            self._backlog.done(len(emissions))

    async def _commit(self, lane: Lane) -> Unavailable | None:
        """Commit a lane, part by part; what stays in it waits for the storage."""
        while lane:
            try:
                await self._commit_part(lane)
            except Unavailable as error:
                return error
        return None

    async def _commit_part(self, lane: Lane) -> None:
        """Commit the next part; what the log refuses is dropped, and said so."""
        part = lane[0]
        target = part[0][0]
        count = sum(len(values) for _, values in part)
        try:
            await target.take(self._runtime, part)
        except Unavailable:
            raise
        except RuncastError as error:
            if len(part) > 1:
                # Which of the targets it is shows when each has its own alone.
                lane.popleft()
                lane.extendleft(reversed(_alone(part)))
                return
            logger.warning("%d emissions to %s were refused: %s", count, target, error)
        except Exception:
            logger.exception("%d emissions to %s were lost", count, target)
        lane.popleft()
        self._under_way -= count


def _lanes(emissions: Iterable[Emission]) -> list[Lane]:
    lanes: dict[str, list[Emission]] = {}
    for one in emissions:
        lanes.setdefault(one.target.lane, []).append(one)
    return [deque(_parts(lane)) for lane in lanes.values()]


def _parts(lane: Iterable[Emission]) -> Iterable[Part]:
    for _, neighbours in groupby(lane, key=lambda one: one.target.together):
        stretches = groupby(neighbours, key=lambda one: one.target)
        yield [(target, [one.value for one in some]) for target, some in stretches]


def _alone(part: Sequence[Stretch]) -> list[Part]:
    values: dict[Target, list[Any]] = {}
    for target, some in part:
        values.setdefault(target, []).extend(some)
    return [[stretch] for stretch in values.items()]
