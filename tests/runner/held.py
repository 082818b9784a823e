"""A real runner under test: what it holds, what it wrote, and how to get rid of it."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import runcast.runner
from runcast.runner.sweep import sweep
from runcast.runner.tree import descendants
from runcast.spool.folder import RunFolder
from tests.support import processes
from tests.support.waiting import until

RUNNER = Path(runcast.runner.__file__).with_name("__main__.py")
HEADER = 40
# Coverage enters a process by way of site-packages, which `-S` leaves out.
ISOLATED = ["-I"] if "COVERAGE_PROCESS_CONFIG" in os.environ else ["-I", "-S"]


class Held:
    """A runner started on a folder as the server starts it, `wrap` being put before it."""

    def __init__(self, folder: RunFolder, wrap: list[str], program: Path = RUNNER) -> None:
        self.folder = folder
        lock = folder.take_lock()
        assert lock is not None
        command = [*wrap, sys.executable, *ISOLATED, str(program), folder.path, str(lock)]
        with open(folder.runner_log_path, "ab") as log:
            self.process = subprocess.Popen(
                command,
                start_new_session=True,
                pass_fds=[lock],
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
            )
        os.close(lock)

    @property
    def key(self) -> str:
        return os.path.basename(self.folder.path)

    def pid(self, who: str) -> int:
        """Wait until the command is about to start; return the pid of the guard or the worker."""
        started = until(self.folder.started, "the start")
        assert started is not None
        return int(started[who]["pid"])

    def kill(self, who: str) -> None:
        os.kill(self.pid(who), signal.SIGKILL)

    def order(self, text: str) -> None:
        until(lambda: self.folder.order(text), "the runner to take orders")

    def ended(self, timeout: float = 10) -> dict[str, Any]:
        """Wait for the end and return what exit.json says."""
        self.process.wait(timeout)
        until(lambda: not self.folder.alive(), "the lock to be free")
        outcome = self.folder.exit()
        assert outcome is not None, self.complaints()
        assert self.complaints() == ""
        return outcome

    def complaints(self) -> str:
        return Path(self.folder.runner_log_path).read_text()

    def records(self) -> list[bytes]:
        """Return the whole records in the spool, without their newlines."""
        return Path(self.folder.output_path).read_bytes().split(b"\n")[:-1]

    def output(self, stream: str = "stdout") -> bytes:
        """Return what the command printed, as the spool has it so far."""
        return joined(self.records(), stream)

    def said(self, text: bytes) -> bytes:
        """Wait until the command has printed `text`; return all it has printed."""
        until(lambda: text in self.output(), f"{text!r} to be printed")
        return self.output()

    def close(self) -> None:
        """Leave nothing behind, whatever state the test left it in."""
        started = self.folder.started() or {}
        for who in ("guard", "worker"):
            if who in started:
                _end(started[who]["pid"])
        self.process.kill()
        self.process.wait()
        sweep(self.key)


def _end(pid: int) -> None:
    if processes.is_alive(pid):
        processes.kill_all(lambda: filter(processes.is_alive, descendants(pid)))
        os.kill(pid, signal.SIGKILL)


def joined(records: list[bytes], stream: str) -> bytes:
    """Undo the framing of one stream."""
    ends = {b"F": b"\n", b"P": b""}
    ours = [record for record in records if record[31:37] == stream.encode()]
    return b"".join(record[HEADER:] + ends[record[38:39]] for record in ours)
