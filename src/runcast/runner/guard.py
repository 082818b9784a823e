"""The guard: outlives the worker, and ends and records the run if the worker could not."""

from __future__ import annotations

import fcntl
import gc
import os
import time

from runcast.runner import linux, signals
from runcast.runner.outcome import outcome, process_list, record_exit
from runcast.runner.tree import ROUND_SECONDS, Tree
from runcast.runner.worker import ALREADY_STARTED, work
from runcast.spool.cri import HEADER_BYTES, PART_BYTES, mended
from runcast.spool.folder import RunFolder
from runcast.spool.light import signal_name
from runcast.spool.processes import identity

_TAIL_BYTES = HEADER_BYTES + PART_BYTES + 1  # a torn record is shorter than the longest whole one


def guard(path: str, lock: int) -> int:
    """Hold the run until it has ended; return the exit status of the runner.

    The lock is freed when both guard and worker are gone, and not before. A runner that finds
    the run started, ended or locked by another leaves at once and touches nothing.
    """
    folder = RunFolder(path)
    signals.shield()
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return ALREADY_STARTED
    if os.path.exists(folder.started_path) or os.path.exists(folder.exit_path):
        return ALREADY_STARTED
    linux.become_subreaper()
    us = identity(os.getpid())
    gc.freeze()  # else the first collection would copy the pages that both share
    worker = os.fork()
    if worker == 0:
        return work(folder, us)
    status = os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1])
    if status != ALREADY_STARTED and not os.path.exists(folder.exit_path):
        _end_lost(folder, status)
    return max(status, 0)


def _end_lost(folder: RunFolder, status: int) -> None:
    tree = Tree()
    _kill_all(tree)
    folder.drop_env()
    started = folder.started() or {}
    lost = outcome("lost", started.get("time"), None)
    lost["error"] = "the runner's worker " + (
        f"was ended by {signal_name(-status)}" if status < 0 else f"failed with status {status}"
    )
    lost["killed"] = process_list(tree.killed)
    lost["leftovers"] = process_list(tree.refused)
    lost["spool_bytes"] = mend(folder.output_path)
    record_exit(folder, lost)


def _kill_all(tree: Tree) -> None:
    while tree.force():
        ended, more = tree.reap()
        tree.note_killed(ended)
        if not more:
            return
        time.sleep(ROUND_SECONDS)


def mend(path: str) -> int:
    """Make a spool end with a whole record, as a killed writer may not have left it.

    Returns its size, on disk. Where there is no room to complete the last record, it goes.
    """
    # Not O_APPEND: with it, Linux appends whatever position pwrite names.
    fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        size = os.fstat(fd).st_size
        start = max(0, size - _TAIL_BYTES)
        torn = os.pread(fd, _TAIL_BYTES, start).rpartition(b"\n")[2]
        whole = size - len(torn)
        if torn:
            record = mended(torn)
            os.ftruncate(fd, whole + _put(fd, record, whole))
        os.fsync(fd)
        return os.fstat(fd).st_size
    finally:
        os.close(fd)


def _put(fd: int, record: bytes, offset: int) -> int:
    try:
        written = os.pwrite(fd, record, offset)
    except OSError:
        return 0
    return written if written == len(record) else 0
