"""Rows become lines that stand under one another and fit where that is possible."""

import pytest

from runcast.cli.tables import table_lines

ID = "01939c5e-7b1c-7d2f-8a44-5f0e6c1b2a90"
ROWS = [
    ("ID", "STATUS", "TIME", "COMMAND"),
    (ID, "failed (timeout)", "2m 34s", "make " * 20),
    ("nightly-42", "running", "5s", ""),
]


def test_without_a_width_nothing_is_cut_and_no_line_ends_in_blanks() -> None:
    head, full, empty = table_lines(ROWS, right={2})
    assert head == f"{'ID':36}  {'STATUS':16}    TIME  COMMAND"
    assert full == f"{ID}  failed (timeout)  2m 34s  {('make ' * 20).rstrip()}"
    assert empty == f"{'nightly-42':36}  {'running':16}      5s"


@pytest.mark.parametrize("width", [30, 60, 80, 100])
def test_only_the_last_column_is_cut(width: int) -> None:
    fixed = f"{ID}  failed (timeout)  2m 34s  "
    line = list(table_lines(ROWS, width, right={2}))[1]
    assert line.startswith(f"{fixed}make make make make")
    assert line.endswith("…")
    assert len(line) == max(width, len(fixed) + 20)


def test_wide_characters_count_twice() -> None:
    assert list(table_lines([("a", "漢" * 30)], 43)) == [f"a  {'漢' * 19} …"]


def test_a_cell_that_fits_is_whole() -> None:
    assert list(table_lines([("a", "b" * 40)], 43)) == [f"a  {'b' * 40}"]
