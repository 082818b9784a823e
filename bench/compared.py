"""Rounds of several servers under one load, made into one row."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from bench.audience import Sample
from bench.measure import median, percentile, spread
from bench.report import Beside, Row

UNIT = "events per server CPU-s"


class Compared(NamedTuple):
    """What the rounds of one server come to; delays in ms, None where events have no time."""

    rate: float
    spread: str
    p50: float | None
    p99: float | None
    busy: float
    missed: int

    @property
    def words(self) -> str:
        """Say what was seen beside the rate."""
        delays = "" if self.p50 is None else f"p50/p99 {self.p50:.3g}/{self.p99:.3g} ms"
        missed = f"{self.missed:,} events missed" if self.missed else ""
        return ", ".join(filter(None, [delays, missed]))


def summed_up(samples: Sequence[Sample], timed: bool = True) -> Compared:
    """Sum up the rounds of one server."""
    rates = [each.per_cpu_s for each in samples]
    return Compared(
        median(rates),
        spread(rates),
        delay_ms(samples, 50) if timed else None,
        delay_ms(samples, 99) if timed else None,
        max(each.busy for each in samples),
        sum(each.expected - each.seen.least for each in samples),
    )


def delay_ms(samples: Sequence[Sample], percent: float) -> float:
    """Return the middle one of what so many percent of the delays did not exceed in each round."""
    rounds = [each.seen.delays_ms for each in samples if each.seen.delays_ms]
    return median(percentile(delays, percent) for delays in rounds) if rounds else math.inf


def compare(name: str, label: str, ours: Compared, peers: Mapping[str, Compared]) -> Row:
    """Put deliveries per CPU second beside those of the peers."""
    beside = tuple(Beside(peer, each.rate, each.words) for peer, each in peers.items())
    client = f"load client busy {ours.busy:.0%}"
    note = "; ".join(filter(None, [ours.words, ours.spread, client]))
    return Row(name, label, ours.rate, UNIT, note=note, beside=beside)
