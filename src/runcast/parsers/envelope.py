"""Envelopes, one per line: each becomes one event that carries it."""

from collections.abc import Iterator

from runcast.core.envelopes import Envelope, event_of, read_envelope
from runcast.core.errors import BadRequest
from runcast.core.events import Draft
from runcast.parsers.frame import JsonLines
from runcast.parsers.values import Json, Unreadable


def _envelope(parser: JsonLines, value: Json) -> Iterator[Draft]:
    try:
        envelope = read_envelope(value)
    except BadRequest as error:
        raise Unreadable(error.message) from None
    yield _draft(parser, envelope, value)


def _draft(parser: JsonLines, envelope: Envelope, value: Json) -> Draft:
    kind, data = event_of(envelope)
    if kind == "tool_call":
        return parser.call(parser.new_id("call"), data["tool"], data["input"], envelope=value)
    if kind == "tool_result":
        call_id = _call_of(parser, data["tool"])
        ok, content = data["ok"], data["content"]
        return parser.answer(call_id, ok=ok, content=content, envelope=value)
    return parser.event(kind, data | {"envelope": value})


def _call_of(parser: JsonLines, tool: str) -> str:
    """Return the id of the tool's oldest open call; a new id if it has none."""
    for call_id, call in parser.state.calls.items():
        if call.tool == tool:
            return call_id
    return parser.new_id("call")


class EnvelopeParser(JsonLines):
    """The dialect of programs that print envelopes, of any agents and tasks."""

    name = "envelope"
    readers = {"thought": _envelope, "action": _envelope, "observation": _envelope}

    def draft(self, time: int, envelope: Envelope, value: Json) -> Draft:
        """Make the event of one envelope that did not come in a line; `value` is how it came."""
        self.state.time = time
        return _draft(self, envelope, value)
