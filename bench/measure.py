"""What a measurement needs to know, and the arithmetic of its samples."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from bench.report import Row


class Plan(NamedTuple):
    """How much of everything is measured, and in which folder; as it stands, for publishing."""

    folder: Path
    disk_times: int = 300
    ingest_rounds: int = 3
    ingest_lines: int = 1_000_000
    ingest_blob: int = 1 << 30
    fanout_clients: Sequence[int] = (1, 50, 200, 1_000)
    fanout_rounds: int = 3
    fanout_seconds: float = 2.5
    burst_deliveries: int = 10_000_000
    own_runs: int = 500
    own_rounds: int = 3
    own_seconds: float = 4
    delay_rounds: int = 3
    delay_seconds: float = 3.5
    latency_seconds: float = 10
    spawns: int = 30
    idle_runs: int = 5
    parse_rounds: int = 9
    parse_bytes: int = 3_000_000
    replay_rounds: int = 3
    replay_events: int = 1_000_000
    idle_clients: int = 2_000
    heartbeat_clients: int = 5_000
    heartbeat_seconds: float = 30
    stored_runs: int = 100_000
    queued_runs: int = 1_000
    requests: int = 500
    busy_runs: int = 100
    busy_rounds: int = 3
    busy_seconds: float = 20


def quick(folder: Path) -> Plan:
    """Plan less than a minute for each scenario, for a first look."""
    return Plan(
        folder,
        ingest_lines=200_000,
        ingest_blob=1 << 27,
        fanout_clients=(200,),
        fanout_rounds=1,
        fanout_seconds=2,
        burst_deliveries=4_000_000,
        own_runs=100,
        own_rounds=1,
        own_seconds=3,
        delay_rounds=1,
        delay_seconds=2,
        latency_seconds=3,
        spawns=10,
        idle_runs=1,
        parse_rounds=3,
        parse_bytes=500_000,
        replay_rounds=1,
        replay_events=200_000,
        idle_clients=500,
        heartbeat_clients=1_000,
        heartbeat_seconds=15,
        stored_runs=20_000,
        queued_runs=200,
        requests=200,
        busy_rounds=1,
        busy_seconds=5,
    )


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


def exponent(points: Sequence[tuple[float, float]]) -> float:
    """Return with which power of the first number the second grows (least squares)."""
    logs = [(math.log(size), math.log(cost)) for size, cost in points]
    size_mean = sum(size for size, _ in logs) / len(logs)
    cost_mean = sum(cost for _, cost in logs) / len(logs)
    rise = sum((size - size_mean) * (cost - cost_mean) for size, cost in logs)
    return rise / sum((size - size_mean) ** 2 for size, _ in logs)
