"""Cursors: 'I have everything up to here', as clients write them."""

import re

from runcast.core.errors import BadRequest
from runcast.core.limits import MAX_POSITION

NOW = "now"
_NUMBER = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)


def parse_cursor(text: str, what: str = "after") -> int | None:
    """Read a cursor: a number, or None for `now`; anything else raises BadRequest."""
    if text == NOW:
        return None
    if _NUMBER.fullmatch(text) is None or int(text) > MAX_POSITION:
        raise BadRequest("bad_cursor", f"{what} must be 0, a whole number or 'now', not {text!r}")
    return int(text)
