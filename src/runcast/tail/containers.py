"""Files of container runtimes: each line is a record of one line of output, or of a part of one.

Pure and incremental, like every framing.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import msgspec

from runcast.core.errors import BadRequest
from runcast.core.limits import LINE_BYTES
from runcast.core.times import parse_time
from runcast.spool.cri import PART_BYTES
from runcast.spool.records import Block
from runcast.tail.unfinished import Kept, Unfinished, line_blocks, part_blocks

CARRIED_BYTES = 65_536  # of a line that goes on in the next file: it is kept in every checkpoint


class Record(NamedTuple):
    """One line of a file that a container runtime wrote: a line of output, or a part of one."""

    time: int
    stream: str
    full: bool
    text: bytes


class Records:
    """Records of two streams, one on each line of the file; parts are joined to whole lines."""

    def __init__(self, read: Callable[[bytes], Record | None], *, joins: bool) -> None:
        """Take what reads one record; it returns None for what is none."""
        self.position = 0
        self._read = read
        self._joins = joins
        self._rest = b""
        self._ahead: dict[str, int] = {}
        limit = LINE_BYTES if joins else PART_BYTES
        self._lines = {stream: Unfinished(limit) for stream in ("stdout", "stderr")}

    @property
    def unfinished(self) -> bool:
        """Whether text is held that no record has ended."""
        return bool(self._rest) or any(line.text for line in self._lines.values())

    def restore(self, kept: Kept) -> None:
        """Go on at `kept.offset`; what is consumed already is passed over when it comes again."""
        self.position = kept.offset
        self._rest = b""
        self._ahead = dict(kept.ahead)
        for stream, line in self._lines.items():
            line.restore(kept.carried.get(stream, b""), part=stream in kept.parts)

    def kept(self) -> Kept:
        """Tell where to go on: where the older of the unfinished lines began."""
        consumed = self.position - len(self._rest)
        upto = {
            stream: max(consumed, self._ahead.get(stream, 0)) if line.start is None else line.start
            for stream, line in self._lines.items()
        }
        offset = min(*upto.values(), consumed)
        return Kept(
            offset=offset,
            ahead={stream: end for stream, end in upto.items() if end > offset},
            parts=[stream for stream, line in self._lines.items() if line.part],
            carried={
                stream: bytes(line.text[: line.carried])
                for stream, line in self._lines.items()
                if line.carried
            },
        )

    def feed(self, data: bytes, time: int) -> list[Block]:
        """Take the next bytes and return the lines they complete."""
        start = self.position - len(self._rest)
        self.position += len(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        blocks = list(_merged(self._take(lines, start, time)))
        while len(self._rest) > LINE_BYTES:
            blocks += self._torn(LINE_BYTES, time)
        return blocks

    def flush(self, time: int) -> list[Block]:
        """Give what is unfinished as parts; nothing where lines are held until they end."""
        if self._joins:
            return []
        return [
            block
            for stream, line in self._lines.items()
            for block in part_blocks(time, stream, line.drain())
        ]

    def end(self, time: int) -> list[Block]:
        """End the file; a line goes on in the next one, unless too much of it is held."""
        blocks = self._last(time)
        self.position = 0
        self._ahead = {}
        for stream, line in self._lines.items():
            if len(line.text) > CARRIED_BYTES:
                blocks += line_blocks(time, stream, line.end())
            line.carry()
        return blocks

    def cut(self, time: int) -> list[Block]:
        """End the file, and with it every line that is unfinished."""
        blocks = self._last(time)
        self.position = 0
        self._ahead = {}
        for stream, line in self._lines.items():
            if line.open:
                blocks += line_blocks(time, stream, line.end())
        return blocks

    def finish(self, time: int) -> list[Block]:
        """Give what is unfinished: as parts, since nobody ended it, unless whole lines are due."""
        blocks = self._last(time) + self.flush(time)
        for stream, line in self._lines.items():
            if line.text:
                blocks += line_blocks(time, stream, line.end())
        return blocks

    def _last(self, time: int) -> list[Block]:
        """Take what ends without a newline: nobody knows what it would have been."""
        return self._torn(len(self._rest), time) if self._rest else []

    def _torn(self, size: int, time: int) -> list[Block]:
        offset = self.position - len(self._rest)
        torn, self._rest = self._rest[:size], self._rest[size:]
        return self._record(torn, offset, time)

    def _take(self, lines: list[bytes], offset: int, time: int) -> Iterator[Block]:
        for line in lines:
            # Also what is here as a whole: the lines may not depend on how the file was read.
            for start in range(0, len(line) or 1, LINE_BYTES):
                piece = line[start : start + LINE_BYTES]
                yield from self._record(piece, offset + start, time)
            offset += len(line) + 1

    def _record(self, line: bytes, offset: int, time: int) -> list[Block]:
        record = self._read(line) or Record(time, "stdout", True, line)
        is_consumed = offset < self._ahead.get(record.stream, 0)
        return [] if is_consumed else self._block(record, offset)

    def _block(self, record: Record, offset: int) -> list[Block]:
        line = self._lines[record.stream]
        if record.full and not line.open and len(record.text) <= line.limit:
            return [Block(record.time, record.stream, record.text)]
        if record.full:
            return line_blocks(record.time, record.stream, line.end(record.text))
        return part_blocks(record.time, record.stream, line.hold(record.text, offset))


def _merged(blocks: Iterator[Block]) -> Iterator[Block]:
    """Make one block of neighbours with the same time and stream."""
    alike: list[Block] = []
    for block in blocks:
        if alike and not _alike(alike[0], block):
            yield _joined(alike)
            alike = []
        alike.append(block)
    if alike:
        yield _joined(alike)


def _alike(one: Block, other: Block) -> bool:
    return one.full and other.full and one.time == other.time and one.stream == other.stream


def _joined(blocks: list[Block]) -> Block:
    if len(blocks) == 1:
        return blocks[0]
    texts = [text for block in blocks for text in block.texts()]
    return Block(blocks[0].time, blocks[0].stream, b"\n".join(texts))


def read_cri(line: bytes) -> Record | None:
    """Read `<RFC 3339 time> stdout|stderr F|P[:TAG…] <text>`, as kubelet's runtimes write it.

    The time has as many digits as the runtime likes, and any offset. The format is that of the
    Kubernetes CRI; its tags are divided by colons, and only the first means something.
    """
    fields = line.split(b" ", 3)
    if len(fields) < 4 or fields[1] not in (b"stdout", b"stderr"):
        return None
    tag = fields[2].partition(b":")[0]
    if tag not in (b"F", b"P"):
        return None
    try:
        time = parse_time(fields[0].decode("ascii"))
    except (BadRequest, UnicodeDecodeError):
        return None
    return Record(time, fields[1].decode("ascii"), tag == b"F", fields[3])


class _Docker(msgspec.Struct):
    log: str
    stream: str = "stdout"
    time: str = ""


_decode_docker = msgspec.json.Decoder(_Docker).decode


def read_docker(line: bytes) -> Record | None:
    r"""Read `{"log": "text\n", "stream": …, "time": …}`, as Docker's driver json-file writes it.

    A text without a newline at its end is a part: Docker cuts lines at 16 KiB.
    """
    try:
        said = _decode_docker(line)
        time = parse_time(said.time)
    except (ValueError, RecursionError, BadRequest):  # the decoder raises more than its own errors
        return None
    stream = "stderr" if said.stream == "stderr" else "stdout"
    text = said.log.encode()
    return Record(time, stream, text.endswith(b"\n"), text.removesuffix(b"\n"))
