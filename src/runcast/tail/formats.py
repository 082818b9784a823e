"""How the bytes of a log file are framed as lines: plain text and what container runtimes write.

Pure and incremental: any cut of a file into calls of `feed` gives the same lines. Junk becomes
output as it stands; nothing is dropped and nothing raises.
"""

from collections.abc import Callable
from typing import Protocol

from runcast.core.limits import LINE_BYTES
from runcast.spool.cri import PART_BYTES
from runcast.spool.records import Block
from runcast.tail.containers import Records, read_cri, read_docker
from runcast.tail.unfinished import Kept, Unfinished, line_blocks, part_blocks


class Framing(Protocol):
    """Turns the bytes of one file after the other into blocks of lines, in order.

    `time` is µs since the epoch, for lines that do not tell their own.
    """

    position: int  # in the file: behind all that was fed

    @property
    def unfinished(self) -> bool:
        """Whether text is held that no newline has ended."""

    def restore(self, kept: Kept) -> None:
        """Go on at `kept.offset`, where the caller must read on."""

    def kept(self) -> Kept:
        """Tell where another framing can go on without losing or doubling a byte."""

    def feed(self, data: bytes, time: int) -> list[Block]:
        """Take the next bytes and return what they complete."""

    def flush(self, time: int) -> list[Block]:
        """Give what is unfinished as parts; nothing where lines are held until they end."""

    def end(self, time: int) -> list[Block]:
        """End the file: the next byte fed is the first of another one.

        An unfinished line ends with it, unless the format says that it goes on elsewhere.
        """

    def cut(self, time: int) -> list[Block]:
        """End the file, and every line with it, because something is missing behind it."""

    def finish(self, time: int) -> list[Block]:
        """Give what is unfinished, because nothing more will come."""


class Plain:
    """Lines that end with a newline; every other byte is text."""

    def __init__(self, stream: str, *, joins: bool) -> None:
        self.position = 0
        self._stream = stream
        self._joins = joins
        self._line = Unfinished(LINE_BYTES if joins else PART_BYTES)

    @property
    def unfinished(self) -> bool:
        """Whether text is held that no newline has ended."""
        return bool(self._line.text)

    def restore(self, kept: Kept) -> None:
        """Go on at `kept.offset`."""
        self.position = kept.offset
        carried = kept.carried.get(self._stream, b"")
        self._line.restore(carried, part=self._stream in kept.parts)

    def kept(self) -> Kept:
        """Tell where to go on: at the start of the unfinished line, if it is held."""
        line = self._line
        return Kept(
            offset=self.position if line.start is None else line.start,
            parts=[self._stream] if line.part else [],
            carried={self._stream: bytes(line.text[: line.carried])} if line.carried else {},
        )

    def feed(self, data: bytes, time: int) -> list[Block]:
        """Take the next bytes and return the lines they complete."""
        blocks: list[Block] = []
        # In pieces of a part's size only a line that was begun before can be longer than a part.
        for start in range(0, len(data), PART_BYTES):
            blocks += self._feed(data[start : start + PART_BYTES], time)
        return blocks

    def flush(self, time: int) -> list[Block]:
        """Give what is unfinished as parts; nothing where lines are held until they end."""
        return [] if self._joins else part_blocks(time, self._stream, self._line.drain())

    def end(self, time: int) -> list[Block]:
        """End the file, and with it a line without newline."""
        self.position = 0
        return self._rest(time)

    def cut(self, time: int) -> list[Block]:
        """End the file, and with it a line without newline."""
        return self.end(time)

    def finish(self, time: int) -> list[Block]:
        """Give what is unfinished: as parts, since nobody ended it, unless whole lines are due."""
        if self._joins:
            return self._rest(time)
        *parts, last = self._line.end()
        return part_blocks(time, self._stream, [*parts, last] if last else parts)

    def _rest(self, time: int) -> list[Block]:
        return line_blocks(time, self._stream, self._line.end()) if self._line.open else []

    def _feed(self, data: bytes, time: int) -> list[Block]:
        start = self.position
        self.position += len(data)
        lines, newline, rest = data.rpartition(b"\n")
        blocks: list[Block] = []
        if newline:
            if self._line.open:
                first, more, lines = lines.partition(b"\n")
                blocks = line_blocks(time, self._stream, self._line.end(first))
                newline = more
            if newline:
                blocks.append(Block(time, self._stream, lines))
        if rest:
            parts = self._line.hold(rest, start + len(data) - len(rest))
            blocks += part_blocks(time, self._stream, parts)
        return blocks


# Name of a framing -> what makes one, for the stream that a file holds if it does not say.
FRAMINGS: dict[str, Callable[[str, bool], Framing]] = {
    "plain": lambda stream, joins: Plain(stream, joins=joins),
    "cri": lambda _stream, joins: Records(read_cri, joins=joins),
    "docker-json": lambda _stream, joins: Records(read_docker, joins=joins),
}


def new_framing(name: str, stream: str = "stdout", *, joins: bool) -> Framing:
    """Make a framing; KeyError if there is none of this name.

    With `joins` a line comes whole, up to LINE_BYTES; without, in parts of at most PART_BYTES.
    """
    return FRAMINGS[name](stream, joins)
