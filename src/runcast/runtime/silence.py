"""Silence: an external run of which nothing is heard for too long has failed."""

from collections.abc import AsyncIterator, Callable, Sequence

import structlog

from runcast.core.errors import Conflict, NotFound
from runcast.core.events import Batch, run_log
from runcast.core.runs import Run
from runcast.core.times import format_duration
from runcast.runtime.clock import now
from runcast.runtime.logs import Logs
from runcast.stores import RunFilter, Store

PAGE = 500
# A run's row says only so exactly, in parts of the timeout, when it was last heard of: writing
# it at every append would double their cost.
PRECISION = 10

log = structlog.get_logger(__name__)


class Silence:
    """Knows when the client of each open external run was last heard, and ends the silent ones.

    A run is never ended early: who was heard only by an earlier process has a tenth more time.
    """

    def __init__(
        self, store: Store, logs: Logs, timeout_s: float, clock: Callable[[], int] = now
    ) -> None:
        self._store = store
        self._logs = logs
        self._timeout = round(timeout_s * 1e6)
        self._clock = clock
        self._heard: dict[str, int] = {}
        store.listen(self._listen)

    async def end_silent(self) -> int:
        """End the runs that were silent for too long: failed, reason lost; return how many."""
        known = set(self._heard)
        ended = 0
        async for run in self._open():
            known.discard(run.id)
            try:
                ended += await self._look(run)
            except (Conflict, NotFound):
                continue  # its client has just ended or removed it
        for run_id in known:
            self._heard.pop(run_id, None)
        return ended

    async def _look(self, run: Run) -> bool:
        noted = run.heard_at or run.created_at
        slack = self._timeout // PRECISION
        heard = max(self._heard.get(run.id, noted + slack), noted)
        if self._clock() - heard > self._timeout:
            await self._end(run)
            return True
        if run.id in self._heard and heard - noted > slack:
            await self._store.update(run.id, {"heard_at": heard})
        return False

    async def _end(self, run: Run) -> None:
        silence = format_duration(self._timeout / 1e6)
        outcome = {"reason": "lost", "error": f"its client was silent for more than {silence}"}
        await self._store.transition(run.id, "failed", self._clock(), outcome)
        self._logs.seal(run_log(run.id))
        log.info("external.silent", run_id=run.id)

    async def _open(self) -> AsyncIterator[Run]:
        where = RunFilter(statuses=("queued", "running"), source="external")
        before: int | None = None
        while page := await self._store.runs(where, PAGE, before=before):
            for run in page:
                yield run
            before = page[-1].order

    def _listen(self, batches: Sequence[Batch]) -> None:
        for batch in batches:
            if batch.ref is not None and batch.ref.source == "external":
                self._heard[batch.ref.id] = self._clock()
