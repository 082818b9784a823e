"""One running run on this machine: its runner, its ingest, its end."""

import asyncio
import errno
import os
from contextlib import suppress
from typing import Any

import structlog

from runcast.core.errors import Unavailable
from runcast.core.runs import Run
from runcast.runner.guard import mend
from runcast.runner.sweep import sweep
from runcast.runtime.clock import now
from runcast.runtime.ingest import Budget, Ingest
from runcast.runtime.outcome import LOST, outcome_of
from runcast.runtime.runners import Runners
from runcast.runtime.watch import Watch
from runcast.spool.folder import RunFolder
from runcast.spool.processes import send_to
from runcast.stores import Store

START_ATTEMPTS = 3
PASSING = {errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM}  # worth waiting for
CANCEL_POLL_S = 0.1
CANCEL_MARGIN_S = 5.0  # beyond the grace, before the runner itself is taken for stuck
STORAGE_RETRY_S = 0.25

log = structlog.get_logger(__name__)


class Here:
    """What all executions of this process share."""

    def __init__(self) -> None:
        self.watch = Watch()
        self.runners = Runners()
        self.budget = Budget()

    async def close(self) -> None:
        """Let go of it; no execution may be left."""
        self.watch.close()
        await self.runners.close()


class Execution:
    """Sees one claimed run through to its terminal status.

    Works from what is on disk alone, so it makes no difference whether this server started the
    runner, adopts a living one, or comes after its end.
    """

    def __init__(self, store: Store, here: Here, run: Run, folder: RunFolder) -> None:
        self.run = run
        self.folder = folder
        self._store = store
        self._watch = here.watch
        self._runners = here.runners
        self._ingest = Ingest(store, here.budget, run, folder.output_path)
        self._look = asyncio.Event()
        self._check = True
        self.hinted = True
        self._attempts = 0
        self._start_error = ""
        self._runner = 0  # its pid, once known
        self._cancelling: asyncio.Task[None] | None = None

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
        self.hinted = handle is not None
        try:
            await self._ingest.open()
            if self.run.cancel_requested:
                self.cancel()
            record = await self._until_exit()
            self._runners.dismiss(self._runner)
            return await self._end(record)
        finally:
            self._watch.remove(handle)
            self._ingest.close()
            if self._cancelling is not None:
                self._cancelling.cancel()

    def _adopt(self) -> None:
        """Watch the runner, if there is one that this server did not start."""
        guard = (self.folder.started() or {}).get("guard") or {}
        if send_to(guard, 0):
            self._runner = guard["pid"]
            self._runners.watch(self._runner, self.look)

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
        if not self._runner:
            self._adopt()
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
        try:
            lock = self.folder.take_lock()
            if lock is None:
                return
            # Under the lock nobody else can start it; a runner may have come and gone before.
            if self.folder.started() is not None or self.folder.exit() is not None:
                os.close(lock)
                return
            self._runner = await self._runners.spawn(self.folder, lock, self.look)
        except OSError as error:
            self._start_error = str(error)
            log.warning("runner.not_started", run=self.run.id, error=self._start_error)
            if error.errno in PASSING:
                return
        self._attempts += 1

    async def _lost(self) -> dict[str, Any]:
        """Do what the guard would have done, had it not been killed as well."""
        killed = await asyncio.to_thread(sweep, self.run.key)
        self.folder.drop_env()
        with suppress(OSError):
            await asyncio.to_thread(mend, self.folder.output_path)
        never = self.folder.started() is None
        return {
            "reason": "lost",
            "error": f"the runner could not be started: {self._start_error}" if never else LOST,
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
            try:
                current = await self._store.get(self.run.id)
                status, outcome = outcome_of(record, cancel_requested=current.cancel_requested)
                entries, advance = self._ingest.ending(record.get("spool_bytes"))
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
