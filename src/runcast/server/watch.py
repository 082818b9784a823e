"""Watching a process from a program: a thread that calls back with what it prints."""

import logging
from collections.abc import Callable
from concurrent.futures import CancelledError
from contextlib import suppress
from threading import Thread
from typing import Any

from runcast.runtime.follow import PositionFollower
from runcast.runtime.runtime import Runtime
from runcast.server.host import Host
from runcast.stores import Selection
from runcast.wires.processes import told

OnOutput = Callable[[dict[str, Any]], object]

logger = logging.getLogger(__name__)


class Watch:
    """Follows one process from now on, until it has ended or nobody wants more of it.

    The thread pulls what is new when it is done with what came before, as every reader does:
    nothing is queued for it.
    """

    def __init__(self, host: Host, process_id: str, callback: OnOutput) -> None:
        self._host = host
        self._process_id = process_id
        self._callback = callback
        self._ended = False
        self._follower = host.call(self._follow)
        self._thread = Thread(target=self._run, name="runcast-watch", daemon=True)

    def start(self) -> None:
        """Begin to call back."""
        self._thread.start()

    def end(self) -> None:
        """Begin no further call; the one under way goes on."""
        self._ended = True
        with suppress(RuntimeError):  # the host has stopped, and this with it
            self._host.call(self._nudge)

    def _run(self) -> None:
        try:
            while not self._ended:
                self._tell_next()
            self._host.call(self._close)
        except (RuntimeError, CancelledError):
            return  # the host has stopped

    def _tell_next(self) -> None:
        after = self._follower.cursor
        for batch in self._host.call(lambda _runtime: self._follower.take()):
            for name, data in told(batch, after):
                self._tell({"type": name, **data})
                if name == "status":
                    self._tell({"type": "done", "processId": self._process_id})
                    self._ended = True

    def _tell(self, message: dict[str, Any]) -> None:
        if self._ended:
            return
        try:
            self._callback(message)
        except Exception:
            logger.exception("the callback on the output of %s failed", self._process_id)

    async def _follow(self, runtime: Runtime) -> PositionFollower:
        head = (await runtime.store.positions()).head
        return runtime.logs.follow_where(Selection(run_id=self._process_id), head)

    async def _nudge(self, _runtime: Runtime) -> None:
        self._follower.nudge()

    async def _close(self, _runtime: Runtime) -> None:
        self._follower.close()
