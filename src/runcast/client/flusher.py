"""Flushing an outbox by itself: at once when something is kept, later when it cannot be sent."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress

from runcast.client.backoff import Backoff
from runcast.client.contexts import AsyncClosing, Closing

_LOOK_S = 1.0  # what other processes keep in the same file is found by looking
_FIRST_RETRY_S = 0.5
_LONGEST_RETRY_S = 4.0  # one that is back is noticed while somebody still looks


class Pace:
    """How long to wait before the next attempt, the longer the more often none got through.

    `sent` tells how many items arrived so far: a pass that broke off after some is a beginning.
    """

    def __init__(self, sent: Callable[[], int]) -> None:
        self._sent = sent
        self._before = sent()
        self._backoff = Backoff(_FIRST_RETRY_S, _LONGEST_RETRY_S)

    def succeeded(self) -> float:
        """Return how long to wait, at most, before looking again."""
        self._backoff.succeeded()
        return _LOOK_S

    def failed(self) -> float:
        """Return how long to leave the server alone."""
        before, self._before = self._before, self._sent()
        if self._before > before:
            self._backoff.succeeded()
        return self._backoff.failed()


class Flusher(Closing):
    """Flushes in a thread of its own until it is closed, or its `with` block left.

    It fails quietly and tries again; `problem` is why nothing could be sent lately, None if all
    is well. Close it before the client.
    """

    def __init__(
        self,
        flush_until: Callable[[threading.Event], int],
        sent: Callable[[], int],
        woken: threading.Event,
    ) -> None:
        self.problem: Exception | None = None
        self._flush_until = flush_until
        self._pace = Pace(sent)
        self._woken = woken
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="runcast outbox", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Send no more, and return when the current request is done; what waits stays kept."""
        self._stopped.set()
        self._woken.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._woken.clear()
            try:
                self._flush_until(self._stopped)
            except Exception as problem:  # noqa: BLE001 - nobody would notice that it has died
                self.problem = problem
                self._stopped.wait(self._pace.failed())
            else:
                self.problem = None
                self._woken.wait(self._pace.succeeded())


class AsyncFlusher(AsyncClosing):
    """Flushes in a task until it is closed, or its `async with` block left.

    It fails quietly and tries again; `problem` is why nothing could be sent lately, None if all
    is well. Close it before the client.
    """

    def __init__(
        self, flush: Callable[[], Awaitable[int]], sent: Callable[[], int], woken: asyncio.Event
    ) -> None:
        self.problem: Exception | None = None
        self._flush = flush
        self._pace = Pace(sent)
        self._woken = woken
        self._task = asyncio.create_task(self._run(), name="runcast outbox")

    async def close(self) -> None:
        """Send no more; what waits stays kept, and so does what was about to be sent."""
        self._task.cancel()
        await asyncio.wait({self._task})

    async def _run(self) -> None:
        while True:
            self._woken.clear()
            try:
                await self._flush()
            except Exception as problem:  # noqa: BLE001 - nobody would notice that it has died
                self.problem = problem
                await asyncio.sleep(self._pace.failed())
            else:
                self.problem = None
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._pace.succeeded()):
                        await self._woken.wait()
