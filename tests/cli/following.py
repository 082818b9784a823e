"""The command line following files, with all that it says kept."""

import contextlib
import fcntl
import os
import pty
import signal
import struct
import subprocess
import termios
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.cli.commands import RUNCAST
from tests.support.server import clean_environment
from tests.support.waiting import until

NO_SERVER = "http://127.0.0.1:1"


class Follower:
    """A command that goes on until it is interrupted; its streams go to two files."""

    def __init__(self, child: "subprocess.Popen[bytes]", out: Path, err: Path) -> None:
        self.child = child
        self._out = out
        self._err = err

    @property
    def out(self) -> bytes:
        return self._out.read_bytes()

    @property
    def err(self) -> bytes:
        return self._err.read_bytes()

    def shows(self, expected: bytes, timeout: float = 10) -> None:
        """Wait until exactly this has been printed."""
        with contextlib.suppress(AssertionError):
            until(lambda: self.out == expected, "the output", timeout)
        assert self.out == expected

    def says(self, expected: bytes) -> None:
        """Wait until this is part of what standard error has."""
        until(lambda: expected in self.err, f"{expected!r} on standard error")

    def interrupt(self) -> int:
        """Press Ctrl-C, and return the exit code."""
        self.child.send_signal(signal.SIGINT)
        return self.child.wait(20)

    def processor_s(self) -> float:
        """Return the processor time that was used so far."""
        fields = Path(f"/proc/{self.child.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def following(folder: Path, *words: str, variables: Mapping[str, str] = {}) -> Iterator[Follower]:
    """Start a command that does not end by itself; its output is kept in `folder`."""
    out, err = folder / "followed.out", folder / "followed.err"
    with out.open("wb") as stdout, err.open("wb") as stderr:
        child = subprocess.Popen(
            [*RUNCAST, *words],
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            env=clean_environment({"RUNCAST_SERVER": NO_SERVER, **variables}),
        )
    try:
        yield Follower(child, out, err)
    finally:
        child.kill()
        child.wait()


@contextlib.contextmanager
def on_a_terminal(
    *words: str, columns: int = 60, variables: Mapping[str, str] = {}
) -> Iterator[int]:
    """Start a command on a terminal of its own; give the descriptor that its output comes from."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    child = subprocess.Popen(
        [*RUNCAST, *words],
        stdin=subprocess.DEVNULL,
        stdout=follower,
        stderr=subprocess.DEVNULL,
        # A test worker has a COLUMNS of its own, which would come before the terminal's.
        env=clean_environment({"RUNCAST_SERVER": NO_SERVER, "COLUMNS": str(columns), **variables}),
    )
    os.close(follower)
    try:
        yield leader
    finally:
        child.kill()
        child.wait()
        os.close(leader)


def read_until(descriptor: int, expected: bytes) -> bytes:
    """Read what a terminal shows until this comes; its line ends are plain newlines again."""
    shown = b""
    while expected not in shown:
        shown = (shown + os.read(descriptor, 65_536)).replace(b"\r\n", b"\n")
    return shown
