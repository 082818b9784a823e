"""Starting processes that surely end, and reading what they cost from /proc."""

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil

END_SECONDS = 5.0
START_SECONDS = 10.0


class BenchError(Exception):
    """A measurement that means nothing: something broke or was lost."""


@contextlib.contextmanager
def started(argv: Sequence[str]) -> Iterator["subprocess.Popen[str]"]:
    """Start a process and end it when the block is left.

    It has a session of its own, so that Ctrl-C reaches this program alone, which then ends the
    others in order.
    """
    with subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=environment(),
    ) as process:
        try:
            yield process
        finally:
            _end(process)


def environment() -> dict[str, str]:
    """Return this process's environment without any runcast setting."""
    return {name: text for name, text in os.environ.items() if not name.startswith("RUNCAST_")}


def first_line(process: "subprocess.Popen[str]", beginning: str) -> str:
    """Return what follows `beginning` on the line that the process says first."""
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line.startswith(beginning):
        raise BenchError(f"{process.args!r} said {line!r}")
    return line.removeprefix(beginning).strip()


def module(name: str, *arguments: str) -> list[str]:
    """Return the command that runs a module of this package."""
    return [sys.executable, "-m", f"bench.{name}", *arguments]


def cpu_seconds(*pids: int) -> float:
    """Return the CPU time that processes have used, user and system, all threads.

    It is the kernel's counter that /proc/PID/stat rounds to hundredths of a second.
    """
    return sum(time.clock_gettime(_cpu_clock(pid)) for pid in pids)


def _cpu_clock(pid: int) -> int:
    return ~pid << 3 | 2  # as clock_getcpuclockid(3) makes it


def cores() -> int:
    """Return how many processors this program may use."""
    return len(os.sched_getaffinity(0))


def first_child(pid: int) -> psutil.Process:
    """Return the child of a process, once it has one."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if children := psutil.Process(pid).children():
            return children[0]
        time.sleep(0.01)
    raise BenchError(f"{pid} started no process")


def free_port() -> int:
    """Return a port of the loopback that nobody listens on, for servers that must be told one."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def wait_listening(port: int) -> None:
    """Wait until somebody listens on a port of the loopback."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port)).close()
            return
        time.sleep(0.01)
    raise BenchError(f"nobody listens on port {port}")


def children_cpu_seconds(pid: int) -> float:
    """Return the CPU time of the process's children that have ended, and of theirs."""
    times = psutil.Process(pid).cpu_times()
    return times.children_user + times.children_system


def peak_bytes(pid: int) -> int:
    """Return the most memory that was ever resident (VmHWM)."""
    return _kilobytes(Path(f"/proc/{pid}/status"), "VmHWM:") * 1024


def resident_bytes(*pids: int) -> int:
    """Return the memory of processes that is resident now (VmRSS)."""
    return sum(_kilobytes(Path(f"/proc/{pid}/status"), "VmRSS:") for pid in pids) * 1024


def forget_peak(pid: int) -> None:
    """Have `peak_bytes` begin anew."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def proportional_bytes(pid: int) -> int:
    """Return the memory of a process, with what it shares divided among the sharers (PSS)."""
    return _kilobytes(Path(f"/proc/{pid}/smaps_rollup"), "Pss:") * 1024


def _kilobytes(path: Path, name: str) -> int:
    for line in path.read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1])
    raise BenchError(f"{path} has no {name}")


def end_all_of(folder: str) -> None:
    """Kill what was started with a path in this folder, and its children: runs outlive servers."""
    deadline = time.monotonic() + END_SECONDS
    while found := _trees_of(folder):
        if time.monotonic() > deadline:
            raise BenchError(f"cannot be ended: {found}")
        for process in found:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(found, 0.1)


def _trees_of(folder: str) -> list[psutil.Process]:
    found: list[psutil.Process] = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.NoSuchProcess):
            if any(folder in argument for argument in process.cmdline()):
                found += [process, *process.children(recursive=True)]
    return found


def _end(process: "subprocess.Popen[str]") -> None:
    process.terminate()
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
