"""Runner processes: spawned, noticed when they end, and reaped."""

import asyncio
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import runcast.runner
from runcast.spool.folder import RunFolder

RUNNER = str(Path(runcast.runner.__file__).with_name("__main__.py"))
LEAVING_S = 1.0


class Runners:
    """The living runners of this machine that this process knows of."""

    def __init__(self) -> None:
        self._pidfds: dict[int, int] = {}  # pid -> pidfd
        self._leaving: set[int] = set()  # their runs have ended, so they end at any moment
        self._left = asyncio.Event()
        self._polled: dict[int, Callable[[], None]] = {}  # where pidfds cannot be had
        self._loop = asyncio.get_running_loop()

    async def spawn(self, folder: RunFolder, lock: int, gone: Callable[[], None]) -> int:
        """Start the runner of a folder and return its pid; it takes over `lock`, which is closed.

        `gone` is called once the process has ended, which can be before the run has. Raises
        OSError. Cancelling does not stop a start that is under way.
        """
        # Shielded: cancelled before a thread is free for it, it would never close the lock.
        pid = await asyncio.shield(asyncio.to_thread(_spawn, folder, lock))
        self.watch(pid, gone)
        return pid

    def watch(self, pid: int, gone: Callable[[], None]) -> None:
        """Call `gone` once a runner has ended, whoever started it; reap it if it is our child."""
        if not hasattr(os, "pidfd_open"):
            self._polled[pid] = gone
            return
        if pid in self._pidfds:
            self._forget(pid)  # an execution that was taken up again watches it anew
        try:
            pidfd = os.pidfd_open(pid)
        except OSError:
            self._polled[pid] = gone
            return
        self._pidfds[pid] = pidfd
        self._loop.add_reader(pidfd, self._ended, pid, gone)

    def watches(self, pid: int) -> bool:
        """Tell whether the system will say when this runner ends."""
        return pid in self._pidfds

    def dismiss(self, pid: int) -> None:
        """Note that the run of this runner has ended, so that `close` waits for its exit."""
        if pid in self._pidfds:
            self._leaving.add(pid)

    def poll(self) -> None:
        """Look after those of whose end the system gives no notice."""
        for pid, gone in list(self._polled.items()):
            if _reap(pid):
                del self._polled[pid]
                gone()

    async def close(self) -> None:
        """Reap those whose runs have ended and stop noticing the others, which run on."""
        if self._leaving:
            self._left.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._left.wait(), LEAVING_S)
        for pid in list(self._pidfds):
            self._forget(pid)

    def _ended(self, pid: int, gone: Callable[[], None]) -> None:
        self._forget(pid)
        _reap(pid)
        gone()

    def _forget(self, pid: int) -> None:
        self._leaving.discard(pid)
        if not self._leaving:
            self._left.set()
        pidfd = self._pidfds.pop(pid)
        self._loop.remove_reader(pidfd)
        os.close(pidfd)


def _reap(pid: int) -> bool:
    """Take the exit of a process; False if it still runs."""
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return True


def _spawn(folder: RunFolder, lock: int) -> int:
    """Start the runner in a session of its own and return its pid.

    The lock's descriptor is passed as number 3 and nothing else is inherited, so that no other
    process can keep a dead run looking alive. It is closed here, in the thread: closed by a
    cancelled caller, its number could mean another file before it is passed.
    """
    opened = [lock]
    try:
        opened.append(null := os.open(os.devnull, os.O_RDWR))
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        opened.append(errors := os.open(folder.runner_log_path, flags, 0o600))
        actions = [
            (os.POSIX_SPAWN_DUP2, null, 0),
            (os.POSIX_SPAWN_DUP2, null, 1),
            (os.POSIX_SPAWN_DUP2, errors, 2),
            (os.POSIX_SPAWN_DUP2, lock, 3),
        ]
        argv = [sys.executable, "-I", "-S", RUNNER, folder.path, "3"]
        return os.posix_spawn(sys.executable, argv, os.environ, file_actions=actions, setsid=True)
    finally:
        for fd in opened:
            os.close(fd)
