"""What `claude -p --output-format stream-json` prints; its `type` may stand anywhere in a line."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from runcast.core.events import Data, Draft
from runcast.parsers.frame import JsonLines, keep, kind_of, skip
from runcast.parsers.values import (
    Json,
    Unreadable,
    as_text,
    byte_size,
    flag,
    mapping,
    maybe_mapping,
    maybe_text,
    number,
    objects,
    text,
    whole,
)

SUBTYPES = frozenset(
    {
        "init",
        "status",
        "api_retry",
        "compact_boundary",
        "thinking_tokens",
        "session_state_changed",
        "permission_denied",
        "hook_started",
        "hook_progress",
        "hook_response",
        "task_started",
        "task_progress",
        "task_updated",
        "task_notification",
        "background_tasks_changed",
        "commands_changed",
        "notification",
        "informational",
        "local_command_output",
        "plugin_install",
        "files_persisted",
        "memory_recall",
        "elicitation_complete",
        "model_refusal_fallback",
        "model_refusal_no_fallback",
        "control_request_progress",
        "mirror_error",
        "worker_shutting_down",
        "session_writes_lost",
    }
)
# `tool_use_result` tells of a change by one of these, or by a patch without a type.
_ACTIONS = {"create": "created", "update": "modified"}


def _origin(value: Json) -> Data:
    """Return which tool call a line belongs to, if it comes from an agent within the agent."""
    parent = maybe_text(value, "parent_tool_use_id")
    return {"parent_tool_call_id": parent} if parent else {}


def _system(parser: JsonLines, value: Json) -> Iterable[Draft]:
    subtype = text(value, "subtype")
    name = f"system.{subtype}"
    if subtype == "background_tasks_changed":
        parser.state.busy = bool(objects(value, "tasks"))
    elif subtype == "init":
        parser.state.word = None  # a turn begins: what ended the one before was not the last word
    return [parser.custom(name, value)] if subtype in SUBTYPES else parser.strange(name, value)


# A message is read block by block, so that one strange block leaves its neighbours alone.


def _message(parser: JsonLines, line: Json) -> Iterator[Draft]:
    role, message = text(line, "type"), mapping(line, "message")
    content = message.get("content")
    if isinstance(content, str):
        blocks = [{"type": "text", "text": content}]
    elif content is not None:
        blocks = objects(message, "content")
    else:
        raise Unreadable("content")
    result = line.get("tool_use_result") if len(blocks) == 1 else None
    said = _Said(role, maybe_text(message, "id"), _origin(line), result)
    for block in blocks:
        yield from _block(parser, block, said)


class _Said(NamedTuple):
    """What the blocks of a message have in common."""

    role: str
    message_id: str
    origin: Data
    result: Any  # the structured answer of the tool, beside the text that the model sees


def _block(parser: JsonLines, block: Json, said: _Said) -> Iterable[Draft]:
    kind = kind_of(block)
    read = _tool_result if kind.endswith("tool_result") else BLOCKS.get(kind)
    if read is not None:
        try:
            return list(read(parser, block, said))
        except Unreadable:
            pass
    return parser.strange(f"{said.role}.{kind}", block)


def _text(parser: JsonLines, block: Json, said: _Said) -> Iterable[Draft]:
    data = {"role": said.role, "text": text(block, "text")}
    if said.message_id:
        data["message_id"] = said.message_id
    return [parser.event("message", data | said.origin)]


def _thinking(parser: JsonLines, block: Json, said: _Said) -> Iterable[Draft]:
    return [parser.event("thought", {"text": text(block, "thinking")} | said.origin)]


def _unreadable(parser: JsonLines, block: Json, said: _Said) -> Iterable[Draft]:
    return [parser.custom(f"{said.role}.{kind_of(block)}", block)]


def _tool_use(parser: JsonLines, block: Json, said: _Said) -> Iterable[Draft]:
    call_id, tool = text(block, "id"), text(block, "name")
    return [parser.call(call_id, tool, block.get("input"), **said.origin)]


def _tool_result(parser: JsonLines, block: Json, said: _Said) -> Iterator[Draft]:
    call_id, content = text(block, "tool_use_id"), block.get("content")
    ok = not flag(block, "is_error") and not _is_error(content)
    yield parser.answer(call_id, ok=ok, content=content, **said.origin)
    if ok and (changed := _changed(said.result)):
        yield parser.event("file_changed", changed | said.origin)


BLOCKS: dict[str, Callable[[JsonLines, Json, _Said], Iterable[Draft]]] = {
    "text": _text,
    "thinking": _thinking,
    "redacted_thinking": _unreadable,
    "tool_use": _tool_use,
    "server_tool_use": _tool_use,
    "mcp_tool_use": _tool_use,
}


def _is_error(content: Any) -> bool:
    """Tell whether an answer of a tool that the model's own server ran is an error."""
    kind = content.get("type") if isinstance(content, dict) else None
    return isinstance(kind, str) and kind.endswith("_error")


