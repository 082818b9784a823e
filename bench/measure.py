"""What a measurement needs to know, and the arithmetic of its samples."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from bench.report import Row


class Load(NamedTuple):
    """One fan-out: its name, lines a second (None: a burst), and how many lines for each server.

    A peer that is twenty times slower gets fewer lines, or it would run for minutes.
    """

    name: str
    rate: float | None
    lines: int
    peer_lines: int


class Plan(NamedTuple):
    """How long everything is measured, and in which folder."""

    folder: Path
    ingest_rounds: int
    ingest_lines: int
    fanout_rounds: int
    fanouts: Sequence[Load]
    latency_seconds: float
    spawns: int
    idle_runs: int
    parse_rounds: int
    parse_bytes: int
    replay_rounds: int
    replay_events: int


def full(folder: Path) -> Plan:
    """Plan the measurement whose results are published."""
    loads = [
        Load("200", 200, 2_000, 800),
        Load("2000", 2_000, 20_000, 1_500),
        Load("burst", None, 100_000, 1_500),
    ]
    return Plan(folder, 5, 1_000_000, 3, loads, 10, 30, 5, 9, 3_000_000, 3, 1_000_000)


def quick(folder: Path) -> Plan:
    """Plan a measurement of less than a minute, for a first look."""
    loads = [
        Load("200", 200, 600, 300),
        Load("2000", 2_000, 6_000, 400),
        Load("burst", None, 40_000, 400),
    ]
    return Plan(folder, 3, 200_000, 1, loads, 3, 10, 1, 3, 500_000, 1, 100_000)


Measurement = Callable[[Plan], Iterator[Row]]


def percentile(samples: Iterable[float], percent: float) -> float:
    """Return the smallest sample that so many percent do not exceed."""
    ordered = sorted(samples)
    return ordered[max(math.ceil(len(ordered) * percent / 100) - 1, 0)]


def median(samples: Iterable[float]) -> float:
    """Return the middle sample, or the mean of the two in the middle."""
    ordered = sorted(samples)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def spread(samples: Iterable[float]) -> str:
    """Say between which values the samples lie."""
    ordered = sorted(samples)
    return f"{ordered[0]:,.4g} to {ordered[-1]:,.4g}"
