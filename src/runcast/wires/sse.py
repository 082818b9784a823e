"""Server-sent events as the WHATWG standard defines them: frames that no data can break.

Every frame has its fields in the order event, data, id: a client that is cut inside a frame has
not yet seen the id, so it asks for the event again. Data is one line of ASCII JSON.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from runcast.core.events import Batch, Event, Lines
from runcast.core.runs import RunRef
from runcast.wires import Keep, Numbering, Place, number_after, speaker, write
from runcast.wires.jsontext import dumps

MEDIA_TYPE = "text/event-stream"
Named = tuple[str, dict[str, Any]]  # an event by the name and data that a wire gives it
Rows = Mapping[str, Callable[[RunRef, Event], Named | None]]  # by type: how it is told, if at all

COMMENT = b": hb\n"  # without a blank line: some clients take one for an empty event


def frame(event: str, data: dict[str, Any], number: int) -> str:
    """Write one event with its id; `event` must be a name from a table, never client text."""
    return f"event: {event}\ndata: {dumps(data)}\nid: {number}\n\n"


def row_frame(rows: Rows, ref: RunRef, event: Event, number: int) -> str:
    """Write an event as its row says; an empty text if there is none, or it tells nothing."""
    row = rows.get(event.type)
    told = None if row is None else row(ref, event)
    return "" if told is None else frame(*told, number)


def gap_row(_ref: RunRef, event: Event) -> Named:
    """Tell of a gap in a log under its own name, as the log does."""
    return "gap", event.data


def unnamed(text: str, number: int) -> str:
    """Write one event without a name; `text` must be one line of ASCII JSON."""
    return f"data: {text}\nid: {number}\n\n"


def closing_frame(event: str, data: dict[str, Any], last_seq: int, *, deleted: bool) -> bytes:
    """Write the frame behind the last event; `deleted` is said only where it is so."""
    return frame(event, data | {"deleted": True} if deleted else data, last_seq + 1).encode("ascii")


def bare_frame(event: str, data: dict[str, Any]) -> bytes:
    """Write one event that moves no cursor."""
    return f"event: {event}\ndata: {dumps(data)}\n\n".encode("ascii")


class SseWire(ABC):
    """What the wires over SSE share; each says how it writes one event, and many lines.

    An event is one frame or none.
    """

    media_type = MEDIA_TYPE

    def __init__(self, keep: Keep, numbering: Numbering) -> None:
        self.key: object | None = None if keep.grep else (type(self), keep, numbering)
        self._keep = keep
        self._numbering = numbering

    @abstractmethod
    def _frame(self, ref: RunRef, event: Event, number: int) -> str:
        """Write one event; an empty text if the wire does not tell it."""

    @abstractmethod
    def _lines(self, ref: RunRef, lines: Lines, place: Place) -> Iterable[str]:
        """Write lines as `_frame` would write each of them, without an object for each."""

    def events(self, batch: Batch, after: int) -> bytes:
        """Write the events of the batch whose number is greater than `after`."""
        if self._keep.everything:
            frames = write(batch, after, self._numbering, self._lines, self._frame)
        else:
            frames = self._kept(batch, after)
        return "".join(frames).encode("ascii")

    def _kept(self, batch: Batch, after: int) -> list[str]:
        after_seq, offset = number_after(batch, after, self._numbering)
        ref = speaker(batch)
        kept = filter(self._keep, batch.events(after_seq))
        return [self._frame(ref, event, event.seq + offset) for event in kept]

    def gap(self, after: int, first: int, reason: str) -> bytes:
        """Write the `gap` frame; its id is the number before `first`."""
        data = {"after": after, "first": first, "reason": reason}
        return frame("gap", data, first - 1).encode("ascii")

    def closing(self, run_id: str, last_seq: int, *, deleted: bool) -> bytes:
        """Write the `end` frame; its id is one that no event ever takes."""
        data: dict[str, Any] = {"run_id": run_id, "last_seq": last_seq}
        return closing_frame("end", data, last_seq, deleted=deleted)

    def heartbeat(self) -> bytes:
        """Write the `heartbeat` event, which has no id."""
        return bare_frame("heartbeat", {})

    def comment(self) -> bytes:
        """Write a comment, which no client shows."""
        return COMMENT

    def first(self, frames: bytes, retry_ms: int) -> bytes:
        """Put `retry:` into the first frame, for in a block of its own it would be an event."""
        return b"retry: %d\n" % retry_ms + frames
