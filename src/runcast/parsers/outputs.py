"""Records as `output` events: what every parser does with text that it does not look into."""

from base64 import b64encode
from collections.abc import Iterator

from runcast.core.events import Data, Draft, Entry, Lines
from runcast.spool.records import Block

# Text that is not UTF-8 grows threefold as U+FFFD and is carried a second time as base64.
RAW_PART_BYTES = 16_384


def outputs(block: Block) -> Iterator[Entry]:
    """Yield one `output` per record, in order."""
    try:
        lines = block.lines()
    except UnicodeDecodeError:
        for text in block.texts():
            yield from output(block.time, block.stream, text, partial=not block.full)
        return
    if block.full:
        yield Lines(block.time, block.stream, lines)
    else:
        for line in lines:
            yield Draft(block.time, "output", _data(block.stream, line, partial=True))


def output(time: int, stream: str, text: bytes, *, partial: bool) -> Iterator[Draft]:
    """Yield the `output` of one text: several parts, with their bytes, if it is not UTF-8."""
    try:
        data = _data(stream, text.decode(), partial=partial)
    except UnicodeDecodeError:
        yield from _raw_parts(time, stream, text, partial=partial)
    else:
        yield Draft(time, "output", data)


def _raw_parts(time: int, stream: str, text: bytes, *, partial: bool) -> Iterator[Draft]:
    for start in range(0, len(text), RAW_PART_BYTES):
        part = text[start : start + RAW_PART_BYTES]
        more = partial or start + RAW_PART_BYTES < len(text)
        data = _data(stream, part.decode(errors="replace"), partial=more)
        data["raw"] = b64encode(part).decode("ascii")
        yield Draft(time, "output", data)


def _data(stream: str, text: str, *, partial: bool) -> Data:
    data: Data = {"stream": stream, "text": text}
    if partial:
        data["partial"] = True
    return data
