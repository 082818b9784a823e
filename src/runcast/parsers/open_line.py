"""A line of which only a part has come."""

from collections.abc import Iterable

from runcast.core.limits import LINE_BYTES
from runcast.spool.records import Block, Broken


class OpenLine:
    """Holds the parts of one stream's unfinished line until the rest has come.

    `start` is the offset in the spool of the record it begins with. A line that grows beyond
    LINE_BYTES is given up: its parts are let go, and `given_up` is set until its end has passed.
    """

    __slots__ = ("_parts", "given_up", "size", "start")

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self.start = 0
        self.size = 0
        self.given_up = False

    def hold(self, text: bytes, offset: int) -> list[bytes]:
        """Add a part; return the parts that are not held, because the line is too long."""
        if self.given_up:
            return [text]
        if not self._parts:
            self.start = offset
        self._parts.append(text)
        self.size += len(text)
        if self.size <= LINE_BYTES:
            return []
        self.given_up = True
        return self._let_go()

    def end(self, rest: bytes) -> bytes:
        """Return the whole line that ends with `rest`; only that of one that was given up."""
        self.given_up = False
        return b"".join((*self._let_go(), rest))

    def saved(self) -> dict[str, tuple[int, int]]:
        """Name what is held by reference."""
        return {"stdout": (self.start, self.size)} if self._parts else {}

    def restore(self, blocks: Iterable[Block | Broken]) -> None:
        """Hold again what the records say, from the line's first on."""
        for block in blocks:
            if isinstance(block, Block) and block.stream == "stdout" and not block.full:
                for text in block.texts():
                    self.hold(text, block.offset)

    def _let_go(self) -> list[bytes]:
        parts, self._parts = self._parts, []
        self.size = 0
        return parts
