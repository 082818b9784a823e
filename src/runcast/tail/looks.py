"""Looks: what reading on in the files of a path gives."""

import time
from typing import NamedTuple

import msgspec

from runcast.spool.records import Block
from runcast.tail.formats import Framing
from runcast.tail.generations import Lost
from runcast.tail.opened import Opened

LOOK_BYTES = 128 * 1024


class Look(NamedTuple):
    """What a look gave: lines and losses in order, and how many bytes were read for them.

    `more` says that there is more to read at once, `turned` that the tail goes on elsewhere, which
    should be kept even if nothing was said.
    """

    items: list[Block | Lost]
    read: int = 0
    more: bool = False
    turned: bool = False


class Reading:
    """What one look has given so far."""

    def __init__(self) -> None:
        self.items: list[Block | Lost] = []
        self.size = 0
        self.turned = False

    @property
    def left(self) -> int:
        """How many more bytes it takes."""
        return max(LOOK_BYTES - self.size, 0)

    def feed(self, file: Opened, framing: Framing, limit: int) -> int:
        """Read on in a file; return how many bytes there were; raise Shrunk."""
        data = file.read(limit)
        start = file.position - len(data)
        if start != framing.position:
            go_to(framing, start)  # a hole was stepped over
        self.items += framing.feed(data, clock_us())
        self.size += len(data)
        return len(data)

    def look(self) -> Look:
        """Return all of it."""
        return Look(self.items, self.size, not self.left, self.turned)


def go_to(framing: Framing, position: int, ahead: dict[str, int] | None = None) -> None:
    """Have a framing go on elsewhere, with the line that it holds."""
    framing.restore(msgspec.structs.replace(framing.kept(), offset=position, ahead=ahead or {}))


def clock_us() -> int:
    """Return the time in µs since the epoch."""
    return time.time_ns() // 1000
