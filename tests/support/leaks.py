"""What a test must not leave behind: processes, sockets and other open channels."""

import contextlib
import gc
import os
from collections.abc import Iterator

from tests.support import processes
from tests.support.waiting import until

# Whatever a test starts inherits this, however often it forks and whoever becomes its parent.
MARK = "TESTED_BY"


def mark_children() -> None:
    """Make everything that this process starts from now on known to be its own."""
    os.environ[MARK] = str(os.getpid())


def our_processes() -> set[int]:
    """Return what this process started, orphans and unreaped zombies included."""
    mark = str(os.getpid())
    marked = processes.matching(lambda pid: processes.environment(pid).get(MARK) == mark)
    return marked | processes.descendants(os.getpid())


def open_channels() -> set[str]:
    """Return the sockets, pipes, pidfds and the like that this process holds open."""
    return {f"{fd} {target}" for fd, target in _descriptors() if ":" in target}


def _descriptors() -> Iterator[tuple[int, str]]:
    for fd in map(int, os.listdir("/proc/self/fd")):
        with contextlib.suppress(OSError):
            yield fd, os.readlink(f"/proc/self/fd/{fd}")


class Watch:
    """What was there before a test, to be compared with what is there after it."""

    def __init__(self, settle: float = 2) -> None:
        self._settle = settle
        self._processes = our_processes()
        self._channels = open_channels()

    def check(self) -> None:
        """Fail if something new is there and does not go away by itself within `settle` s."""
        left = self._left()
        if left:
            gc.collect()
            with contextlib.suppress(AssertionError):
                until(lambda: not self._left(), "nothing to be left", timeout=self._settle)
            left = self._left()
        processes.kill_all(lambda: filter(processes.is_alive, self._new_processes()))
        assert not left, f"the test left behind: {', '.join(left)}"

    def _new_processes(self) -> set[int]:
        return our_processes() - self._processes

    def _left(self) -> list[str]:
        started = [
            f"process {pid} ({processes.state(pid)}: {processes.command_line(pid)})"
            for pid in sorted(self._new_processes())
        ]
        opened = [f"channel {name}" for name in sorted(open_channels() - self._channels)]
        return started + opened
