"""Envelopes: what agents think, do and see, one JSON object per event."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from runcast.core.envelopes import ENVELOPE_KIND
from runcast.core.events import Batch, Data, Event, Lines
from runcast.core.runs import TERMINAL, RunRef
from runcast.core.times import format_time
from runcast.wires import Place, sse, stream_of, write
from runcast.wires.jsontext import dumps, quote
from runcast.wires.texts import as_text, blob_of

Message = dict[str, Any]
Said = tuple[str, Message]  # an envelope's type and payload

_UNKNOWN_TOOL = "tool"  # whose answer it is, if the call was never seen


def envelope_texts(batch: Batch, after: int) -> tuple[str, ...]:
    """Write the events whose position is greater than `after`, one JSON text each, in order."""
    texts = write(batch, after, "position", _line_texts, _event_text)
    return tuple(text for text in texts if text)


class EnvelopesWire(sse.SseWire):
    """Writes envelopes as events without a name."""

    def _lines(self, ref: RunRef, lines: Lines, place: Place) -> list[str]:
        texts = _line_texts(ref, lines, place)
        return [f"data: {text}\nid: {n}\n\n" for n, text in enumerate(texts, place.number)]

    def _frame(self, ref: RunRef, event: Event, number: int) -> str:
        text = _event_text(ref, event, number)
        return sse.unnamed(text, number) if text else ""

    def heartbeat(self) -> bytes:
        """Write a comment: this wire has no events of its own for it."""
        return sse.COMMENT


def _line_texts(ref: RunRef, lines: Lines, place: Place) -> Iterator[str]:
    head = (
        f'{{"type":"observation","taskId":{quote(ref.task_id)},"agentId":{quote(ref.actor)},'
        '"sequenceNumber":'
    )
    middle = f',"timestamp":"{format_time(lines.time)}","payload":{{"content":'
    tail = f',"source":{quote(lines.stream)}}}}}'
    return (
        f"{head}{seq}{middle}{quote(text)}{tail}" for seq, text in enumerate(lines.texts, place.seq)
    )


def _event_text(ref: RunRef, event: Event, _number: int) -> str:
    told = _envelope(ref, event)
    return "" if told is None else dumps(told)


def _envelope(ref: RunRef, event: Event) -> Message | None:
    """Return the envelope that an event came in as, or becomes; None if it is not told here."""
    came_as = event.data.get("envelope")
    if isinstance(came_as, dict):
        return came_as
    row = _ROWS.get(event.type)
    said = None if row is None else row(ref, event)
    if said is None:
        return None
    return {
        "type": said[0],
        "taskId": ref.task_id,
        "agentId": ref.actor,
        "sequenceNumber": event.seq,
        "timestamp": format_time(event.time),
        "payload": said[1],
    }


def _thought(_ref: RunRef, event: Event) -> Said:
    return "thought", {"content": as_text(event.data.get("text")), **_cut(event, "content")}


def _action(_ref: RunRef, event: Event) -> Said:
    given = event.data.get("input")
    if not isinstance(given, dict):  # a text, or the beginning of what was too long
        given = {} if given is None else {"input": given}
    payload = {"tool": _tool(event.data), "args": given, "status": "invoking"}
    return "action", payload | _cut(event, "args")


def _output(_ref: RunRef, event: Event) -> Said:
    return _observed(event, "text", stream_of(event.data), _present(event.data, "partial"))


def _result(_ref: RunRef, event: Event) -> Said:
    return _observed(event, "content", _tool(event.data), {"ok": event.data.get("ok")})


def _error(_ref: RunRef, event: Event) -> Said:
    return _observed(event, "message", "error", {})


def _observed(event: Event, field: str, source: str, more: Message) -> Said:
    payload = {"content": as_text(event.data.get(field)), "source": source}
    return "observation", payload | more | _cut(event, "content")


def _file(_ref: RunRef, event: Event) -> Said:
    data = event.data
    change = {"path": data.get("path"), "action": data.get("action")} | _present(data, "size")
    content = f"{as_text(change['action'])} {as_text(change['path'])}"
    return "observation", {"content": content, "source": "file_changed", **change}


def _status(ref: RunRef, event: Event) -> Said | None:
    data = event.data
    if data["status"] not in TERMINAL or _made_by_envelopes(ref):
        return None
    outcome = {name: data.get(name) for name in ("reason", "exit_code", "signal")}
    payload = {"content": data["status"], "source": "status", **outcome}
    return "observation", payload | _present(data, "error")


def _made_by_envelopes(ref: RunRef) -> bool:
    return ref.source == "external" and ref.actor == ENVELOPE_KIND


def _gap(_ref: RunRef, event: Event) -> Said:
    return "gap", {"reason": event.data.get("reason")} | _present(event.data, "bytes")


def _tool(data: Data) -> str:
    return as_text(data.get("tool")) or _UNKNOWN_TOOL


def _present(data: Data, name: str) -> Message:
    return {name: data[name]} if data.get(name) is not None else {}


def _cut(event: Event, field: str) -> Message:
    """Say of a field that has only the beginning of a text where the whole is kept."""
    blob = blob_of(event)
    return {} if blob is None else {f"{field}_blob": blob}


_ROWS: Mapping[str, Callable[[RunRef, Event], Said | None]] = {
    "output": _output,
    "message": _thought,
    "thought": _thought,
    "tool_call": _action,
    "tool_result": _result,
    "file_changed": _file,
    "error": _error,
    "status": _status,
    "gap": _gap,
}
