"""A call that a client may repeat: it is done once, and its answer is kept to be given again."""

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec.structs import replace


class Answered(msgspec.Struct, frozen=True):
    """An HTTP answer as it was given."""

    status: int
    headers: dict[str, str]
    body: bytes


class Once(msgspec.Struct, frozen=True, kw_only=True):
    """What makes a call happen once: whoever repeats it under this key gets the kept answer.

    `fingerprint` tells one request from another under the same key, `time` is when it came (µs).
    `answer` is called once, within the commit and in another thread, with what the call returns:
    it may neither wait, nor fail, nor change that value.
    """

    key: str
    fingerprint: bytes
    time: int
    answer: Callable[[Any], Answered]


def mapped(once: Once | None, change: Callable[[Any], Any]) -> Once | None:
    """Have the answer made from what `change` makes of the call's result."""
    if once is None:
        return None
    answer = once.answer
    return replace(once, answer=lambda result: answer(change(result)))
