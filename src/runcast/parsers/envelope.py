"""Envelopes, one per line: each becomes one event that carries it."""

from collections.abc import Iterator

from runcast.core.envelopes import event_of, read_envelope
from runcast.core.errors import BadRequest
from runcast.core.events import Draft
from runcast.parsers.frame import JsonLines
from runcast.parsers.values import Json, Unreadable


def _envelope(parser: JsonLines, value: Json) -> Iterator[Draft]:
    try:
        kind, data = event_of(read_envelope(value))
    except BadRequest as error:
        raise Unreadable(error.message) from None
    if kind == "tool_call":
        yield parser.call(parser.new_id("call"), data["tool"], data["input"], envelope=value)
    elif kind == "tool_result":
        call_id = _call_of(parser, data["tool"])
        ok, content = data["ok"], data["content"]
        yield parser.answer(call_id, ok=ok, content=content, envelope=value)
    else:
        yield parser.event(kind, data | {"envelope": value})


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
