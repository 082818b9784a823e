"""What a test must not leave behind: processes, sockets and other open channels."""

import contextlib
import gc
import os
import time
from collections.abc import Iterator

from tests.support import processes
from tests.support.waiting import until

# Whatever a test starts inherits this, however often it forks and whoever becomes its parent.
MARK = "TESTED_BY"
BECOMING_S = (0.001, 0.004, 0.02)  # while a process becomes another program, it has no environment


def mark_children() -> None:
    """Make everything that this process starts from now on known to be its own."""
    os.environ[MARK] = str(os.getpid())


def ours(pids: set[int]) -> set[int]:
    """Return those that this process started, orphans and unreaped zombies included."""
    marked = {pid for pid in pids if processes.is_alive(pid) and _is_marked(pid)}
    # What has ended and nobody waited for has no environment any more: it is found as a child.
    return marked | (pids & processes.descendants(os.getpid()))


def _is_marked(pid: int) -> bool:
    mark = str(os.getpid())
    for pause in (*BECOMING_S, 0):
        if environment := processes.environment(pid):
            return environment.get(MARK) == mark
        time.sleep(pause)
    return False


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
        self._processes = set(processes.all_pids())
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
        # To read the environments of all there are took longer than most tests take.
        return ours(set(processes.all_pids()) - self._processes)

    def _left(self) -> list[str]:
        started = [
            f"process {pid} ({processes.state(pid)}: {processes.command_line(pid)})"
            for pid in sorted(self._new_processes())
        ]
        opened = [f"channel {name}" for name in sorted(open_channels() - self._channels)]
        return started + opened
