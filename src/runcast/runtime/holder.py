"""The runner of one run: started at most once, adopted if it lives, and asked how it ended."""

import asyncio
import errno
import os
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import structlog

from runcast.core.runs import Run
from runcast.runner.guard import mend
from runcast.runner.sweep import sweep
from runcast.runtime.clock import now
from runcast.runtime.outcome import LOST
from runcast.runtime.runners import Runners
from runcast.spool.folder import RunFolder
from runcast.spool.processes import send_to

START_ATTEMPTS = 3
PASSING = {errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM}  # worth waiting for
ORDER_S = 0.1

log = structlog.get_logger(__name__)


class Holder:
    """Sees to it that a run has a runner until it has ended.

    Decides from the run's folder alone; `gone` is called when the runner's process has ended.
    """

    def __init__(
        self, runners: Runners, run: Run, folder: RunFolder, gone: Callable[[], None]
    ) -> None:
        self._runners = runners
        self._run = run
        self._folder = folder
        self._gone = gone
        self._attempts = 0
        self._start_error = ""
        self._pid = 0  # the guard's, once known

    @property
    def watches(self) -> bool:
        """Whether the system gives notice of the runner's end."""
        return self._runners.watches(self._pid)

    async def find_exit(self) -> dict[str, Any] | None:
        """Return the record of how the run ended; None while it goes on, or begins just now."""
        if not self._pid:
            self._adopt()
        record = self._folder.exit()
        if record is not None or self.watches or self._folder.alive():
            return record
        return await self._without_runner()

    def dismiss(self) -> None:
        """Note that the run has ended, so that its runner ends at any moment."""
        self._runners.dismiss(self._pid)

    async def end(self, grace_s: float, patience_s: float) -> None:
        """Order the runner to end the run until this is cancelled; kill it after `patience_s`."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + grace_s + patience_s
        ordered = False
        while True:
            with suppress(OSError):  # no descriptor is free: that passes, and the order stands
                ordered = ordered or self._folder.order(f"cancel {grace_s}")
                self._folder.resume()
                if loop.time() > deadline:
                    self._folder.kill_worker()
            self._gone()
            await asyncio.sleep(ORDER_S)

    def _adopt(self) -> None:
        """Watch the runner, if there is one that this server did not start."""
        guard = (self._folder.started() or {}).get("guard") or {}
        # After a restart of the machine anybody may have the pid: a runner has the lock as well.
        if send_to(guard, 0) and self._folder.alive():
            self._pid = guard["pid"]
            self._runners.watch(self._pid, self._ended)

    def _ended(self) -> None:
        self._pid = 0  # from now on it may be another's
        self._gone()

    async def _without_runner(self) -> dict[str, Any] | None:
        """Start the runner, or find that it ended without a word."""
        record = self._folder.exit()
        if record is not None:
            return record
        if self._folder.started() is None and self._attempts < START_ATTEMPTS:
            await self._start()
            return None
        return await self._lost()

    async def _start(self) -> None:
        try:
            lock = self._folder.take_lock()
            if lock is None or self._begun(lock):
                return
            self._pid = await self._runners.spawn(self._folder, lock, self._ended)
        except OSError as error:
            self._start_error = str(error)
            log.warning("runner.not_started", run=self._run.id, error=self._start_error)
            if error.errno in PASSING:
                return
        self._attempts += 1

    def _begun(self, lock: int) -> bool:
        """Tell whether a runner came before this lock was taken; let go of it unless none did."""
        begun = True
        try:
            # Under the lock nobody else can start one.
            begun = self._folder.started() is not None or self._folder.exit() is not None
        finally:
            if begun:  # or nobody knows: held on to, it would look like a living runner for ever
                os.close(lock)
        return begun

    async def _lost(self) -> dict[str, Any]:
        """Do what the guard would have done, had it not been killed as well."""
        killed = await asyncio.to_thread(sweep, self._run.key)
        self._folder.drop_env()
        with suppress(OSError):
            await asyncio.to_thread(mend, self._folder.output_path)
        never = self._folder.started() is None
        return {
            "reason": "lost",
            "error": f"the runner could not be started: {self._start_error}" if never else LOST,
            "ended_at": now(),
            "killed": [{"pid": pid, "command": command} for pid, command in killed],
        }
