"""Throttling: when a log is read: at once when it was quiet, else now and then."""

import asyncio
from collections.abc import Callable
from math import ceil

PHASES = 4  # readers of one interval read at so many moments of it, and share what they read then


class Throttle:
    """Calls `ring` when it is time to read; whoever reads then begins by saying so.

    That is at once after a quiet interval or for something urgent, else at the interval's end;
    never before `due`, unless it is urgent.
    """

    def __init__(self, ring: Callable[[], None], interval_s: float = 0.0) -> None:
        self.interval_s = interval_s
        self.due = 0.0
        self._ring = ring
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None

    def wake(self, urgent: bool) -> None:
        """Note that there is something to read: now if it is urgent or due, else once it is due."""
        if urgent or self.due <= self._loop.time():
            self._ring()
        elif self._timer is None:
            self._timer = self._loop.call_at(self.due, self._ring)

    def begin(self) -> None:
        """Note that a read begins, which is of everything noted so far."""
        self.stop()
        now = self._loop.time()
        step = self.interval_s / PHASES
        # A timer is always a little late, which must not add up.
        begun = self.due if 0 <= now - self.due < step else now
        # Less a little, for what is whole may come out of the division as more.
        self.due = ceil((begun + self.interval_s) / step - 1e-3) * step if step else now

    def forgive(self) -> None:
        """Let the read that gave nothing not count: the next may be at once."""
        self.due = 0.0
        if self._timer is not None:
            self.stop()
            self._ring()

    def stop(self) -> None:
        """Ring no more for what has been noted so far."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
