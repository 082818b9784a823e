"""One running run on this machine: its runner, its ingest, its end."""

import asyncio
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import structlog

import runcast.runner
from runcast.core.errors import Unavailable
from runcast.core.runs import Run
from runcast.runner.sweep import sweep
from runcast.runtime.clock import now
from runcast.runtime.ingest import Budget, Ingest
from runcast.runtime.outcome import LOST, outcome_of
from runcast.runtime.watch import Watch
from runcast.spool.folder import RunFolder
from runcast.stores import Store

START_ATTEMPTS = 3
CANCEL_POLL_S = 0.1
CANCEL_MARGIN_S = 5.0  # beyond the grace, before the runner itself is taken for stuck
STORAGE_RETRY_S = 0.25
RUNNER = str(Path(runcast.runner.__file__).with_name("__main__.py"))

log = structlog.get_logger(__name__)


class Execution:
    """Sees one claimed run through to its terminal status.

    Works from what is on disk alone, so it makes no difference whether this server started the
    runner, adopts a living one, or comes after its end.
    """

    def __init__(
        self, store: Store, watch: Watch, budget: Budget, run: Run, folder: RunFolder
    ) -> None:
        self.run = run
        self.folder = folder
        self._store = store
        self._watch = watch
        self._ingest = Ingest(store, budget, run, folder.output_path)
        self._look = asyncio.Event()
        self._check = True
        self._attempts = 0
        self._cancelling: asyncio.Task[None] | None = None
        self._pidfd: int | None = None

    def look(self) -> None:
        """Look whether the runner still lives, and read on."""
        self._check = True
        self._look.set()

    def grown(self) -> None:
        """Read on: the spool has grown."""
        self._look.set()

    def cancel(self) -> None:
        """Ask the runner to end the run; it is asked until it has."""
        if self._cancelling is None:
            self._cancelling = asyncio.create_task(self._cancel())

    async def finish(self) -> Run:
        """Start the runner if need be, ingest to the end, commit the terminal status.

        Cancelling leaves the run running and everything committed so far valid.
        """
        handle = self._watch.add(self.folder.path, self.grown, self.look)
        try:
            await self._ingest.open()
            if self.run.cancel_requested:
                self.cancel()
            record = await self._until_exit()
            return await self._end(record)
        finally:
            self._watch.remove(handle)
            self._ingest.close()
            self._forget_runner()
            if self._cancelling is not None:
                self._cancelling.cancel()

    async def _until_exit(self) -> dict[str, Any]:
        while True:
            self._look.clear()
            # Looked for before the spool is read: once it exists, the spool is complete.
            record = await self._find_exit() if self._check else None
            await self._drain()
            if record is not None:
                return record
            await self._look.wait()

    async def _find_exit(self) -> dict[str, Any] | None:
        self._check = False
        record = self.folder.exit()
        if record is None and not self.folder.alive():
            return await self._without_runner()
        return record

    async def _without_runner(self) -> dict[str, Any] | None:
        """Start the runner, or find that it ended without a word."""
        record = self.folder.exit()
        if record is not None:
            return record
        if self.folder.started() is None and self._attempts < START_ATTEMPTS:
            await self._start()
            return None
        return await self._lost()

    async def _start(self) -> None:
        lock = self.folder.take_lock()
        if lock is None:
            return
        try:
            # Under the lock nobody else can start it; a runner may have come and gone before.
            if self.folder.started() is None and self.folder.exit() is None:
                self._attempts += 1
                await self._spawn(lock)
        finally:
            os.close(lock)

    async def _spawn(self, lock: int) -> None:
        try:
            pid = await asyncio.to_thread(spawn_runner, self.folder, lock)
        except OSError as error:
            log.warning("runner.not_started", run=self.run.id, error=str(error))
            return
        with suppress(AttributeError, OSError):
            self._pidfd = os.pidfd_open(pid)
            asyncio.get_running_loop().add_reader(self._pidfd, self._runner_gone, pid)

    def _runner_gone(self, pid: int) -> None:
        self._forget_runner()
        with suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
        self.look()

    def _forget_runner(self) -> None:
        if self._pidfd is not None:
            asyncio.get_running_loop().remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = None

    async def _lost(self) -> dict[str, Any]:
        killed = await asyncio.to_thread(sweep, self.run.key)
        never = self.folder.started() is None
        return {
            "reason": "lost",
            "error": "the runner could not be started" if never else LOST,
            "ended_at": now(),
            "killed": [{"pid": pid, "command": command} for pid, command in killed],
        }

    async def _drain(self) -> None:
        """Ingest what is there; while storage refuses, wait: the spool keeps everything."""
        while True:
            try:
                return await self._ingest.drain()
            except Unavailable as error:
                log.warning("ingest.waits", run=self.run.id, error=error.message)
                await asyncio.sleep(STORAGE_RETRY_S)

    async def _end(self, record: dict[str, Any]) -> Run:
        while True:
            current = await self._store.get(self.run.id)
            status, outcome = outcome_of(record, cancel_requested=current.cancel_requested)
            entries, advance = self._ingest.ending(record.get("spool_bytes"))
            try:
                return await self._store.transition(
                    self.run.id, status, now(), outcome, entries, advance
                )
            except Unavailable:
                await asyncio.sleep(STORAGE_RETRY_S)

    async def _cancel(self) -> None:
        grace = 0.0 if self.run.grace_s is None else self.run.grace_s
        loop = asyncio.get_running_loop()
        deadline = loop.time() + grace + CANCEL_MARGIN_S
        ordered = False
        while True:
            ordered = ordered or self.folder.order(f"cancel {grace}")
            self.folder.resume()
            if loop.time() > deadline:
                self.folder.kill_worker()
            self.look()
            await asyncio.sleep(CANCEL_POLL_S)


def spawn_runner(folder: RunFolder, lock: int) -> int:
    """Start the runner of a folder in a session of its own, handing it the held lock.

    The lock's descriptor is passed as number 3 and nothing else is inherited, so that no other
    process can keep a dead run looking alive. Raises OSError.
    """
    null = os.open(os.devnull, os.O_RDWR)
    errors = os.open(folder.runner_log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        actions = [
            (os.POSIX_SPAWN_DUP2, null, 0),
            (os.POSIX_SPAWN_DUP2, null, 1),
            (os.POSIX_SPAWN_DUP2, errors, 2),
            (os.POSIX_SPAWN_DUP2, lock, 3),
        ]
        argv = [sys.executable, "-I", "-S", RUNNER, folder.path, "3"]
        return os.posix_spawn(sys.executable, argv, os.environ, file_actions=actions, setsid=True)
    finally:
        os.close(null)
        os.close(errors)
