"""Facts about processes, read from /proc, and signals that never hit a stranger."""

from __future__ import annotations

import os

_COMMAND_BYTES = 4096  # of a command line; more is never shown
_ENVIRONMENT_BYTES = 8 * 1024 * 1024  # more than the kernel lets a process have


class Stat:
    """The part of /proc/PID/stat that matters here; `ticks` is when the process started."""

    __slots__ = ("parent", "state", "ticks")

    def __init__(self, fields: list[bytes]) -> None:
        self.state = fields[0].decode("ascii")
        self.parent = int(fields[1])
        self.ticks = int(fields[19])

    @property
    def ended(self) -> bool:
        """Whether it only waits to be reaped."""
        return self.state in "ZX"


def _read(pid: int, name: str, size: int) -> bytes:
    try:
        fd = os.open(f"/proc/{pid}/{name}", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.read(fd, size)
    except OSError:
        return b""
    finally:
        os.close(fd)


def stat(pid: int) -> Stat | None:
    """Look at a process; None if it is gone or there is no /proc."""
    # The name in parentheses may itself hold spaces and parentheses.
    fields = _read(pid, "stat", 1024).rpartition(b")")[2].split()
    return Stat(fields) if len(fields) > 19 else None


def command(pid: int) -> str:
    """Return a process's arguments joined by spaces; its name in brackets if it has none."""
    line = _read(pid, "cmdline", _COMMAND_BYTES).rstrip(b"\0").replace(b"\0", b" ")
    return (line or b"[%s]" % _read(pid, "comm", 64).strip()).decode("utf-8", "replace")


def environment(pid: int) -> list[bytes]:
    """Return the environment a process was started with, as NAME=value; empty if unreadable."""
    return _read(pid, "environ", _ENVIRONMENT_BYTES).split(b"\0")


def pids() -> list[int]:
    """List the ids of all processes; empty where there is no /proc."""
    try:
        names = os.listdir("/proc")
    except OSError:
        return []
    return [int(name) for name in names if name.isdigit()]


def identity(pid: int) -> dict[str, int]:
    """Name a process so that another one, later given the same pid, is not taken for it."""
    found = stat(pid)
    return {"pid": pid, "ticks": found.ticks if found else 0}


def send(pid: int, number: int) -> bool:
    """Signal a process; tell whether that was allowed (one that is gone counts as allowed)."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return True


def send_to(identity: dict[str, int], number: int) -> bool:
    """Signal the very process that `identity` named; False if it is gone."""
    pid = identity.get("pid", 0)
    found = stat(pid) if pid > 0 else None
    if found is None or found.ended or found.ticks != identity.get("ticks"):
        return False
    return send(pid, number)
