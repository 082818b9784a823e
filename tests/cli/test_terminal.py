"""What reaches a terminal: text and colours, nothing that acts."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runcast.cli.terminal import clean, plain

ACTING = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
PIECES = st.sampled_from(
    [
        "\x1b",
        "[",
        "]",
        "P",
        "m",
        "0;",
        "31",
        "\x07",
        "\x9b",
        "\x9c",
        "\\",
        "c",
        "A",
        " ",
        "?",
        "\u202e",
    ]
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ünï ✓", "plain ünï ✓"),
        ("a\tb\rc", "a\tb\rc"),
        ("\x1b[1;31mred\x1b[0m", "\x1b[1;31mred\x1b[0m"),
        ("\x1b[38:5:9mred\x1b[m", "\x1b[38:5:9mred\x1b[m"),
        ("\x1b[2J\x1b[Hcleared", "cleared"),
        ("\x1b[6n\x1b[c\x1b[18treports", "reports"),
        ("\x1b[?25lhidden", "hidden"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]52;c;c2VjcmV0\x1b\\text", "text"),
        ("\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bPq#0\x1b\\sixel", "sixel"),
        ("\x1b_apc\x1b\\\x1b^pm\x1b\\\x1bXsos\x1b\\text", "text"),
        ("\x1bcreset", "reset"),
        ("\x1b(0line", "line"),
        ("\x9b2Jc1", "c1"),
        ("\x9d0;title\x9ctext", "text"),
        ("\x07" * 1000 + "bell", "bell"),
        ("back\x08space\x7f", "backspace"),
        ("\u202eesrever", "esrever"),
        ("unfinished \x1b[3", "unfinished "),
        ("unfinished \x1b]0;tit", "unfinished "),
        ("last\x1b", "last"),
    ],
)
def test_only_text_and_colours_remain(text: str, shown: str) -> None:
    assert clean(text) == shown


@given(st.lists(st.one_of(PIECES, st.text(max_size=3))).map("".join))
def test_nothing_that_acts_survives_and_cleaning_twice_changes_nothing(text: str) -> None:
    shown = clean(text)
    assert not ACTING.search(shown)
    assert re.sub(r"\x1b\[[0-9;:]*m", "", shown).count("\x1b") == 0
    assert clean(shown) == shown


def test_plain_text_has_no_colours_either() -> None:
    assert plain("\x1b[1;31mred\x1b[0m \x1b[2J\x1b[38:5:9mtoo") == "red too"


def test_a_long_hostile_line_takes_linear_time() -> None:
    assert clean("\x1b]" * 200_000) == ""
    assert clean("\x1b[" + "0;" * 500_000) == ""
