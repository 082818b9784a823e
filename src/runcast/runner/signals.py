"""Signals of the runner: which it ignores, and the two the worker waits for."""

from __future__ import annotations

import os

from runcast.spool.light import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType

_IGNORED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def shield() -> None:
    """Set the signals up for guard and worker, whatever they inherited."""
    # With SIGCHLD ignored, the kernel would throw exit codes away.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)
    unblock()


def reset() -> None:
    """Give a new command the signals every program expects at its start."""
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_DFL)
    unblock()


def block() -> None:
    """Hold all signals back."""
    signal.pthread_sigmask(signal.SIG_SETMASK, signal.valid_signals())


def unblock() -> None:
    """Let all signals through."""
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


class Arrivals:
    """A descriptor that becomes readable when SIGCHLD or SIGTERM comes."""

    __slots__ = ("fd",)

    def __init__(self) -> None:
        self.fd, wakeup = os.pipe()
        os.set_blocking(self.fd, False)
        os.set_blocking(wakeup, False)
        # A full pipe still wakes the reader, so a byte that no longer fits is no loss.
        signal.set_wakeup_fd(wakeup, warn_on_full_buffer=False)
        for number in (signal.SIGCHLD, signal.SIGTERM):
            signal.signal(number, _leave_it_to_the_pipe)

    def take(self) -> set[int]:
        """Return which signals came since the last look."""
        try:
            return set(os.read(self.fd, 65_536))
        except BlockingIOError:
            return set()


def _leave_it_to_the_pipe(number: int, frame: FrameType | None) -> None: ...
