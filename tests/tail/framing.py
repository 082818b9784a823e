"""What the tests of framings share: records, and files framed at once."""

from collections.abc import Iterable

import msgspec

from runcast.spool.records import Block
from runcast.tail.formats import Framing, new_framing
from runcast.tail.unfinished import Kept

NOW = 1_000_000
TIME = b"2026-11-21T08:57:30.123456789Z"
MICROS = 1_795_251_450_123_456

Line = tuple[str, bytes]


def joined(said: Iterable[Block]) -> list[Line]:
    """Join parts to lines; what is last and not ended is a line as well."""
    lines: list[Line] = []
    open_parts: dict[str, bytes] = {}
    for block in said:
        for text in block.texts():
            whole = open_parts.pop(block.stream, b"") + text
            if block.full:
                lines.append((block.stream, whole))
            else:
                open_parts[block.stream] = whole
    return lines + sorted(open_parts.items())


def at_once(name: str, *files: bytes, joins: bool = False) -> list[Block]:
    """Frame whole files, one after the other."""
    framing = new_framing(name, joins=joins)
    said: list[Block] = []
    for number, data in enumerate(files):
        if number:
            said += framing.end(NOW)
        said += framing.feed(data, NOW)
    return said + framing.finish(NOW)


def cri(text: bytes, tag: bytes = b"F", stream: bytes = b"stdout", time: bytes = TIME) -> bytes:
    return b" ".join((time, stream, tag, text)) + b"\n"


def docker(text: str, stream: str = "stdout", time: str = TIME.decode()) -> bytes:
    return msgspec.json.encode({"log": text, "stream": stream, "time": time}) + b"\n"


def copy(framing: Framing, name: str, *, joins: bool) -> tuple[Framing, Kept]:
    """Make a framing that goes on where this one stands, as after a restart."""
    kept = msgspec.msgpack.decode(msgspec.msgpack.encode(framing.kept()), type=Kept)
    other = new_framing(name, joins=joins)
    other.restore(kept)
    return other, kept