def _changed(result: Any) -> Data | None:
    """Return what a tool's structured result says of a file it changed; reading is no change."""
    if not isinstance(result, dict) or not isinstance(result.get("filePath"), str):
        return None
    kind = result.get("type")
    patched = kind is None and isinstance(result.get("structuredPatch"), list)
    action = "modified" if patched else _ACTIONS.get(kind) if isinstance(kind, str) else None
    if action is None:
        return None
    content = result.get("content")
    size = {"size": byte_size(content)} if isinstance(content, str) else {}
    return {"path": result["filePath"], "action": action, **size}


# Pieces of a message, as the model's API gives them.

# Type of a delta -> (kind of the event, the field with its text).
DELTAS = {
    "text_delta": ("text", "text"),
    "thinking_delta": ("thinking", "thinking"),
    "input_json_delta": ("tool_input", "partial_json"),
}
_FRAMING = frozenset({"content_block_stop", "message_delta", "message_stop", "ping"})


def _stream_event(parser: JsonLines, value: Json) -> Iterable[Draft]:
    event = mapping(value, "event")
    kind = text(event, "type")
    if kind == "content_block_delta":
        return _delta(parser, value, mapping(event, "delta"))
    speaker = maybe_text(value, "parent_tool_use_id")
    if kind == "message_start":
        parser.speaks(speaker, text(mapping(event, "message"), "id"))
    elif kind == "content_block_start":
        making = parser.state.making.get(speaker)
        call_id = maybe_text(mapping(event, "content_block"), "id")
        parser.speaks(speaker, making.message_id if making else "", call_id)
    elif kind not in _FRAMING:
        return parser.strange(f"stream_event.{kind}", value)
    return []


def _delta(parser: JsonLines, value: Json, delta: Json) -> Iterable[Draft]:
    kind, origin = text(delta, "type"), _origin(value)
    if kind == "signature_delta":
        return []
    if kind not in DELTAS:
        return parser.strange(f"stream_event.{kind}", value)
    name, field = DELTAS[kind]
    piece = text(delta, field)
    making = parser.state.making.get(origin.get("parent_tool_call_id", ""))
    data: Data = {"kind": name, "message_id": making.message_id if making else "", "text": piece}
    if name == "tool_input" and making:
        data["tool_call_id"] = making.held
    return [parser.event("delta", data | origin)]


# Questions to a person, and the end.


def _control_request(parser: JsonLines, value: Json) -> Iterable[Draft]:
    asked = mapping(value, "request")
    if asked.get("subtype") != "can_use_tool":
        return keep(parser, value)
    data = {
        "id": text(value, "request_id"),
        "tool": text(asked, "tool_name"),
        "input": asked.get("input"),
        "state": "pending",
    }
    if call_id := maybe_text(asked, "tool_use_id"):
        data["tool_call_id"] = call_id
    return [parser.event("approval", data)]


def _control_cancel_request(parser: JsonLines, value: Json) -> Iterable[Draft]:
    data = {"id": text(value, "request_id"), "state": "withdrawn"}
    return [Draft(parser.state.time, "approval", data)]


def _result(parser: JsonLines, value: Json) -> Iterator[Draft]:
    subtype, failed = text(value, "subtype"), flag(value, "is_error")
    usage, result = maybe_mapping(value, "usage"), maybe_text(value, "result")
    tokens = (whole(usage, "input_tokens"), whole(usage, "output_tokens"))
    cost = number(value, "total_cost_usd")
    errors = value.get("errors")
    reasons = "; ".join(map(as_text, errors)) if isinstance(errors, list) else as_text(errors)
    ok = subtype == "success" and not failed
    message = result if ok else reasons or result or subtype
    yield from parser.usage(*tokens, cost)
    if not ok:
        yield parser.error(message)
    if not parser.state.busy:
        parser.said(message, ok=ok)


class ClaudeParser(JsonLines):
    """The dialect of Claude Code, with or without partial messages."""

    name = "claude"
    ends_with_word = True
    readers = {
        "system": _system,
        "assistant": _message,
        "user": _message,
        "stream_event": _stream_event,
        "control_request": _control_request,
        "control_cancel_request": _control_cancel_request,
        "control_response": keep,
        "keep_alive": skip,
        "result": _result,
        "tool_progress": keep,
        "tool_use_summary": keep,
        "auth_status": keep,
        "rate_limit_event": keep,
        "prompt_suggestion": keep,
        "conversation_reset": keep,
        "active_goal": keep,
    }
