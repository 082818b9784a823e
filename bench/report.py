"""What was measured: rows, how they are held against the targets, and how they are shown."""

import json
import os
import platform
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bench.targets import TARGETS

RESULTS = Path(__file__).with_name("results")


class Beside(NamedTuple):
    """The same number of a peer, and what was seen of it on the way."""

    peer: str
    value: float
    note: str = ""


class Row(NamedTuple):
    """One number: what it says, its unit, the same of peers, and what else belongs to it.

    `peer` is for the one peer that the note names; `beside` has any number, each with its name.
    """

    name: str
    label: str
    value: float
    unit: str
    peer: float | None = None
    note: str = ""
    beside: tuple[Beside, ...] = ()

    def held(self) -> dict[str, float]:
        """Return the numbers that may have targets, by the targets' names."""
        ratios = {f"{self.name}/{one.peer}": self.value / one.value for one in self.beside}
        return {self.name: self.value, **ratios}


def missed(rows: Sequence[Row]) -> Iterator[str]:
    """Say of each target that is missed what was wanted and what there is."""
    for row in rows:
        for name, value in row.held().items():
            if name in TARGETS and not TARGETS[name].met(value):
                yield f"{name}: {number(value)}, wanted {_wanted(name)}"


_HEADINGS = ("measured", "runcast", "unit", "target", "beside it", "note")


def table(rows: Sequence[Row]) -> str:
    """Show the rows as a Markdown table with aligned columns."""
    cells = [_HEADINGS, *(_cells(row) for row in rows)]
    # What stands beside and the note are long: they are not padded.
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    widths[-2:] = 0, 0
    lines = [" | ".join(map(str.ljust, line, widths)).rstrip() for line in cells]
    lines.insert(1, " | ".join("-" * max(width, 3) for width in widths))
    return "".join(f"| {line} |\n" for line in lines)


def _cells(row: Row) -> tuple[str, ...]:
    held = row.held()
    beside = [_beside(one, f"{row.name}/{one.peer}", held) for one in row.beside]
    if row.peer is not None:
        beside.append(number(row.peer))
    target = _verdict(row.name, held)
    return (row.label, number(row.value), row.unit, target, "; ".join(beside), row.note)


def _beside(one: Beside, name: str, held: dict[str, float]) -> str:
    ratio = " ".join(filter(None, [f"{held[name]:.3g}x", _verdict(name, held)]))
    note = f", {one.note}" if one.note else ""
    return f"{one.peer} {number(one.value)} ({ratio}{note})"


def _verdict(name: str, held: dict[str, float]) -> str:
    if name not in TARGETS:
        return ""
    return f"{_wanted(name)} {'met' if TARGETS[name].met(held[name]) else 'MISSED'}"


def _wanted(name: str) -> str:
    target = TARGETS[name]
    return f"{'≤' if target.at_most else '≥'} {number(target.value)}"


def number(value: float) -> str:
    """Write a number as it is read."""
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.2f}"


def machine() -> str:
    """Say on what this runs, and how busy it was before."""
    load = os.getloadavg()[0]
    kernel = ".".join(platform.release().split(".")[:2])
    return (
        f"{os.cpu_count()} cores, Linux {kernel}, Python {platform.python_version()}, "
        f"load {load:.1f} before, nice {os.nice(0)}, {time.strftime('%Y-%m-%d')}"
    )


def write_json(rows: Sequence[Row], on: str, left_out: Sequence[str]) -> Path:
    """Keep the numbers of this run for programs; return the file."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / "latest.json"
    results = {row.name: _shown(row) for row in rows}
    report = {"machine": on, "left_out": list(left_out), "results": results}
    path.write_text(json.dumps(report, indent=1) + "\n")
    return path


def _shown(row: Row) -> dict[str, Any]:
    held = row.held()
    targets = {
        name: {"wanted": TARGETS[name].value, "is": value, "met": TARGETS[name].met(value)}
        for name, value in held.items()
        if name in TARGETS
    }
    beside = {one.peer: {"value": one.value, "note": one.note} for one in row.beside}
    return {**row._asdict(), "beside": beside, "targets": targets}
