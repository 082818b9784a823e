"""What `codex exec --json` prints: turns of items, each of which may start and completes."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from runcast.core.events import Data, Draft
from runcast.core.limits import INLINE_BYTES
from runcast.parsers.frame import JsonLines, keep
from runcast.parsers.values import (
    Json,
    mapping,
    maybe_mapping,
    maybe_text,
    objects,
    reason,
    text,
    whole,
    within,
)

_ACTIONS = {"add": "created", "delete": "deleted", "update": "modified"}


# How an item reads as a tool call: (tool, input), and when it is completed (ok, content).


def _completed(item: Json) -> bool:
    return text(item, "status") == "completed"


def _picked(item: Json, *names: str) -> Json:
    return {name: item[name] for name in names if item.get(name) is not None}


def _command(item: Json) -> tuple[str, Any]:
    return "command_execution", {"command": text(item, "command")}


def _command_answer(item: Json) -> tuple[bool, Any]:
    ok = _completed(item) and not whole(item, "exit_code")
    return ok, maybe_text(item, "aggregated_output")


def _change(item: Json) -> tuple[str, Any]:
    return "file_change", {"changes": objects(item, "changes")}


def _change_answer(item: Json) -> tuple[bool, Any]:
    lines = (
        f"{text(change, 'kind')} {text(change, 'path')}" for change in objects(item, "changes")
    )
    return _completed(item), "\n".join(lines)


def _mcp(item: Json) -> tuple[str, Any]:
    return f"{text(item, 'server')}.{text(item, 'tool')}", item.get("arguments")


def _mcp_answer(item: Json) -> tuple[bool, Any]:
    error, result = maybe_mapping(item, "error"), maybe_mapping(item, "result")
    content = result.get("content") or result.get("structured_content")
    return _completed(item) and not error, maybe_text(error, "message") or content


def _search(item: Json) -> tuple[str, Any]:
    return "web_search", _picked(item, "query", "action")


def _search_answer(item: Json) -> tuple[bool, Any]:
    return True, item.get("query")


def _collab(item: Json) -> tuple[str, Any]:
    return text(item, "tool"), _picked(item, "prompt", "sender_thread_id", "receiver_thread_ids")


def _collab_answer(item: Json) -> tuple[bool, Any]:
    return _completed(item), item.get("agents_states")


CALLS: dict[str, tuple[Callable[[Json], tuple[str, Any]], Callable[[Json], tuple[bool, Any]]]] = {
    "command_execution": (_command, _command_answer),
    "file_change": (_change, _change_answer),
    "mcp_tool_call": (_mcp, _mcp_answer),
    "web_search": (_search, _search_answer),
    "collab_tool_call": (_collab, _collab_answer),
}


def _started(parser: JsonLines, value: Json) -> Iterable[Draft]:
    item = mapping(value, "item")
    kind = text(item, "type")
    if kind not in CALLS:
        return _other_item(parser, value)
    tool, given = CALLS[kind][0](item)
    return [parser.call(text(item, "id"), tool, given)]


def _item_completed(parser: JsonLines, value: Json) -> Iterable[Draft]:
    item = mapping(value, "item")
    kind = text(item, "type")
    if kind in CALLS:
        return _answered(parser, item, *CALLS[kind])
    reader = ITEMS.get(kind)
    return _other_item(parser, value) if reader is None else reader(parser, item)


def _answered(
    parser: JsonLines,
    item: Json,
    ask: Callable[[Json], tuple[str, Any]],
    answer: Callable[[Json], tuple[bool, Any]],
) -> Iterator[Draft]:
    call_id, (tool, given), (ok, content) = text(item, "id"), ask(item), answer(item)
    changes = _changes(item) if ok else []
    if call_id not in parser.state.calls:
        yield parser.call(call_id, tool, given)
    yield parser.answer(call_id, ok=ok, content=content)
    for change in changes:
        yield parser.event("file_changed", change)


def _changes(item: Json) -> list[Data]:
    return [
        {"path": text(change, "path"), "action": _ACTIONS.get(text(change, "kind"), "modified")}
        for change in objects(item, "changes")
    ]


def _other_item(parser: JsonLines, value: Json) -> Iterable[Draft]:
    kind = value["item"]["type"]
    known = kind in _OTHER_ITEMS or kind in ITEMS
    return [parser.custom(kind, value)] if known else parser.strange(kind, value)


def _reasoning(parser: JsonLines, item: Json) -> Iterable[Draft]:
    return [parser.event("thought", {"text": text(item, "text")})]


def _agent_message(parser: JsonLines, item: Json) -> Iterable[Draft]:
    said = text(item, "text")
    parser.state.spoken = within(said, INLINE_BYTES)
    return [parser.event("message", {"role": "assistant", "text": said})]


def _error(parser: JsonLines, value: Json) -> Iterable[Draft]:
    return [parser.error(reason(text(value, "message")))]


ITEMS = {"reasoning": _reasoning, "agent_message": _agent_message, "error": _error}
_OTHER_ITEMS = frozenset({"todo_list", "plan"})


def _turn_started(parser: JsonLines, value: Json) -> Iterable[Draft]:
    parser.state.spoken = ""
    parser.state.word = None  # what an earlier turn ended with was not the last word
    return keep(parser, value)


def _turn_completed(parser: JsonLines, value: Json) -> Iterator[Draft]:
    usage = maybe_mapping(value, "usage")
    yield from parser.usage(whole(usage, "input_tokens"), whole(usage, "output_tokens"))
    parser.said(parser.state.spoken, ok=True)


def _turn_failed(parser: JsonLines, value: Json) -> Iterable[Draft]:
    message = reason(text(mapping(value, "error"), "message"))
    parser.said(message, ok=False)
    return [parser.error(message)]


class CodexParser(JsonLines):
    """The dialect of Codex; a reconnection is an `error` too, so only a turn's end is final."""

    name = "codex"
    ends_with_word = True
    readers = {
        "thread.started": keep,
        "turn.started": _turn_started,
        "item.started": _started,
        "item.updated": keep,
        "item.plan.delta": keep,
        "item.completed": _item_completed,
        "error": _error,
        "turn.completed": _turn_completed,
        "turn.failed": _turn_failed,
    }
