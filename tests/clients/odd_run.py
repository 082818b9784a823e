"""A real run that prints text which could break a stream, while clients of all kinds watch it."""

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import TypeVar

import httpx2

from tests.children.oddities import rounds
from tests.clients.cutting import Cutter
from tests.clients.streams import read_log
from tests.clients.wires_checker import Log
from tests.support.runs import submit
from tests.support.waiting import until

EVENTS = 1_000
LINES = 10  # at once
PAUSE_S = 0.01
STARTED_S = 30  # a browser on a busy machine

PRINT_LINES = Path(__file__).with_name("print_lines.py")

T = TypeVar("T")


class OddRun:
    """The run; `id` is its id. It prints nothing before it is watched."""

    def __init__(self, client: httpx2.Client, folder: Path) -> None:
        self._client = client
        self._begin = folder / "begin"
        self._lines = folder / "lines"
        self._lines.write_bytes(b"".join(line + b"\n" for line in islice(rounds(), EVENTS)))
        program = [sys.executable, "-IS", str(PRINT_LINES)]
        arguments = [str(self._lines), str(LINES), str(PAUSE_S), str(self._begin)]
        self.id = submit(client, program + arguments)

    def watch(self, follow: Callable[[], T], cutters: list[Cutter], clients: int) -> T:
        """Print once `follow` has opened a connection for each client; return what it returns."""
        before = _connections(cutters)
        with ThreadPoolExecutor(1) as pool:
            following = pool.submit(follow)
            until(
                lambda: following.done() or _connections(cutters) >= before + clients,
                "all clients to be connected",
                STARTED_S,
            )
            self._begin.touch()
            return following.result()

    def log(self) -> Log:
        """Return the log of the run once it has ended; it has each line as one event."""
        log = read_log(self._client, self.id)
        said = [event["data"]["text"] for event in log.events if event["type"] == "output"]
        assert said == self._lines.read_bytes().decode(errors="replace").split("\n")[:-1]
        return log


def _connections(cutters: list[Cutter]) -> int:
    return sum(cutter.connections for cutter in cutters)
