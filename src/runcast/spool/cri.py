r"""The writing side of the spool: output framed as Kubernetes CRI log records. Pure.

    2026-11-21T08:57:30.123456789Z stdout F text

`F` ends a line. `P` means that more of the same line may follow in the stream's next record; an
`F` record with no text ends a line of which all text is already written. Only `\n` ends a line;
every other byte is kept as it is, so joining the texts gives back the output exactly.
"""

from __future__ import annotations

import time

HEADER_BYTES = 40  # "2026-11-21T08:57:30.123456789Z stdout F "
PART_BYTES = 65_536  # the longest text of one record
_FLAG = 38  # where the header has its F or P


class Framer:
    """Frames one stream chunk by chunk, holding back text whose line has not ended."""

    __slots__ = ("_date", "_held", "_second", "_stream")

    def __init__(self, stream: str) -> None:
        self._stream = stream.encode("ascii")
        self._held = b""
        self._second = -1
        self._date = b""

    @property
    def held(self) -> int:
        """How many bytes are held back."""
        return len(self._held)

    @property
    def waiting(self) -> bool:
        """Whether a flush would write something; the start of a character alone is not enough."""
        return boundary(self._held, len(self._held)) > 0

    def feed(self, chunk: bytes, time_ns: int) -> bytes:
        """Frame all lines that end in `chunk`, which must not be longer than PART_BYTES."""
        lines, newline, rest = chunk.rpartition(b"\n")
        if not newline:
            return self._hold(self._held + rest, time_ns)
        text = self._held + lines
        self._held = rest
        # Only what was held back can make a line too long: the first.
        end = text.find(b"\n")
        parts, start = self._parts(text, len(text) if end < 0 else end, time_ns)
        header = self._header(time_ns, b"F")
        return parts + header + text[start:].replace(b"\n", b"\n" + header) + b"\n"

    def flush(self, time_ns: int) -> bytes:
        """Frame the unfinished text as a part, but for the start of a character at its end."""
        return self._write(boundary(self._held, len(self._held)), time_ns)

    def close(self, time_ns: int) -> bytes:
        """Frame everything that is left: the output ended without a newline."""
        return self._write(len(self._held), time_ns)

    def _hold(self, text: bytes, time_ns: int) -> bytes:
        parts, start = self._parts(text, len(text), time_ns)
        self._held = text[start:]
        return parts

    def _parts(self, text: bytes, end: int, time_ns: int) -> tuple[bytes, int]:
        """Frame parts of `text[:end]` until the rest fits in a record; tell where that starts."""
        framed = b""
        start = 0
        while end - start > PART_BYTES:
            cut = boundary(text, start + PART_BYTES)
            framed += self._header(time_ns, b"P") + text[start:cut] + b"\n"
            start = cut
        return framed, start

    def _write(self, cut: int, time_ns: int) -> bytes:
        if cut == 0:
            return b""
        text, self._held = self._held[:cut], self._held[cut:]
        return self._header(time_ns, b"P") + text + b"\n"

    def _header(self, time_ns: int, flag: bytes) -> bytes:
        second, nanos = divmod(time_ns, 1_000_000_000)
        if second != self._second:
            self._second = second
            self._date = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second)).encode("ascii")
        return b"%s.%09dZ %s %s " % (self._date, nanos, self._stream, flag)


def mended(torn: bytes) -> bytes:
    """Make a whole record of what a killed writer left behind the spool's last newline.

    The record becomes a part, since nobody knows whether its line ended there; too little to
    hold any text becomes nothing.
    """
    if len(torn) <= HEADER_BYTES or torn[29:31] != b"Z " or torn[39:40] != b" ":
        return b""
    return torn[:_FLAG] + b"P" + torn[_FLAG + 1 :] + b"\n"


def output_bytes(records: bytes) -> int:
    """Count the bytes of output that whole records stand for."""
    lines = records.split(b"\n")
    newlines = sum(line[_FLAG : _FLAG + 1] == b"F" for line in lines)
    return sum(len(line) - HEADER_BYTES for line in lines if line) + newlines


def boundary(data: bytes | bytearray, end: int) -> int:
    """Return the last place up to `end`, at most 3 bytes before, that cuts no UTF-8 character.

    That is `end` where the text there is not UTF-8.
    """
    for back in range(1, min(3, end) + 1):
        byte = data[end - back]
        if byte & 0xC0 == 0x80:
            continue
        length = 2 if 0xC2 <= byte < 0xE0 else 3 if 0xE0 <= byte < 0xF0 else 4
        return end - back if 0xC2 <= byte < 0xF5 and length > back else end
    return end
