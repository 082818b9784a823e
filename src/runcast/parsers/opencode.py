"""What `opencode run --format json` prints."""

from collections.abc import Iterable, Iterator

from runcast.core.events import Data, Draft, Entry
from runcast.core.limits import INLINE_BYTES
from runcast.parsers.frame import JsonLines, keep
from runcast.parsers.values import (
    Json,
    as_text,
    byte_size,
    mapping,
    maybe_mapping,
    maybe_text,
    number,
    objects,
    text,
    whole,
    within,
)

CUT_SHORT = "the agent ended before the step that was to follow its last tool call"
_ACTIONS = {"add": "created", "delete": "deleted"}
_CHANGING_TOOLS = frozenset({"write", "edit", "multiedit", "patch", "apply_patch"})


def _text(parser: JsonLines, value: Json) -> Iterable[Draft]:
    said = text(mapping(value, "part"), "text")
    parser.state.spoken = within(said, INLINE_BYTES)
    return [parser.event("message", {"role": "assistant", "text": said})]


def _reasoning(parser: JsonLines, value: Json) -> Iterable[Draft]:
    return [parser.event("thought", {"text": text(mapping(value, "part"), "text")})]


def _tool_use(parser: JsonLines, value: Json) -> Iterator[Draft]:
    part = mapping(value, "part")
    call_id, tool, done = text(part, "callID"), text(part, "tool"), mapping(part, "state")
    ok, took_ms = text(done, "status") == "completed", _took_ms(maybe_mapping(done, "time"))
    content = done.get("output" if ok else "error")
    changes = _changes(done) if ok and tool in _CHANGING_TOOLS else []
    yield parser.call(call_id, tool, done.get("input"))
    yield parser.answer(call_id, ok=ok, content=content, took_ms=took_ms)
    for change in changes:
        yield parser.event("file_changed", change)


def _took_ms(time: Json) -> int | None:
    start, end = whole(time, "start"), whole(time, "end")
    return None if start is None or end is None else max(0, end - start)


def _changes(done: Json) -> list[Data]:
    """Return what a tool that changes files says of them, as data of `file_changed`."""
    metadata, given = maybe_mapping(done, "metadata"), maybe_mapping(done, "input")
    if files := objects(metadata, "files"):
        return [change for file in files for change in _patched(file)]
    path = maybe_text(metadata, "filepath") or maybe_text(given, "filePath")
    if not path:
        return []
    action = "created" if metadata.get("exists") is False else "modified"
    content = given.get("content")
    size = {"size": byte_size(content)} if isinstance(content, str) else {}
    return [{"path": path, "action": action, **size}]


def _patched(file: Json) -> Iterator[Data]:
    path, moved = text(file, "filePath"), maybe_text(file, "movePath")
    action = "deleted" if moved else _ACTIONS.get(text(file, "type"), "modified")
    yield {"path": path, "action": action}
    if moved:
        yield {"path": moved, "action": "created"}


def _step_finish(parser: JsonLines, value: Json) -> Iterable[Draft]:
    part = mapping(value, "part")
    tokens = maybe_mapping(part, "tokens")
    parser.state.busy = maybe_text(part, "reason") == "tool-calls"
    return parser.usage(whole(tokens, "input"), whole(tokens, "output"), number(part, "cost"))


def _error(parser: JsonLines, value: Json) -> Iterable[Draft]:
    error = mapping(value, "error")
    message = maybe_text(maybe_mapping(error, "data"), "message") or as_text(error)
    parser.said(message, ok=False)
    return [parser.error(message)]


def _done(parser: JsonLines, value: Json) -> Iterable[Draft]:
    if parser.state.word is None:
        parser.said(parser.state.spoken, ok=True)
    return keep(parser, value)


class OpencodeParser(JsonLines):
    """The dialect of opencode; older versions print no last line, then the exit code decides."""

    name = "opencode"
    readers = {
        "step_start": keep,
        "text": _text,
        "reasoning": _reasoning,
        "tool_use": _tool_use,
        "step_finish": _step_finish,
        "error": _error,
        "done": _done,
    }

    def finish(self) -> list[Entry]:
        """Finish, and tell of a step that was to be followed by another, which never came."""
        entries = super().finish()
        if self.state.busy and self.state.word is None:
            self.said(CUT_SHORT, ok=False)
        return entries
