"""Flushing an outbox by itself: at once when something is kept, later when it cannot be sent."""

import asyncio
import random
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

from runcast.client.errors import ClientError

_LOOK_S = 1.0  # what other processes keep in the same file is found by looking
_FIRST_RETRY_S = 0.5
_LONGEST_RETRY_S = 30.0
_DOUBLINGS = 16  # enough to reach the longest


class Pace:
    """How long to wait before the next attempt, the longer the more often none got through.

    `sent` tells how many items arrived so far: a pass that broke off after some is a beginning.
    """

    def __init__(self, sent: Callable[[], int]) -> None:
        self._sent = sent
        self._before = sent()
        self._failures = 0

    def succeeded(self) -> float:
        """Return how long to wait, at most, before looking again."""
        self._failures = 0
        return _LOOK_S

    def failed(self) -> float:
        """Return how long to leave the server alone."""
        sent = self._sent()
        if sent > self._before:
            self._before, self._failures = sent, 0
        delay: float = min(_FIRST_RETRY_S * 2**self._failures, _LONGEST_RETRY_S)
        self._failures = min(self._failures + 1, _DOUBLINGS)
        # All clients of a restarted server would otherwise come back in the same instant.
        return delay * random.uniform(0.75, 1.25)  # noqa: S311


class Flusher:
    """Flushes in a thread of its own until it is stopped, or its `with` block left.

    It fails quietly and tries again; `problem` is why nothing could be sent lately, None if all
    is well. Stop it before the client is closed.
    """

    def __init__(
        self,
        flush_until: Callable[[threading.Event], int],
        sent: Callable[[], int],
        woken: threading.Event,
    ) -> None:
        self.problem: ClientError | None = None
        self._flush_until = flush_until
        self._pace = Pace(sent)
        self._woken = woken
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="runcast outbox", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Send no more, and return when the current request is done; what waits stays kept."""
        self._stopped.set()
        self._woken.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._woken.clear()
            try:
                self._flush_until(self._stopped)
            except ClientError as problem:
                self.problem = problem
                self._stopped.wait(self._pace.failed())
            else:
                self.problem = None
                self._woken.wait(self._pace.succeeded())


class AsyncFlusher:
    """Flushes in a task until it is stopped, or its `async with` block left.

    It fails quietly and tries again; `problem` is why nothing could be sent lately, None if all
    is well. Stop it before the client is closed.
    """

    def __init__(
        self, flush: Callable[[], Awaitable[int]], sent: Callable[[], int], woken: asyncio.Event
    ) -> None:
        self.problem: ClientError | None = None
        self._flush = flush
        self._pace = Pace(sent)
        self._woken = woken
        self._task = asyncio.create_task(self._run(), name="runcast outbox")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    async def stop(self) -> None:
        """Send no more; what waits stays kept, and so does what was about to be sent."""
        self._task.cancel()
        await asyncio.wait({self._task})

    async def _run(self) -> None:
        while True:
            self._woken.clear()
            try:
                await self._flush()
            except ClientError as problem:
                self.problem = problem
                await asyncio.sleep(self._pace.failed())
            else:
                self.problem = None
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._pace.succeeded()):
                        await self._woken.wait()
