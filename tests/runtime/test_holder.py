"""The holder: a number is not a runner, for the system gives it to others once it is free."""

import asyncio
import contextlib
import os
import resource
import signal
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from runcast.core.ids import uuid7
from runcast.core.runs import Run
from runcast.runtime.holder import Holder
from runcast.runtime.runners import Runners
from runcast.spool.folder import RunFolder, read_file, write_file
from runcast.spool.light import encode
from runcast.spool.processes import identity, send_to
from tests.runtime.watched import until


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    spec = {
        "run_id": "r",
        "task_id": "r",
        "argv": ["sh", "-c", "echo begun; exec sleep 60"],
        "cwd": str(tmp_path),
        "timeout_s": None,
        "grace_s": 0.3,
        "keep_background": False,
        "stdin": None,
    }
    return RunFolder.create(tmp_path, uuid7(), spec, {})


@pytest.fixture
def stranger() -> Iterator[int]:
    """The pid of a process that has nothing to do with any run."""
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process.pid
        process.kill()


@pytest.fixture
async def runners() -> AsyncIterator[Runners]:
    runners = Runners()
    yield runners
    await runners.close()


def hold(folder: RunFolder, runners: Runners, gone: Callable[[], None] = lambda: None) -> Holder:
    key = Path(folder.path).name
    return Holder(runners, Run(id="r", key=key, task_id="r", created_at=1), folder, gone)


@contextlib.contextmanager
def descriptors_left(count: int) -> Iterator[None]:
    """Leave this process so many descriptors to open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(
        resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/proc/self/fd"))) + 10, hard)
    )
    taken = []
    try:
        with contextlib.suppress(OSError):
            while True:
                taken.append(os.open(os.devnull, os.O_RDONLY))
        resource.setrlimit(resource.RLIMIT_NOFILE, (taken[-1] + 1 + count, hard))
        yield
    finally:
        for fd in taken:
            os.close(fd)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("left", range(3))
async def test_a_runner_is_started_once_there_are_descriptors_for_it(
    folder: RunFolder, runners: Runners, left: int
) -> None:
    ended: list[bool] = []
    holder = hold(folder, runners, lambda: ended.append(True))
    with descriptors_left(left), contextlib.suppress(OSError):
        assert await holder.find_exit() is None
    assert folder.started() is None
    assert not folder.alive()

    assert await holder.find_exit() is None
    await until(lambda: folder.started() is not None)
    folder.order("cancel 0")
    await until(lambda: ended)


async def test_an_order_to_end_outlasts_a_lack_of_descriptors(
    folder: RunFolder, runners: Runners
) -> None:
    looks: list[bool] = []
    holder = hold(folder, runners, lambda: looks.append(True))
    assert await holder.find_exit() is None
    await until(lambda: folder.started() is not None)

    with descriptors_left(0):
        ending = asyncio.create_task(holder.end(0.0, 5.0))
        await until(lambda: len(looks) > 2)
        assert not ending.done()
    await until(lambda: folder.exit() is not None)
    ending.cancel()
    await asyncio.gather(ending, return_exceptions=True)
    await until(lambda: not holder.watches)

    assert (folder.exit() or {})["reason"] == "cancelled"


async def test_a_stranger_who_has_the_guard_s_pid_does_not_keep_a_dead_run_alive(
    folder: RunFolder, runners: Runners, stranger: int
) -> None:
    # After a restart of the machine even the start time can be the same.
    who = {"guard": identity(stranger), "worker": {"pid": stranger, "ticks": -1}}
    write_file(folder.started_path, encode({"time": 1, **who}).encode())
    record = await hold(folder, runners).find_exit()

    assert record is not None
    assert (record["reason"], record["killed"]) == ("lost", [])
    assert not runners.watches(stranger)


@pytest.mark.parametrize("adopted", [False, True])
async def test_a_worker_that_outlives_its_guard_is_watched_by_its_lock_alone(
    folder: RunFolder,
    runners: Runners,
    stranger: int,
    adopted: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gone: list[bool] = []
    holder = hold(folder, runners, lambda: gone.append(True))
    await holder.find_exit()
    await until(lambda: b"begun" in read_file(folder.output_path))
    if adopted:
        await runners.close()
        holder = hold(folder, runners, lambda: gone.append(True))
        await holder.find_exit()
    guard = (folder.started() or {})["guard"]

    send_to(guard, signal.SIGKILL)
    await until(lambda: gone)
    # The system gives the number away, and to a process that is watched as well.
    open_pidfd = os.pidfd_open
    monkeypatch.setattr(os, "pidfd_open", lambda _pid: open_pidfd(stranger))
    runners.watch(guard["pid"], lambda: None)

    assert await holder.find_exit() is None
    assert folder.kill_worker()
    await until(lambda: not folder.alive())
    record = await holder.find_exit()
    assert record is not None
    assert record["reason"] == "lost"
