"""Server-sent events: bytes in any chunks become whole events. Pure."""

import msgspec

_BOM = b"\xef\xbb\xbf"
_RETRY_DIGITS = 9  # 11 days, in ms


class SseEvent(msgspec.Struct, frozen=True, gc=False):
    """One dispatched event; `id` is the stream's last event id once this event is had."""

    event: str
    data: bytes
    id: str


class SseParser:
    """Parses one connection's bytes as the HTML standard's event stream says.

    An event, and with it its id, counts only when the blank line that ends it has arrived: what
    a cut connection leaves unfinished is dropped. `last_id` is the cursor to resume with;
    `retry_ms` the server's last wish for the time between attempts.
    """

    def __init__(self, last_id: str = "") -> None:
        self.last_id = last_id
        self.retry_ms: int | None = None
        self._buffer = bytearray()
        self._after_cr = False
        self._at_start = True

    def feed(self, chunk: bytes) -> list[SseEvent]:
        """Take the next bytes; return the events that they complete, in order."""
        return self.dispatch(self.complete(chunk))

    def complete(self, chunk: bytes) -> bytes:
        """Take the next bytes; return the blocks that they complete, with a blank line between.

        Their line ends are LF. They count once `dispatch` has had them.
        """
        searched = max(len(self._buffer) - 1, 0)
        self._buffer += self._with_lf(chunk)
        end = self._buffer.rfind(b"\n\n", searched)
        if end < 0:
            return b""
        blocks = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        if self._at_start:
            blocks = blocks.removeprefix(_BOM)
            self._at_start = False
        return blocks

    def dispatch(self, blocks: bytes) -> list[SseEvent]:
        """Return the events of whole blocks, in order."""
        events = (self._event(block) for block in blocks.split(b"\n\n"))
        return [event for event in events if event is not None]

    def _with_lf(self, chunk: bytes) -> bytes:
        if self._after_cr and chunk:
            chunk = chunk.removeprefix(b"\n")
            self._after_cr = False
        if b"\r" not in chunk:
            return chunk
        # A CRLF may be cut in two: the CR ends the line now, its LF is dropped when it comes.
        self._after_cr = chunk.endswith(b"\r")
        return chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _event(self, block: bytes) -> SseEvent | None:
        event = b""
        data: list[bytes] = []
        for line in block.split(b"\n"):
            name, _, value = line.partition(b":")
            if value.startswith(b" "):
                value = value[1:]
            if name == b"data":
                data.append(value)
            elif name == b"event":
                event = value
            elif name == b"id" and b"\0" not in value:
                self.last_id = value.decode("utf-8", "replace")
            elif name == b"retry" and value.isdigit() and len(value) <= _RETRY_DIGITS:
                self.retry_ms = int(value)
        if not data:
            return None
        name_text = event.decode("utf-8", "replace") or "message"
        return SseEvent(name_text, b"\n".join(data), self.last_id)
