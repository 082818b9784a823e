"""What the tests of tails share: a reader that notes all it was given, and ways to write."""

import os
from pathlib import Path

import msgspec

from runcast.spool.records import Block
from runcast.tail.files import Tail
from runcast.tail.generations import Lost
from runcast.tail.marks import State


class Reader:
    """Follows a path; `lines` has what came, with the reason in place of what was lost."""

    def __init__(self, path: Path, framing: str = "plain", **options: object) -> None:
        self._path = str(path)
        self._framing = framing
        self._options = options
        self.tail = Tail(self._path, framing, **options)  # type: ignore[arg-type]
        self.lines: list[bytes | str] = []
        self._part = b""

    def look(self) -> "Reader":
        """Look until there is no more."""
        while True:
            look = self.tail.look()
            self.keep(look.items)
            if not (look.items or look.read or look.turned):
                return self

    def keep(self, items: list[Block | Lost] | list[Block]) -> None:
        """Note what came."""
        for item in items:
            if isinstance(item, Lost):
                self.lines.append(item.reason)
                continue
            for text in item.texts():
                self._part += text
                if item.full:
                    self.lines.append(self._part)
                    self._part = b""

    def restart(self) -> "Reader":
        """Go on in a new tail from the state that this one is in, written and read back."""
        state = msgspec.msgpack.decode(msgspec.msgpack.encode(self.tail.state()), type=State)
        self.tail.close()
        self._part = b""
        options = {name: value for name, value in self._options.items() if name != "from_end"}
        self.tail = Tail(self._path, self._framing, state=state, **options)  # type: ignore[arg-type]
        return self

    def taken(self) -> list[bytes | str]:
        """Look, and return what came since this was asked last."""
        self.look()
        taken, self.lines = self.lines, []
        return taken


def append(path: Path, text: str | bytes) -> None:
    """Open a file as loggers do, write, and close it."""
    with path.open("ab") as file:
        file.write(text.encode() if isinstance(text, str) else text)


def age(path: Path, seconds: float = 60) -> None:
    """Make a file look as if it had been written to some time ago."""
    before = path.stat().st_mtime_ns - int(seconds * 1e9)
    os.utime(path, ns=(before, before))


def numbered(count: int, start: int = 0) -> list[bytes]:
    """Return lines that differ."""
    return [b"line %07d" % number for number in range(start, start + count)]


def text_of(lines: list[bytes]) -> bytes:
    return b"".join(line + b"\n" for line in lines)


def rotate(path: Path, *, name: str = "app.log.1") -> Path:
    """Rename a file as rotation does; return where it is now."""
    return path.rename(path.with_name(name))
