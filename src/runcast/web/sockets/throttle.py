"""Throttling: when a connection reads the log: at once when it was quiet, else now and then."""

import asyncio
from math import ceil

PHASES = 4  # sockets of one interval read at so many moments of it, and share what they read then


class Throttle:
    """Wakes one reader: at once after a quiet interval or for something urgent, else at its end."""

    def __init__(self) -> None:
        self.interval_s = 0.0
        self._loop = asyncio.get_running_loop()
        self._awake = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._next = 0.0

    def wake(self, urgent: bool) -> None:
        """Have the reader read: now if it is urgent or due, else once it is due."""
        if urgent:
            self._ring()
        elif self._timer is None and not self._awake.is_set():
            if self._next <= self._loop.time():
                self._awake.set()
            else:
                self._timer = self._loop.call_at(self._next, self._ring)

    async def wait(self) -> None:
        """Wait until it is time to read."""
        await self._awake.wait()
        self._awake.clear()
        self.stop()
        now = self._loop.time()
        step = self.interval_s / PHASES
        # A timer is always a little late, which must not add up.
        begun = self._next if 0 <= now - self._next < step else now
        self._next = ceil((begun + self.interval_s) / step) * step if step else now

    def forgive(self) -> None:
        """Let the read that gave nothing not count: the next may be at once."""
        self._next = 0.0
        if self._timer is not None:
            self._ring()

    def stop(self) -> None:
        """Wake nobody any more for what has been noticed so far."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _ring(self) -> None:
        self.stop()
        self._awake.set()
