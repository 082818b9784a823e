"""The unfinished line of one stream: what is held until its newline comes. Pure."""

from collections.abc import Iterable

import msgspec

from runcast.spool.cri import PART_BYTES, boundary
from runcast.spool.records import Block


class Kept(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Where a framing stands in a file, so that another one can go on there.

    All before `offset` is consumed; of a stream in `ahead`, all before the offset given there.
    The last text of a stream in `parts` was given as a part, which its next text goes on with.
    `carried` is text that is not in the file any more, or was read together with such.
    """

    offset: int = 0
    ahead: dict[str, int] = {}
    parts: list[str] = []
    carried: dict[str, bytes] = {}


class Unfinished:
    """Holds one stream's line until it ends; one that grows beyond `limit` is given in parts.

    `start` is the offset in the file of the first held byte that can be read there again, None if
    there is none. What is held besides, the first `carried` bytes, cannot.
    """

    __slots__ = ("carried", "limit", "part", "start", "text")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.text = bytearray()
        self.carried = 0
        self.start: int | None = None
        self.part = False

    @property
    def open(self) -> bool:
        """Whether a line has begun and not ended."""
        return self.part or bool(self.text)

    def restore(self, carried: bytes, *, part: bool) -> None:
        """Go on with what was kept; the rest of what was held will be read again."""
        self.text = bytearray(carried)
        self.carried = len(carried)
        self.start = None
        self.part = part

    def hold(self, text: bytes, offset: int) -> list[bytes]:
        """Add text that begins at this offset; return the parts that are not held."""
        if self.start is None and text:
            self.start = offset
        self.text += text
        return self.drain() if self._is_long() else []

    def drain(self) -> list[bytes]:
        """Give all that is held as parts, but for the start of a character at its end."""
        parts = []
        start, size = 0, len(self.text)
        while (cut := boundary(self.text, min(start + PART_BYTES, size))) > start:
            parts.append(bytes(self.text[start:cut]))
            start = cut
        del self.text[:start]
        self.carried = len(self.text)
        self.start = None
        self.part = self.part or bool(parts)
        return parts

    def end(self, rest: bytes = b"") -> list[bytes]:
        """End the line with `rest`; return its parts and, last, what ends it."""
        self.text += rest
        parts = self.drain() if self._is_long() else []
        parts.append(bytes(self.text))
        self.restore(b"", part=False)
        return parts

    def carry(self) -> None:
        """Note that the file ends here: nothing that is held can be read again."""
        self.carried = len(self.text)
        self.start = None

    def _is_long(self) -> bool:
        return len(self.text) > (PART_BYTES if self.part else self.limit)


def part_blocks(time: int, stream: str, parts: Iterable[bytes]) -> list[Block]:
    """Make blocks of parts of a line that goes on."""
    return [Block(time, stream, part, full=False) for part in parts]


def line_blocks(time: int, stream: str, texts: list[bytes]) -> list[Block]:
    """Make blocks of the parts of a line and, last, what ends it."""
    *parts, last = texts
    return [*part_blocks(time, stream, parts), Block(time, stream, last)]
