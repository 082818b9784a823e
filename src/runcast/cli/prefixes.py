"""Many files on one stream: every line begins with the name of its file."""

from itertools import count

from runcast.cli.lines import Output
from runcast.cli.terminal import one_line

_COLOURS = ("36", "33", "32", "35", "34", "96", "93", "92", "95", "94")  # without red: no errors
_BAR = " | "
_RESET = b"\x1b[0m"
_MOST = 40  # columns of a name, and at most a third of those there are


class Names:
    """How names are written before lines.

    On a terminal of `width` columns they are cut and aligned; the room they take grows with the
    longest so far. Elsewhere, where `width` is None, they stand as they are.
    """

    def __init__(self, width: int | None, *, coloured: bool) -> None:
        self.room = 0
        self._most = None if width is None else min(_MOST, max(width // 3, 1))
        self._coloured = coloured
        self._number = count()

    def add(self, name: str) -> "Name":
        """Make room for a name, and choose its colour."""
        from rich.cells import cell_len

        shown = one_line(name)
        if self._most is not None:
            shown = shorten(shown, self._most)
            self.room = max(self.room, cell_len(shown))
        colour = _COLOURS[next(self._number) % len(_COLOURS)] if self._coloured else ""
        return Name(self, shown, colour)


class Name:
    """The name of one file."""

    __slots__ = ("_colour", "_names", "_prefix", "_shown")

    def __init__(self, names: Names, shown: str, colour: str) -> None:
        self._names = names
        self._shown = shown
        self._colour = colour
        self._prefix = (-1, b"")

    @property
    def columns(self) -> int:
        """How many columns the prefix takes by now."""
        return self._names.room + len(_BAR)

    def prefix(self) -> bytes:
        """Return what stands before a line, with as much room as names take by now."""
        from rich.cells import cell_len

        room, prefix = self._prefix
        if room != self._names.room:
            room = self._names.room
            text = f"{self._shown}{' ' * (room - cell_len(self._shown))}{_BAR}"
            prefix = (f"\x1b[{self._colour}m{text}\x1b[0m" if self._colour else text).encode()
            self._prefix = (room, prefix)
        return prefix


def shorten(name: str, room: int) -> str:
    """Cut a name in its middle: both the folder and the file say which one it is."""
    from rich.cells import cell_len, set_cell_size

    if cell_len(name) <= room:
        return name
    start = set_cell_size(name, (room - 1) // 3).rstrip()
    end = set_cell_size(name[::-1], room - 1 - cell_len(start))[::-1].lstrip()
    return f"{start}…{end}"


class Cursor:
    """Where one stream stands: who wrote to it last."""

    def __init__(self) -> None:
        self.last: Prefixed | None = None


class Prefixed:
    """One file's way to a stream that it shares with others; `open` while a line is unfinished.

    Where others have written since, the rest of a line begins with the prefix again.
    """

    def __init__(self, file: Output, cursor: Cursor, name: Name) -> None:
        self.open = False
        self._file = file
        self._cursor = cursor
        self._name = name

    def write(self, data: bytes, /) -> int:
        """Write lines, each with its prefix."""
        size, last = len(data), self._cursor.last
        if self.open and last is not self and data.startswith(b"\n"):
            data = data[1:]  # whoever came in between has ended the line
            self.open = False
        if data:
            self._file.write(self._start(last) + self._body(data))
            self._cursor.last = self
        return size

    def flush(self) -> None:
        """Pass on what was written."""
        self._file.flush()

    def isatty(self) -> bool:
        """Tell whether the shared stream is a terminal."""
        return self._file.isatty()

    def _start(self, last: "Prefixed | None") -> bytes:
        if last is self and self.open:
            return b""
        return (b"\n" if last is not None and last.open else b"") + self._name.prefix()

    def _body(self, data: bytes) -> bytes:
        self.open = not data.endswith(b"\n")
        # What one file sets and does not reset must not colour the lines of others.
        end = _RESET if b"\x1b" in data and self.isatty() else b""
        lines = data.removesuffix(b"\n").replace(b"\n", end + b"\n" + self._name.prefix())
        return lines + end + (b"" if self.open else b"\n")
