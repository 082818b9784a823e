"""Ending what is left of a run whose guard and worker were both killed."""

from __future__ import annotations

import os
import time

from runcast.runner.tree import ROUND_SECONDS
from runcast.spool import processes
from runcast.spool.light import signal

_PATIENCE_SECONDS = 2.0  # for processes that cannot die at once, such as on a dead file server


def sweep(key: str) -> list[tuple[int, str]]:
    """Kill every process whose environment names the run of `key`; return pid and command of each.

    Blocks until none is left, or for 2 s if some cannot be killed. A process that was started
    with an emptied environment is not found.
    """
    mark = f"RUNCAST_RUN_KEY={key}".encode()
    killed: dict[int, str] = {}
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while found := _marked(mark):
        for pid in found:
            processes.send(pid, signal.SIGSTOP)
        for pid in _marked(mark):
            command = processes.command(pid)
            if processes.send(pid, signal.SIGKILL):
                killed.setdefault(pid, command)
        if time.monotonic() > deadline:
            break
        time.sleep(ROUND_SECONDS)
    return list(killed.items())


def _marked(mark: bytes) -> list[int]:
    # A process that has ended has no environment any more, so it is not found.
    everybody = (pid for pid in processes.pids() if pid != os.getpid())
    return [pid for pid in everybody if mark in processes.environment(pid)]
