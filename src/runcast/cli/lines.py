"""Writing `log` frames as the bytes that the command printed, each to its own stream."""

from base64 import b64decode
from collections.abc import Mapping
from typing import Any, BinaryIO

from runcast.cli.terminal import clean


def log_bytes(data: Mapping[str, Any]) -> bytes:
    """Give back exactly the bytes that a `log` frame stands for."""
    raw = data.get("raw")
    line = data["line"].encode() if raw is None else b64decode(raw)
    return line if data.get("partial") else line + b"\n"


def clean_bytes(data: Mapping[str, Any]) -> bytes:
    """Give the text of a `log` frame without what would act on a terminal, colours excepted."""
    line = clean(data["line"]).encode()
    return line if data.get("partial") else line + b"\n"


class Sink:
    """Where the lines of one stream go."""

    def __init__(self, file: BinaryIO, *, exact: bool) -> None:
        self.file = file
        self.bytes_of = log_bytes if exact or not file.isatty() else clean_bytes


class LineWriter:
    """Collects lines and writes them in the order they were added.

    Nothing is written before `flush` or a change of stream: a piece of many lines costs one write.
    """

    def __init__(self, sinks: Mapping[str, Sink]) -> None:
        self._sinks = sinks
        self._stream = ""
        self._parts: list[bytes] = []

    def add(self, data: Mapping[str, Any]) -> None:
        """Take a `log` frame's data; streams without a sink are left out."""
        stream = data["stream"]
        sink = self._sinks.get(stream)
        if sink is None:
            return
        if stream != self._stream:
            self.flush()
            self._stream = stream
        self._parts.append(sink.bytes_of(data))

    def flush(self) -> None:
        """Write what was collected; raises BrokenPipeError once nobody reads."""
        if not self._parts:
            return
        file = self._sinks[self._stream].file
        file.write(b"".join(self._parts))
        file.flush()
        self._parts.clear()
