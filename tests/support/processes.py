"""Looking at the processes of this machine through /proc."""

import contextlib
import os
import signal
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from tests.support.waiting import until

PROC = Path("/proc")


def is_alive(pid: int) -> bool:
    """Tell whether the process exists and has not ended; a zombie has ended."""
    return state(pid) not in ("", "Z", "X")


def state(pid: int) -> str:
    """Return the state letter of a process, empty if it is gone."""
    # The name in parentheses may hold spaces and parentheses itself.
    return _read(pid, "stat").rpartition(b")")[2].decode()[1:2]


def command_line(pid: int) -> str:
    """Return the arguments of a process joined by spaces, for matching and for messages."""
    return _read(pid, "cmdline").replace(b"\0", b" ").decode(errors="replace").strip()


def environment(pid: int) -> dict[str, str]:
    """Return the environment a process was started with; empty if it can't be read."""
    pairs = _read(pid, "environ").decode(errors="replace").split("\0")
    return dict(pair.split("=", 1) for pair in pairs if "=" in pair)


def all_pids() -> Iterator[int]:
    """Yield the ids of all processes."""
    return (int(name) for name in os.listdir(PROC) if name.isdigit())


def descendants(pid: int) -> set[int]:
    """Return the children of a process and theirs, zombies included."""
    found: set[int] = set()
    waiting = [pid]
    while waiting:
        for child in _children(waiting.pop()):
            if child not in found:
                found.add(child)
                waiting.append(child)
    return found


def matching(wanted: Callable[[int], bool]) -> set[int]:
    """Return the living processes, other than this one, of which `wanted` holds."""
    return {pid for pid in all_pids() if pid != os.getpid() and is_alive(pid) and wanted(pid)}


def of_folder(folder: Path) -> set[int]:
    """Return what runs on behalf of a data folder: its runners, and the children they started."""
    keys = {path.name for path in folder.glob("*/*") if path.is_dir()}

    def belongs(pid: int) -> bool:
        run_key = environment(pid).get("RUNCAST_RUN_KEY")
        return run_key in keys or str(folder) in command_line(pid)

    return matching(belongs)


def kill_all(find: Callable[[], Iterable[int]]) -> None:
    """SIGKILL what `find` finds until it finds nothing: a tree may fork meanwhile."""

    def gone() -> bool:
        pids = set(find())
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return not pids

    until(gone, "processes to be gone after SIGKILL")


def _children(pid: int) -> Iterator[int]:
    with contextlib.suppress(OSError):
        for task in (PROC / str(pid) / "task").iterdir():
            yield from map(int, (task / "children").read_text().split())


def _read(pid: int, name: str) -> bytes:
    try:
        return (PROC / str(pid) / name).read_bytes()
    except OSError:
        return b""
