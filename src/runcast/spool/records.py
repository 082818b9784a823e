r"""The reading side of the spool: blocks of records in the Kubernetes CRI log format. Pure.

A record is `<RFC3339Nano> stdout|stderr F|P <text>\n`. The runner gives all lines of one read the
same header, so a block of such records can be split, decoded and stored without work per line.
"""

import calendar
from collections.abc import Iterator
from functools import lru_cache

from runcast.spool.cri import HEADER_BYTES, PART_BYTES

MAX_RECORD_BYTES = HEADER_BYTES + PART_BYTES + 1
_LEAP_BYTES = 4096


class Block:
    """Consecutive records with one header: their offset, time (µs), stream, flag, and texts.

    `body` holds the texts with the separator between them, so that a block of lines that stand in
    no spool is made without looking at them: `Block(time, stream, lines)`.
    """

    __slots__ = ("_body", "_separator", "full", "offset", "stream", "time")

    def __init__(
        self,
        time: int,
        stream: str,
        body: bytes,
        *,
        full: bool = True,
        separator: bytes = b"\n",
        offset: int = 0,
    ) -> None:
        self.offset = offset
        self.time = time
        self.stream = stream
        self.full = full
        self._separator = separator
        self._body = body

    @classmethod
    def of_records(cls, header: bytes, body: bytes, offset: int) -> "Block":
        """Make a block of the records of a spool: the header once, then all but that."""
        return cls(
            _micros(header),
            header[31:37].decode("ascii"),
            body,
            full=header[38:39] == b"F",
            separator=b"\n" + header,
            offset=offset,
        )

    def texts(self) -> list[bytes]:
        """Return the text of each record."""
        return self._body.split(self._separator)

    def lines(self) -> list[str]:
        """Return the text of each record as a str; raise UnicodeDecodeError if one is not."""
        return self._body.decode().split(self._separator.decode("ascii"))

    def raw(self) -> bytes:
        """Return what the command printed: the texts, with the newlines that `F` stands for."""
        if self.full:
            return self._body.replace(self._separator, b"\n") + b"\n"
        return self._body.replace(self._separator, b"")


class Broken:
    """A line of the spool that is no record: what a power cut leaves behind."""

    __slots__ = ("size",)

    def __init__(self, size: int) -> None:
        self.size = size


def whole_records(data: bytes) -> int:
    """Return how many bytes of `data` are whole records: all up to the last newline."""
    return data.rfind(b"\n") + 1


def blocks(data: bytes, offset: int = 0) -> Iterator[Block | Broken]:
    """Split whole records into blocks, in order; what is no record comes as Broken.

    `offset` is where `data` begins in the spool.
    """
    start = 0
    size = len(data)
    while start < size:
        header = data[start : start + HEADER_BYTES]
        end = data.find(b"\n", start)
        if end < 0:
            yield Broken(size - start)
            return
        if end - start < HEADER_BYTES or not _is_header(header):
            yield Broken(end + 1 - start)
        else:
            end = _last_alike(data, header, end)
            yield from _block(data, header, start, end, offset)
        start = end + 1


def _is_header(header: bytes) -> bool:
    return (
        header[29:31] == b"Z "
        and header[31:37] in (b"stdout", b"stderr")
        and header[37:40] in (b" F ", b" P ")
        and header[:4].isdigit()
        and header[19:20] == b"."
        and header[20:29].isdigit()
    )


def _last_alike(data: bytes, header: bytes, end: int) -> int:
    """Return the end of the last record after `end` that continues the block, by ever longer leaps.

    A leap may pass over a record with another header: whoever uses this has to count them.
    """
    separator = b"\n" + header
    if not data.startswith(separator, end):
        return end
    step, faster = _LEAP_BYTES, True
    while step:
        newline = data.find(b"\n", end + step)
        if newline >= 0 and data.startswith(separator, newline):
            end = data.index(b"\n", newline + 1)
            step *= 2 if faster else 1
        else:
            step //= 2
            faster = False
    while data.startswith(separator, end):
        end = data.index(b"\n", end + 1)
    return end


def _block(
    data: bytes, header: bytes, start: int, end: int, offset: int
) -> Iterator[Block | Broken]:
    body = data[start + HEADER_BYTES : end]
    if body.count(b"\n") == body.count(b"\n" + header):
        yield Block.of_records(header, body, offset + start)
        return
    # A clock that stepped back can repeat a header with other records in between.
    for line in data[start:end].split(b"\n"):
        if len(line) >= HEADER_BYTES and _is_header(line[:HEADER_BYTES]):
            header, text = line[:HEADER_BYTES], line[HEADER_BYTES:]
            yield Block.of_records(header, text, offset + start)
        else:
            yield Broken(len(line) + 1)
        start += len(line) + 1


def _micros(header: bytes) -> int:
    return _seconds(header[:19]) * 1_000_000 + int(header[20:26])


@lru_cache(maxsize=64)
def _seconds(time: bytes) -> int:
    text = time.decode("ascii")
    fields = (text[0:4], text[5:7], text[8:10], text[11:13], text[14:16], text[17:19])
    return calendar.timegm((*map(int, fields), 0, 0, 0))
