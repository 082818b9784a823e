"""Tables for people: lines whose columns stand under one another."""

import shutil
import sys
from collections.abc import Collection, Iterator, Sequence

_LEAST_LAST = 20  # columns of the last cell that are shown, however narrow the terminal is


def terminal_width() -> int | None:
    """Return how wide standard output is; None where it is no terminal and nothing has to fit."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def table_lines(
    rows: Sequence[Sequence[str]], width: int | None = None, right: Collection[int] = ()
) -> Iterator[str]:
    """Yield the rows as lines, the columns numbered in `right` with their ends aligned.

    Every column is as wide as it needs; only the last one is cut to fit `width`. Where even a
    short piece of that does not fit, the lines are longer than `width`.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)][:-1]
    for *cells, last in rows:
        aligned = [
            cell.rjust(size) if number in right else cell.ljust(size)
            for number, (cell, size) in enumerate(zip(cells, widths, strict=True))
        ]
        start = "".join(f"{cell}  " for cell in aligned)
        shown = last if width is None else fit(last, max(width - len(start), _LEAST_LAST))
        yield (start + shown).rstrip()


def fit(text: str, room: int) -> str:
    """Cut plain text to `room` columns, the last one showing that something is missing."""
    from rich.cells import cell_len, set_cell_size

    return text if cell_len(text) <= room else set_cell_size(text, room - 1) + "…"
