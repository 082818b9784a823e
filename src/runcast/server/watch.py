"""Watching a process from a program: a thread that calls back with what it prints."""

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError
from contextlib import suppress
from threading import Thread
from typing import Any

from runcast.core.errors import NotFound
from runcast.core.events import LIFECYCLE, Batch, run_log
from runcast.runtime.follow import Follower
from runcast.runtime.runtime import Runtime
from runcast.server.host import Host
from runcast.stores import Selection
from runcast.wires.processes import told

OnOutput = Callable[[dict[str, Any]], object]

logger = logging.getLogger(__name__)


class Watch:
    """Follows one process from now on, until it has ended, is removed or nobody wants more of it.

    The thread pulls what is new when it is done with what came before, as every reader does:
    nothing is queued for it.
    """

    def __init__(self, host: Host, process_id: str, callback: OnOutput) -> None:
        self._host = host
        self._process_id = process_id
        self._log = run_log(process_id)
        self._callback = callback
        self._ended = False
        self._deleted = False
        self._follower: Follower | None = None  # once there is such a process
        self._births: Follower = host.call(self._begin)
        self._thread = Thread(target=self._run, name="runcast-watch", daemon=True)

    def start(self) -> None:
        """Begin to call back."""
        self._thread.start()

    def end(self) -> None:
        """Begin no further call; the one under way goes on."""
        self._ended = True
        with suppress(RuntimeError, CancelledError):  # the host has stopped, and this with it
            self._host.call(self._nudge)

    def _run(self) -> None:
        with suppress(RuntimeError, CancelledError):  # as above
            try:
                while not self._ended:
                    self._tell_next()
            finally:
                self._host.call(self._close)

    def _tell_next(self) -> None:
        after = 0 if self._follower is None else self._follower.cursor
        for batch in self._host.call(self._next):
            for name, data in told(batch, after):
                self._tell({"type": name, **data})
        follower = self._follower
        deleted = self._deleted or (follower is not None and follower.track.deleted)
        if deleted or (follower is not None and follower.at_end):
            removal = {"deleted": True} if deleted else {}
            self._tell({"type": "done", "processId": self._process_id, **removal})
            self._ended = True

    def _tell(self, message: dict[str, Any]) -> None:
        if self._ended:
            return
        try:
            self._callback(message)
        except Exception:
            logger.exception("the callback on the output of %s failed", self._process_id)

    async def _begin(self, runtime: Runtime) -> Follower:
        """Look for the process; return what tells of those to come."""
        position = (await runtime.store.positions()).head
        births = runtime.logs.follow_where(Selection(log=LIFECYCLE), position)
        try:
            head = await runtime.store.head(self._log)
            after = head.last - head.sealed  # how it ended is not left out
        except NotFound:
            after = 0
        await self._look(runtime, after)
        return births

    async def _look(self, runtime: Runtime, after: int) -> None:
        """Follow the log of the process, if there is such a process by now."""
        try:
            self._follower = await runtime.logs.follow(self._log, after)
        except NotFound:
            self._deleted = await runtime.store.is_deleted(self._process_id)

    async def _next(self, runtime: Runtime) -> Sequence[Batch]:
        if self._deleted:
            return ()
        if self._follower is None:
            await self._births.take()
            await self._look(runtime, 0)
            return ()
        return await self._follower.take()

    async def _nudge(self, _runtime: Runtime) -> None:
        (self._follower or self._births).nudge()

    async def _close(self, _runtime: Runtime) -> None:
        self._births.close()
        if self._follower is not None:
            self._follower.close()
