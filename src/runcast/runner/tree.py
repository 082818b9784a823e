"""All processes below this one: finding them, asking them to end, ending them by force."""

from __future__ import annotations

import os

from runcast.spool import processes
from runcast.spool.light import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

ROUND_SECONDS = 0.02  # between two rounds of killing: time for what was killed to be gone


class Tree:
    """The descendants of this process, whatever session, group or state they are in.

    Being a subreaper, this process becomes the parent of every orphan, so the tree is gone
    exactly when there is no child left to wait for.
    """

    __slots__ = ("_root", "_seen", "killed", "refused")

    def __init__(self) -> None:
        self._root = os.getpid()
        self._seen: dict[int, str] = {}
        self.killed: dict[int, str] = {}  # pid -> command of what had to be killed
        self.refused: dict[int, str] = {}  # and of what this user may not kill

    def living(self) -> dict[int, str]:
        """Return the pid and command of every descendant that has not ended."""
        return {pid: processes.command(pid) for pid in self._pids() if _lives(pid)}

    def ask(self) -> None:
        """Send SIGTERM to all, and SIGCONT so that stopped ones can act on it."""
        for pid in self._pids():
            processes.send(pid, signal.SIGTERM)
            processes.send(pid, signal.SIGCONT)

    def force(self) -> bool:
        """Stop all, so that none forks away, then kill all; False if only refusals are left.

        To be repeated until nothing is left: a process may appear while the list is read.
        """
        for pid in self._pids():
            processes.send(pid, signal.SIGSTOP)
        allowed = False
        self.refused.clear()
        for pid in self._pids():
            lived = _lives(pid)
            command = self._seen.setdefault(pid, processes.command(pid))
            if not processes.send(pid, signal.SIGKILL):
                self.refused[pid] = command
                continue
            allowed = True
            if lived:
                self.killed[pid] = command
        return allowed or not self.refused

    def reap(self) -> tuple[dict[int, int], bool]:
        """Collect the children that have ended, as pid -> wait status; tell if more are left."""
        ended: dict[int, int] = {}
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return ended, False
            if pid == 0:
                return ended, True
            ended[pid] = status

    def note_killed(self, ended: Mapping[int, int]) -> None:
        """Count as killed what the kernel killed for us, because its parent had died."""
        for pid, status in ended.items():
            if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
                self.killed.setdefault(pid, self._seen.get(pid, ""))

    def _pids(self) -> list[int]:
        return descendants(self._root)


def descendants(root: int, proc: str = "/proc") -> list[int]:
    """List the processes below `root`, parents before their children."""
    # Not every kernel is built to tell a process's children; else their parents are asked.
    told = os.path.exists(f"{proc}/{root}/task/{root}/children")
    known = {} if told else _children_of_all()
    found: list[int] = []
    level = [root]
    while level:
        below = (_children(pid, proc) if told else known.get(pid, ()) for pid in level)
        level = [child for children in below for child in children]
        found += level
    return found


def _children(pid: int, proc: str) -> list[int]:
    found: list[int] = []
    try:
        for thread in os.listdir(f"{proc}/{pid}/task"):
            with open(f"{proc}/{pid}/task/{thread}/children", "rb") as file:
                found += map(int, file.read().split())
    except OSError:  # it or a thread of it is gone; the next look finds who inherits the rest
        return found
    return found


def _children_of_all() -> dict[int, list[int]]:
    children: dict[int, list[int]] = {}
    for pid in processes.pids():
        stat = processes.stat(pid)
        if stat is not None:
            children.setdefault(stat.parent, []).append(pid)
    return children


def _lives(pid: int) -> bool:
    stat = processes.stat(pid)
    return stat is not None and not stat.ended
