"""Reading log files in this process: what a server would make of them, without one."""

import os
import time

import click

from runcast.core.events import Draft, Entry, Lines
from runcast.parsers import PARSERS, new_parser
from runcast.parsers.frame import NO_ANSWER
from runcast.spool.records import Block
from runcast.tail.files import Tail
from runcast.tail.formats import FRAMINGS
from runcast.tail.generations import Lost
from runcast.tail.looks import Look
from runcast.tail.marks import State
from runcast.tail.opened import Opened
from runcast.tail.unfinished import Kept

_CHUNK_BYTES = 65_536  # read at a time on the way back from a file's end


def find_format(name: str) -> tuple[str, str]:
    """Return the framing of a file format, and the dialect of its lines; raise UsageError."""
    if name in FRAMINGS:
        return name, "lines"
    if name in PARSERS:
        return "plain", name
    known = ", ".join([*FRAMINGS, *PARSERS])
    raise click.BadParameter(f"{name!r} is none of {known}", param_hint="--format")


class Reading:
    """One file, read as the entries of its dialect from the last `lines` on, or all of it.

    Nothing is written twice or left out without a `gap`, however the file is rotated.
    """

    def __init__(self, path: str, form: tuple[str, str], lines: int | None = None) -> None:
        framing, dialect = form
        self.path = path
        state = None if lines is None else before_last(path, lines)
        self.tail = Tail(path, framing, joins=dialect != "lines", state=state)
        self._parser = new_parser(dialect)

    def look(self) -> tuple[list[Entry], bool]:
        """Return the next entries, and whether there is more at once."""
        return self._read(self.tail.look())

    def look_back(self) -> tuple[list[Entry], bool]:
        """Return the same of what was at the path before, and is not any more."""
        return self._read(self.tail.look_back())

    def flush(self) -> list[Entry]:
        """Return what is unfinished, because its line has not gone on for long."""
        return self._parser.feed(self.tail.flush())

    def finish(self) -> list[Entry]:
        """Return what is unfinished, because nobody waits for the rest."""
        entries = self._parser.feed(self.tail.finish())
        # That a tool gave no answer is known of a run that has ended, and not of a file.
        return entries + [entry for entry in self._parser.finish() if not _is_no_answer(entry)]

    def close(self) -> None:
        """Give the file back; the next look opens it again."""
        self.tail.close()

    def _read(self, look: Look) -> tuple[list[Entry], bool]:
        return [entry for item in look.items for entry in self._parse(item)], look.more

    def _parse(self, item: Block | Lost) -> list[Entry]:
        if isinstance(item, Block):
            return self._parser.feed([item])
        return [Draft(0, "gap", {"reason": item.reason})]


def before_last(path: str, lines: int) -> State | None:
    """Return where a tail has only the last lines before it; None for what cannot be opened."""
    try:
        file = Opened.at(path)
    except OSError:
        return None
    try:
        offset = start_of_last(file.fd, lines)
        mark = file.mark(Kept(offset=offset))
        return State(marks=[mark], confirmed=time.time_ns())
    finally:
        file.close()


def start_of_last(fd: int, lines: int) -> int:
    """Return where the last lines of a file begin; one that is unfinished counts."""
    end = os.fstat(fd).st_size
    missing = lines + (os.pread(fd, 1, max(end - 1, 0)) == b"\n")
    if not missing:
        return end
    while end > 0:
        start = max(end - _CHUNK_BYTES, 0)
        data = os.pread(fd, end - start, start)
        if (found := data.count(b"\n")) >= missing:
            return start + _nth_last_newline(data, missing) + 1
        missing -= found
        end = start
    return 0


def _nth_last_newline(data: bytes, count: int) -> int:
    place = len(data)
    for _ in range(count):
        place = data.rindex(b"\n", 0, place)
    return place


def _is_no_answer(entry: Entry) -> bool:
    return (
        not isinstance(entry, Lines)
        and entry.type == "tool_result"
        and entry.data.get("content") == NO_ANSWER
    )
