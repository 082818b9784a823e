"""JSON lines of no agent in particular: the few kinds that most tools agree on."""

from collections.abc import Iterable

from runcast.core.events import Draft, Entry
from runcast.parsers.frame import JsonLines
from runcast.parsers.outputs import output
from runcast.parsers.values import Json, Unreadable, as_text, flag, text


def _text(parser: JsonLines, value: Json) -> Iterable[Draft]:
    return [parser.event("message", {"role": "assistant", "text": text(value, "text")})]


def _thinking(parser: JsonLines, value: Json) -> Iterable[Draft]:
    names = [name for name in ("text", "thinking", "content") if value.get(name) is not None]
    if not names:
        raise Unreadable("text")
    return [parser.event("thought", {"text": text(value, names[0])})]


def _tool_use(parser: JsonLines, value: Json) -> Iterable[Draft]:
    return [parser.call(text(value, "id"), text(value, "name"), value.get("input"))]


def _tool_result(parser: JsonLines, value: Json) -> Iterable[Draft]:
    call_id, ok = text(value, "tool_use_id"), not flag(value, "is_error")
    return [parser.answer(call_id, ok=ok, content=value.get("content"))]


def _error(parser: JsonLines, value: Json) -> Iterable[Draft]:
    found = value.get("message", value.get("error"))
    if found is None:
        raise Unreadable("message")
    return [parser.error(as_text(found))]


class JsonlParser(JsonLines):
    """The dialect of programs that print objects with a `type`.

    It is no contract: whatever else is printed is kept, and nothing counts as not understood.
    """

    name = "jsonl"
    readers = {
        "text": _text,
        "thinking": _thinking,
        "tool_use": _tool_use,
        "tool_result": _tool_result,
        "error": _error,
    }

    def strange(self, name: str, value: Json) -> Iterable[Draft]:
        """Keep an object of any other kind."""
        return [self.custom(name, value)]

    def plain(self, line: bytes) -> Iterable[Entry]:
        """Keep a line that is no JSON object."""
        return output(self.state.time, "stdout", line, partial=False)
