"""The published result: the table and the chart of docs/benchmarks.md."""

from collections.abc import Sequence
from pathlib import Path

from bench import chart
from bench.report import Row, table

DOCS = Path(__file__).parents[1] / "docs"
DOCUMENT = DOCS / "benchmarks.md"
CHART = DOCS / "benchmarks.svg"
_BEGIN, _END = "<!-- results -->\n", "<!-- end of results -->\n"
_CHARTED = {
    "fanout.200.200": "200 events/s",
    "fanout.2000.200": "2,000 events/s",
    "fanout.burst.200": "a burst",
    "sockets.batch": "2,000 events/s, WebSocket batches",
    "own.500": "own run each (500 clients)",
}
_TITLE = "Events delivered per server CPU second, 200 clients (logarithmic)"


def write(rows: Sequence[Row], on: str, left_out: Sequence[str]) -> None:
    """Put the table in place of the one in the documentation, and draw the chart."""
    text = DOCUMENT.read_text()
    before, rest = text.split(_BEGIN)
    _, after = rest.split(_END)
    missing = "".join(f"\n{line}\n" for line in left_out)
    DOCUMENT.write_text(f"{before}{_BEGIN}\n{on}\n{missing}\n{table(rows)}\n{_END}{after}")
    CHART.write_text(chart.bars(_TITLE, _groups(rows)))


def _groups(rows: Sequence[Row]) -> list[chart.Group]:
    charted = [row for row in rows if row.name in _CHARTED]
    return [
        chart.Group(
            _CHARTED[row.name],
            {"runcast": row.value, **{one.peer: one.value for one in row.beside}},
        )
        for row in charted
    ]
