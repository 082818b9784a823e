"""What was measured: rows, the targets they are held against, and how they are shown."""

import json
import os
import platform
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

RESULTS = Path(__file__).with_name("results")
DOCUMENT = Path(__file__).parents[1] / "docs" / "benchmarks.md"
_BEGIN, _END = "<!-- results -->\n", "<!-- end of results -->\n"


class Target(NamedTuple):
    """The value a row must reach, from above or from below."""

    value: float
    at_most: bool = False

    def met(self, value: float) -> bool:
        """Tell whether the value is good enough."""
        return value <= self.value if self.at_most else value >= self.value


TARGETS: dict[str, Target] = {
    "ingest.rate": Target(150_000),
    "fanout.200": Target(90_000),
    "fanout.2000": Target(700_000),
    "fanout.burst": Target(2_500_000),
    "latency.100.p50": Target(3, at_most=True),
    "latency.1000.p50": Target(3, at_most=True),
    "spawn.p50": Target(150, at_most=True),
    "spawn.memory": Target(8, at_most=True),
    "tailing.idle": Target(5, at_most=True),
    "tailing.new.p99": Target(50, at_most=True),
}


class Row(NamedTuple):
    """One number: what it says, its unit, the same of a peer, and what else belongs to it."""

    name: str
    label: str
    value: float
    unit: str
    peer: float | None = None
    note: str = ""

    @property
    def target(self) -> Target | None:
        """What is wanted of this number."""
        return TARGETS.get(self.name)


_HEADINGS = ("measured", "runcast", "unit", "target", "peer", "note")


def table(rows: Sequence[Row]) -> str:
    """Show the rows as a Markdown table with aligned columns."""
    cells = [_HEADINGS, *(_cells(row) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [" | ".join(map(str.ljust, line, widths)).rstrip() for line in cells]
    lines.insert(1, " | ".join("-" * width for width in widths))
    return "".join(f"| {line} |\n" for line in lines)


def _cells(row: Row) -> tuple[str, ...]:
    target = "" if row.target is None else _target(row.target, row.value)
    peer = "" if row.peer is None else _number(row.peer)
    return (row.label, _number(row.value), row.unit, target, peer, row.note)


def _target(target: Target, value: float) -> str:
    sign = "≤" if target.at_most else "≥"
    return f"{sign} {_number(target.value)} {'met' if target.met(value) else 'MISSED'}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.2f}"


def machine() -> str:
    """Say on what this runs, and how busy it was before."""
    load = os.getloadavg()[0]
    kernel = ".".join(platform.release().split(".")[:2])
    return (
        f"{os.cpu_count()} cores, Linux {kernel}, Python {platform.python_version()}, "
        f"load {load:.1f} before, nice {os.nice(0)}, {time.strftime('%Y-%m-%d')}"
    )


def write_json(rows: Sequence[Row], on: str) -> Path:
    """Keep the numbers of this run for programs; return the file."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / "latest.json"
    results = {row.name: row._asdict() for row in rows}
    path.write_text(json.dumps({"machine": on, "results": results}, indent=1) + "\n")
    return path


def write_document(rows: Sequence[Row], on: str) -> None:
    """Put the table in place of the one in the documentation."""
    text = DOCUMENT.read_text()
    before, rest = text.split(_BEGIN)
    _, after = rest.split(_END)
    DOCUMENT.write_text(f"{before}{_BEGIN}\n{on}\n\n{table(rows)}\n{_END}{after}")
