"""Plain lines: every record is one `output`; nothing is held open between records."""

from base64 import b64encode
from collections.abc import Iterable, Iterator

from runcast.core.events import Data, Draft, Entry, Lines
from runcast.spool.records import Block, Broken

# Text that is not UTF-8 grows threefold as U+FFFD and is carried a second time as base64.
RAW_PART_BYTES = 16_384


class LinesParser:
    """The dialect of commands that print text."""

    def __init__(self) -> None:
        self._time = 0

    def feed(self, blocks: Iterable[Block | Broken]) -> list[Entry]:
        """Turn records into `output` entries, and what is no record into a `gap`."""
        entries: list[Entry] = []
        for block in blocks:
            if isinstance(block, Broken):
                data: Data = {"reason": "truncated", "bytes": block.size}
                entries.append(Draft(self._time, "gap", data))
                continue
            self._time = block.time
            entries.extend(_outputs(block))
        return entries


def _outputs(block: Block) -> Iterator[Entry]:
    try:
        lines = block.lines()
    except UnicodeDecodeError:
        for text in block.texts():
            yield from _one(block, text)
        return
    if block.full:
        yield Lines(block.time, block.stream, lines)
    else:
        for line in lines:
            yield Draft(block.time, "output", _data(block.stream, line, partial=True))


def _one(block: Block, text: bytes) -> Iterator[Draft]:
    try:
        data = _data(block.stream, text.decode(), partial=not block.full)
    except UnicodeDecodeError:
        yield from _raw_parts(block, text)
    else:
        yield Draft(block.time, "output", data)


def _raw_parts(block: Block, text: bytes) -> Iterator[Draft]:
    for start in range(0, len(text), RAW_PART_BYTES):
        part = text[start : start + RAW_PART_BYTES]
        last = start + RAW_PART_BYTES >= len(text)
        data = _data(block.stream, part.decode(errors="replace"), partial=not (last and block.full))
        data["raw"] = b64encode(part).decode("ascii")
        yield Draft(block.time, "output", data)


def _data(stream: str, text: str, *, partial: bool) -> Data:
    data: Data = {"stream": stream, "text": text}
    if partial:
        data["partial"] = True
    return data
