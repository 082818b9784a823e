"""What `gemini --output-format stream-json` prints."""

import re
from collections.abc import Iterable, Iterator

from runcast.core.events import Draft
from runcast.core.limits import INLINE_BYTES
from runcast.parsers.frame import JsonLines, keep
from runcast.parsers.values import (
    Json,
    flag,
    maybe_mapping,
    maybe_text,
    reason,
    text,
    whole,
    within,
)

_HELD_BYTES = 32 * 1024  # of a message in the making: every commit carries it
_CHANGING_TOOLS = frozenset({"write_file", "replace", "edit"})
_AGENT = "assistant"
_API_ERROR = re.compile(r"\[API Error: (\{.*\})\]", re.DOTALL)


def _message(parser: JsonLines, value: Json) -> Iterator[Draft]:
    role, content = text(value, "role"), text(value, "content")
    if role == _AGENT and flag(value, "delta"):
        yield from _piece(parser, content)
        return
    yield from parser.interrupted()
    if role == _AGENT:
        parser.state.spoken = within(content, INLINE_BYTES)
    yield parser.event("message", {"role": role, "text": content})


def _piece(parser: JsonLines, content: str) -> Iterator[Draft]:
    making = parser.state.making.get(_AGENT)
    if making is None:
        parser.speaks(_AGENT, parser.new_id("message"))
        making = parser.state.making[_AGENT]
    making.held += content
    data = {"kind": "text", "message_id": making.message_id, "text": content}
    yield parser.event("delta", data)
    if len(making.held) > _HELD_BYTES:
        yield from parser.interrupted()


def _tool_use(parser: JsonLines, value: Json) -> Iterator[Draft]:
    call_id, tool = text(value, "tool_id"), text(value, "tool_name")
    given = maybe_mapping(value, "parameters")
    path = maybe_text(given, "file_path") if tool in _CHANGING_TOOLS else ""
    yield from parser.interrupted()
    yield parser.call(call_id, tool, given, note=path)


def _tool_result(parser: JsonLines, value: Json) -> Iterator[Draft]:
    call_id, ok = text(value, "tool_id"), text(value, "status") == "success"
    content = value.get("output")
    if content is None:
        content = maybe_text(maybe_mapping(value, "error"), "message")
    yield from parser.interrupted()
    call = parser.state.calls.get(call_id)
    yield parser.answer(call_id, ok=ok, content=content)
    if ok and call and call.note:
        yield parser.event("file_changed", {"path": call.note, "action": "modified"})


def _error(parser: JsonLines, value: Json) -> Iterator[Draft]:
    message = _reason(text(value, "message"))
    yield from parser.interrupted()
    yield parser.error(message)


def _result(parser: JsonLines, value: Json) -> Iterator[Draft]:
    ok, stats = text(value, "status") == "success", maybe_mapping(value, "stats")
    error = _reason(maybe_text(maybe_mapping(value, "error"), "message"))
    error = error or "the agent gave no reason"
    tokens = (whole(stats, "input_tokens"), whole(stats, "output_tokens"))
    yield from parser.interrupted()
    yield from parser.usage(*tokens)
    if ok:
        parser.said(parser.state.spoken, ok=True)
    else:
        parser.said(error, ok=False)
        yield parser.error(error)


def _reason(message: str) -> str:
    wrapped = _API_ERROR.fullmatch(message)
    return message if wrapped is None else reason(wrapped[1])


class GeminiParser(JsonLines):
    """The dialect of Gemini: messages come in pieces without an end, so they are joined here."""

    name = "gemini"
    ends_with_word = True
    readers = {
        "init": keep,
        "message": _message,
        "tool_use": _tool_use,
        "tool_result": _tool_result,
        "error": _error,
        "result": _result,
    }

    def interrupted(self) -> Iterable[Draft]:
        """Yield the message whose pieces have come so far."""
        making = self.state.making.pop(_AGENT, None)
        if making is None:
            return []
        self.state.spoken = within(making.held, INLINE_BYTES)
        data = {"role": _AGENT, "text": making.held, "message_id": making.message_id}
        return [self.event("message", data)]
