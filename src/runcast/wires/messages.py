"""The message bus over SSE: one `message` event for each message; it never ends."""

from runcast.core.events import Event, Lines
from runcast.core.messages import MessageFilter, public_message
from runcast.core.runs import RunRef
from runcast.wires import Keep, Place, sse


class MessagesWire(sse.SseWire):
    """Writes the messages that pass a filter as server-sent events."""

    def __init__(self, where: MessageFilter) -> None:
        super().__init__(Keep(), "seq")
        self.key = (MessagesWire, where)
        self._where = where

    def _frame(self, _ref: RunRef, event: Event, number: int) -> str:
        return sse.frame("message", public_message(event), number) if self._where(event) else ""

    def _lines(self, _ref: RunRef, _lines: Lines, _place: Place) -> list[str]:
        return []  # the log of messages has none
