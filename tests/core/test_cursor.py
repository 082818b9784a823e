import pytest

from runcast.core.cursor import parse_cursor
from runcast.core.errors import BadRequest


@pytest.mark.parametrize(
    ("text", "cursor"), [("0", 0), ("1", 1), ("9223372036854775807", 2**63 - 1), ("now", None)]
)
def test_a_cursor_is_a_number_or_now(text, cursor):
    assert parse_cursor(text) == cursor


@pytest.mark.parametrize(
    "text",
    ["", "-1", "+1", "01", "1.0", " 1", "1\n", "٣", "x", "NOW", "9223372036854775808", "1" * 20],
)
def test_anything_else_is_refused(text):
    with pytest.raises(BadRequest) as caught:
        parse_cursor(text)

    assert caught.value.code == "bad_cursor"
