"""The host of a virtual machine, which gives its processors to other machines now and then."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from bench.report import Row

QUIET = 0.01  # of the processors' time taken away, and a round counts without question
AGAIN = 4
PAUSE_S = 3.0
PATIENCE_S = 300.0  # for all that is measured again in one run

STAT = Path("/proc/stat")
_TICKS = os.sysconf("SC_CLK_TCK")
_STOLEN = 8  # its column: the time in which a processor was wanted and not had (proc_stat(5))

T = TypeVar("T")


class Rounds:
    """Measures in rounds, again where the host took too much of the processors' time meanwhile.

    Of the tries at a round the one counts from which the least was taken, whatever was measured.
    """

    def __init__(self, stolen_s: Callable[[], float], pause_s: float = PAUSE_S) -> None:
        """Take what tells how many seconds the host has taken so far, of all processors."""
        self.count = 0
        self.again = 0
        self.worst = 0.0  # share taken of those that count
        self._stolen_s = stolen_s
        self._pause_s = pause_s
        self._patience_s = PATIENCE_S

    def measure(self, one: Callable[[], T]) -> T:
        """Return what a round gives."""
        share, best = self._try(one)
        for _ in range(AGAIN):
            if share <= QUIET or self._patience_s <= 0:
                break
            began = time.monotonic()
            time.sleep(self._pause_s)
            share, best = min((share, best), self._try(one), key=lambda tried: tried[0])
            self._patience_s -= time.monotonic() - began
            self.again += 1
        self.count += 1
        self.worst = max(self.worst, share)
        return best

    def rows(self) -> Iterator[Row]:
        """Say how much the host took, if there were rounds."""
        if self.count:
            label = "processor time that the host took, in the worst round that counts"
            note = f"of {self.count} rounds, {self.again} times one was measured again"
            yield Row("host", label, 100 * self.worst, "% of the machine", note=note)

    def _try(self, one: Callable[[], T]) -> tuple[float, T]:
        began, before = time.monotonic(), self._stolen_s()
        result = one()
        wall = (time.monotonic() - began) * (os.cpu_count() or 1)
        return (self._stolen_s() - before) / wall, result


def _stolen_s() -> float:
    fields = STAT.read_text().partition("\n")[0].split()
    return int(fields[_STOLEN]) / _TICKS


ROUNDS = Rounds(_stolen_s)
undisturbed = ROUNDS.measure
