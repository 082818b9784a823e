"""Writing what a run says to the standard streams: raw output as it came, the rest for people."""

from base64 import b64decode
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from runcast.cli.render import Look, Shown, dress
from runcast.cli.terminal import clean

PIPE_WIDTH = 200  # columns of what is cut, where no terminal sets them


def log_bytes(data: Mapping[str, Any]) -> bytes:
    """Give back exactly the bytes that a `log` frame stands for."""
    raw = data.get("raw")
    line = data["line"].encode() if raw is None else b64decode(raw)
    return line if data.get("partial") else line + b"\n"


def clean_bytes(data: Mapping[str, Any]) -> bytes:
    """Give the text of a `log` frame without what would act on a terminal, colours excepted."""
    line = clean(data["line"]).encode()
    return line if data.get("partial") else line + b"\n"


class Output(Protocol):
    """What bytes can be written to: a standard stream, or what stands before one."""

    def write(self, data: bytes, /) -> object:
        """Take all of the bytes."""

    def flush(self) -> None:
        """Pass on what was taken; raise BrokenPipeError once nobody reads."""

    def isatty(self) -> bool:
        """Tell whether people read along, on a terminal."""


class Sink:
    """Where the lines of one stream go.

    On a terminal, what is shown of events is always clean; a command's own output is so unless
    it must be `exact`. Anywhere else both are left as they are.
    """

    def __init__(
        self, file: Output, *, exact: bool, coloured: bool = True, width: int | None = None
    ) -> None:
        terminal = file.isatty()
        self.file = file
        self.look = Look(
            cleaned=terminal,
            coloured=terminal and coloured,
            width=width or PIPE_WIDTH,
        )
        self._cleaned = terminal and not exact
        self.bytes_of = clean_bytes if self._cleaned else log_bytes

    def bytes_of_lines(self, lines: Sequence[str]) -> bytes:
        """Do for many lines what `bytes_of` does for a frame."""
        shown = map(clean, lines) if self._cleaned else lines
        return ("\n".join(shown) + "\n").encode()


class LineWriter:
    """Collects lines and writes them in the order they were added.

    Nothing is written before `flush` or a change of stream: a piece of many lines costs one write.
    """

    def __init__(self, sinks: Mapping[str, Sink]) -> None:
        self._sinks = sinks
        self._stream = ""
        self._parts: list[bytes] = []
        self._last: dict[str, bytes] = {}

    @property
    def inside_line(self) -> bool:
        """Whether what was written last has not ended its line, on some stream."""
        return any(not text.endswith(b"\n") for text in self._last.values())

    def add(self, data: Mapping[str, Any]) -> None:
        """Take a `log` frame's data; streams without a sink are left out."""
        stream = data["stream"]
        sink = self._sinks.get(stream)
        if sink is not None:
            self._append(stream, sink.bytes_of(data))

    def add_lines(self, stream: str, lines: Sequence[str]) -> None:
        """Take whole lines of a stream; streams without a sink are left out."""
        sink = self._sinks.get(stream)
        if sink is not None:
            self._append(stream, sink.bytes_of_lines(lines))

    def show(self, shown: Shown) -> None:
        """Take what is shown of an event; it starts on a line of its own."""
        sink = self._sinks.get(shown.stream)
        if sink is None:
            return
        text = dress(shown, sink.look).encode()
        self._append(shown.stream, text if self._at_line_start(shown.stream) else b"\n" + text)

    def flush(self) -> None:
        """Write what was collected; raises BrokenPipeError once nobody reads."""
        if not self._parts:
            return
        file = self._sinks[self._stream].file
        file.write(b"".join(self._parts))
        file.flush()
        self._last[self._stream] = self._parts[-1]
        self._parts.clear()

    def _append(self, stream: str, text: bytes) -> None:
        if stream != self._stream:
            self.flush()
            self._stream = stream
        self._parts.append(text)

    def _at_line_start(self, stream: str) -> bool:
        pending = self._parts if stream == self._stream else ()
        last = pending[-1] if pending else self._last.get(stream, b"\n")
        return last.endswith(b"\n")
