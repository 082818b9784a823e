"""Ctrl-C while a run is followed: once detaches, twice cancels, three times leaves."""

import signal
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Self

WINDOW_S = 2.0  # within this, a second Ctrl-C cancels


class Detached(Exception):
    """The reader leaves; the run goes on."""


class Interrupts:
    """Handles SIGINT for as long as it is entered.

    The first calls `ask`; with no second within WINDOW_S, Detached is raised in the main
    thread. A second calls `cancel` and the reader goes on to the run's end; a third raises
    KeyboardInterrupt. `ask` and `cancel` run inside whatever the main thread was doing, so they
    must not touch what it uses, and must not raise.
    """

    def __init__(self, ask: Callable[[], None], cancel: Callable[[], None]) -> None:
        self._actions = [self._start_waiting, self._stop_waiting]
        self._ask = ask
        self._cancel = cancel

    def __enter__(self) -> Self:
        self._before = {
            signal.SIGINT: signal.signal(signal.SIGINT, self._pressed),
            signal.SIGALRM: signal.signal(signal.SIGALRM, self._waited),
        }
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _pressed(self, _number: int, _frame: FrameType | None) -> None:
        if not self._actions:
            raise KeyboardInterrupt
        self._actions.pop(0)()

    def _start_waiting(self) -> None:
        signal.setitimer(signal.ITIMER_REAL, WINDOW_S)
        self._ask()

    def _stop_waiting(self) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        self._cancel()

    def _waited(self, _number: int, _frame: FrameType | None) -> None:
        raise Detached
