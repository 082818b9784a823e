"""The command of a measurement, and the gate that it waits at until everything is in place."""

import contextlib
import errno
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.processes import BenchError, end_all_of

CHILD = str(Path(__file__).with_name("child.py"))
OPEN_SECONDS = 10.0


def command(count: int, **options: object) -> list[str]:
    """Return the command that prints `count` lines; options as `child.py` has them."""
    flags = [f"--{name}={value}" for name, value in options.items() if value is not None]
    return [sys.executable, "-I", "-S", CHILD, str(count), *flags]


class Gate:
    """A FIFO which the command reads before it prints anything."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def open(self) -> None:
        """Let the command begin, once it is there."""
        deadline = time.monotonic() + OPEN_SECONDS
        while True:
            try:
                os.close(os.open(self.path, os.O_WRONLY | os.O_NONBLOCK))
            except OSError as error:
                if error.errno != errno.ENXIO:
                    raise
            else:
                return
            if time.monotonic() > deadline:
                raise BenchError("the command never came to its gate")
            time.sleep(0.001)


@contextlib.contextmanager
def gate(folder: Path) -> Iterator[Gate]:
    """Make a gate in `folder`, for one command."""
    with tempfile.TemporaryDirectory(prefix="gate-", dir=folder) as place:
        path = Path(place, "fifo")
        os.mkfifo(path)
        try:
            yield Gate(path)
        finally:
            end_all_of(place)
