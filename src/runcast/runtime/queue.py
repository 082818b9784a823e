"""The queue: first come, first run, so many at a time."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from pathlib import Path

import structlog

from runcast.config import Settings
from runcast.core.events import run_log
from runcast.core.once import Once
from runcast.core.runs import Run
from runcast.runtime.attendance import Policy
from runcast.runtime.clock import now
from runcast.runtime.execution import Execution, Here
from runcast.runtime.logs import Logs
from runcast.spool.folder import RunFolder
from runcast.stores import RunFilter, Store

PAGE = 500
RETRY_S = 0.5
LOOKS = 10  # at so many moments of an interval some of the runs are looked at

log = structlog.get_logger(__name__)


class Queue:
    """Claims queued runs in order and holds the executions of those that run here."""

    def __init__(self, store: Store, logs: Logs, folders: Path, settings: Settings) -> None:
        self.executions: dict[str, Execution] = {}
        self.limit = settings.queue.max_concurrent_runs
        self._sse = settings.api.sse
        self._store = store
        self._logs = logs
        self._folders = folders
        self._here = Here(store, _policy(settings), logs.hold)
        self._tasks: set[asyncio.Task[None]] = set()
        self._kicked = asyncio.Event()
        self._unsettled = True

    def start(self) -> None:
        """Begin to claim runs and to look after those that run."""
        for work in (self._claim(), self._look()):
            self._keep(asyncio.create_task(work))

    async def close(self) -> None:
        """Let go of everything; runners and what they run go on."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._here.close()

    def kick(self) -> None:
        """Look whether a queued run can start now."""
        self._kicked.set()

    def adopt(self, run: Run) -> None:
        """See a running run through to its end, from wherever it stands."""
        self.executions[run.id] = self._execution(run)
        self._keep(asyncio.create_task(self._run(run)))

    @property
    def unknown_lines(self) -> Mapping[str, int]:
        """How many lines of runs that ran here nobody understood, by dialect."""
        return self._here.unknown_lines

    def fed(self, run_id: str) -> None:
        """Deliver what was committed for a run's stdin, if it runs here."""
        if (execution := self.executions.get(run_id)) is not None:
            execution.fed()

    def settle(self) -> None:
        """Look for queued runs that were cancelled while storage refused to say so."""
        self._unsettled = True
        self.kick()

    def _execution(self, run: Run) -> Execution:
        return Execution(self._store, self._here, run, RunFolder(self._folders / run.key))

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            # A defect: what this task saw to stays as it is until a restart.
            log.error("queue.task_failed", exc_info=error)

    async def _run(self, run: Run) -> None:
        try:
            while True:
                if await self._finish(run.id):
                    break
                await asyncio.sleep(RETRY_S)
            self._logs.seal(run_log(run.id))
        finally:
            del self.executions[run.id]
            self.kick()

    async def _finish(self, run_id: str) -> bool:
        """See to the end of a run; False if something unforeseen was in the way."""
        try:
            await self.executions[run_id].finish()
        except Exception:
            # No descriptors left, a folder that cannot be read: it may pass, and an execution
            # works from what is on disk alone, so a new one can take the run up where it stands.
            log.exception("run.taken_up_again", run=run_id)
        else:
            return True
        before = self.executions[run_id]
        run = before.run
        with suppress(Exception):  # as it was known then will do
            run = await self._store.get(run_id)
        again = self.executions[run_id] = self._execution(run)
        again.cancelled = before.cancelled
        return False

    async def _claim(self) -> None:
        while True:
            self._kicked.clear()
            try:
                await self._claim_free()
            except Exception:
                log.exception("queue.claims_again")
                self._unsettled = True
                await asyncio.sleep(RETRY_S)
                continue
            await self._kicked.wait()

    async def _claim_free(self) -> None:
        if self._unsettled:
            self._unsettled = False
            async for run in marked(self._store):
                await cancel_queued(self._store, run.id)
                self._logs.seal(run_log(run.id))
        free = self.limit - len(self.executions)
        if free > 0:
            for run in await self._store.claim(free, now()):
                self.adopt(run)

    async def _look(self) -> None:
        """Look at everything now and then, so that a lost hint costs time and nothing else."""
        while True:
            executions = list(self.executions.values())
            usual = self._here.watch.available and all(one.hinted for one in executions)
            pause = self._sse.discovery_interval_ms if usual else self._sse.poll_interval_ms
            # Not at all of them at once: that would hold up everybody else.
            parts = max(1, min(LOOKS, len(executions)))
            for part in range(parts):
                await asyncio.sleep(pause / parts / 1000)
                self._here.runners.poll()
                for execution in list(self.executions.values())[part::parts]:
                    execution.look_behind()


def _policy(settings: Settings) -> Policy:
    return Policy(
        progress_s=settings.runs.progress_interval_ms / 1000,
        expire_s=settings.approvals.expire_s,
        linger_s=settings.runs.linger_s,
    )


async def marked(store: Store) -> AsyncIterator[Run]:
    """Yield the queued runs whose cancellation was begun and not finished."""
    before: int | None = None
    where = RunFilter(statuses={"queued"}, source="run")
    while page := await store.runs(where, PAGE, before=before):
        for run in page:
            if run.cancel_requested:
                yield run
        before = page[-1].order


async def cancel_queued(store: Store, run_id: str, once: Once | None = None) -> Run:
    """Cancel a run that is marked, so that no claim can take it meanwhile."""
    ended = {"reason": "cancelled", "ended_at": now()}
    return await store.transition(run_id, "cancelled", now(), ended, once=once)
