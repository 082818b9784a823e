"""The queue: first come, first run, so many at a time."""

import asyncio
from pathlib import Path

import structlog

from runcast.config import Settings
from runcast.core.errors import Unavailable
from runcast.core.events import run_log
from runcast.core.runs import Run
from runcast.runtime.clock import now
from runcast.runtime.execution import STORAGE_RETRY_S, Execution, Here
from runcast.runtime.logs import Logs
from runcast.spool.folder import RunFolder
from runcast.stores import Store

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
        self._here = Here()
        self._tasks: set[asyncio.Task[None]] = set()
        self._kicked = asyncio.Event()

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
        folder = RunFolder(self._folders / run.key)
        execution = Execution(self._store, self._here, run, folder)
        self.executions[run.id] = execution
        self._keep(asyncio.create_task(self._run(execution)))

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            # A defect: what this task saw to stays as it is until a restart.
            log.error("queue.task_failed", exc_info=error)

    async def _run(self, execution: Execution) -> None:
        run = execution.run
        try:
            await execution.finish()
            self._logs.seal(run_log(run.id))
        finally:
            del self.executions[run.id]
            self.kick()

    async def _claim(self) -> None:
        while True:
            self._kicked.clear()
            free = self.limit - len(self.executions)
            if free > 0:
                try:
                    claimed = await self._store.claim(free, now())
                except Unavailable:
                    await asyncio.sleep(STORAGE_RETRY_S)
                    continue
                for run in claimed:
                    self.adopt(run)
            await self._kicked.wait()

    async def _look(self) -> None:
        """Look at everything now and then, so that a lost hint costs time and nothing else."""
        while True:
            hinted = all(execution.hinted for execution in self.executions.values())
            usual = hinted and self._here.watch.available
            pause = self._sse.discovery_interval_ms if usual else self._sse.poll_interval_ms
            await asyncio.sleep(pause / 1000)
            self._here.runners.poll()
            for execution in self.executions.values():
                execution.look()
