"""Lines of many files on one stream: whose they are, and where they begin."""

import io

import pytest

from runcast.cli.prefixes import Cursor, Names, Prefixed, shorten


@pytest.mark.parametrize(
    ("name", "room", "shown"),
    [
        ("short.log", 9, "short.log"),
        ("namespace/container/0.log", 16, "names…iner/0.log"),
        ("日本語日本語日本語.log", 13, "日本…本語.log"),
        ("ab", 1, "…"),
    ],
)
def test_a_name_is_cut_in_its_middle(name: str, room: int, shown: str) -> None:
    assert shorten(name, room) == shown


def two_files(width: int | None = None) -> tuple[io.BytesIO, Prefixed, Prefixed]:
    stream, cursor, names = io.BytesIO(), Cursor(), Names(width, coloured=False)
    one, other = (Prefixed(stream, cursor, names.add(name)) for name in ("a", "bcd"))
    return stream, one, other


def test_every_line_begins_with_its_name() -> None:
    stream, one, other = two_files()
    one.write(b"1\n\n2\n")
    other.write(b"3\n")
    assert stream.getvalue() == b"a | 1\na | \na | 2\nbcd | 3\n"


def test_names_are_aligned_where_people_read() -> None:
    stream, one, other = two_files(width=80)
    one.write(b"1\n")
    other.write(b"2\n")
    assert stream.getvalue() == b"a   | 1\nbcd | 2\n"


def test_what_would_act_on_a_terminal_is_left_out_of_a_name() -> None:
    stream = io.BytesIO()
    file = Prefixed(stream, Cursor(), Names(None, coloured=False).add("a\x1b[2J\nb"))
    file.write(b"1\n")
    assert stream.getvalue() == b"a b | 1\n"


def test_a_line_goes_on_where_it_stopped() -> None:
    stream, one, _ = two_files()
    for part in (b"50%", b" 100%", b"\n", b"next\n"):
        one.write(part)
    assert stream.getvalue() == b"a | 50% 100%\na | next\n"


def test_a_line_that_others_came_into_begins_again() -> None:
    stream, one, other = two_files()
    one.write(b"50%")
    other.write(b"between")
    one.write(b" 100%\n")
    other.write(b"\n")
    assert stream.getvalue() == b"a | 50%\nbcd | between\na |  100%\n"
    one.write(b"next\n")
    assert stream.getvalue().endswith(b"\na | next\n")
