"""Activity messages: what an agent does, one JSON object per event, named by work order and run."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from runcast.core.events import Batch, Event, Lines, run_of
from runcast.core.limits import INLINE_BYTES
from runcast.core.runs import RunRef
from runcast.core.times import format_time
from runcast.wires import Place, sse
from runcast.wires.jsontext import dumps, quote

Message = dict[str, Any]

PREVIEW_CHARS = 4096  # of a tool's answer: enough to recognise it by
JOINED_BYTES = INLINE_BYTES  # of UTF-8: as much as one event may hold


class Include(
    msgspec.Struct,
    frozen=True,
    rename=lambda name: "include" + name.title().replace("_", ""),
):
    """Which messages a client wants; errors, changes of status and gaps always pass.

    Outside, its fields are called `includeToolCalls` and so on. It is hashable: the same batch
    and the same options give the same messages, so their encoding may be kept under it.
    """

    tool_calls: bool = True
    tool_results: bool = True
    output: bool = True
    file_changes: bool = True
    progress: bool = True
    deltas: bool = False


_UNLESS_ASKED = Include()


class _Shape(NamedTuple):
    """What an event becomes; fields are written as name here -> name in the event's data."""

    type: str
    option: str  # the field of Include that lets it pass; empty: nothing holds it back
    always: Mapping[str, str]  # null where the event, perhaps a stranger's, lacks it
    present: Mapping[str, str] = {}  # left out where the event has no value
    fixed: Mapping[str, str] = {}
    finish: Callable[[Message], None] | None = None  # does what copying cannot


class ActivityWire(sse.SseWire):
    """Writes the messages that everybody wants as events without a name.

    The work order is the run's task. Nothing is joined: an event is a frame.
    """

    def _lines(self, ref: RunRef, lines: Lines, place: Place) -> list[str]:
        shape = _SHAPES["stderr" if lines.stream == "stderr" else "output"]
        head = (
            f'data: {{"type":"{shape.type}","workOrderId":{quote(ref.task_id)},'
            f'"runId":{quote(ref.id)},"timestamp":"{format_time(lines.time)}","content":'
        )
        fixed = "".join(f',"{name}":{quote(value)}' for name, value in shape.fixed.items())
        ahead, beyond = place.position - place.seq, place.number - place.seq
        return [
            f'{head}{quote(text)}{fixed},"seq":{seq},"position":{seq + ahead}}}\n'
            f"id: {seq + beyond}\n\n"
            for seq, text in enumerate(lines.texts, place.seq)
        ]

    def _frame(self, ref: RunRef, event: Event, number: int) -> str:
        told = message(event, ref.task_id, ref.id, _UNLESS_ASKED)
        return "" if told is None else sse.unnamed(dumps(told), number)


def messages(
    batch: Batch, work_order_id: str, include: Include, after: int = 0
) -> Iterator[Message]:
    """Yield the messages of a run's events whose seq is greater than `after`, in order."""
    run_id = run_of(batch.log) or batch.log
    for event in batch.events(after):
        if (told := message(event, work_order_id, run_id, include)) is not None:
            yield told


def message(event: Event, work_order_id: str, run_id: str, include: Include) -> Message | None:
    """Write one event; None if it is not told here, or not wanted."""
    shape = _SHAPES.get(_name(event))
    if shape is None or not getattr(include, shape.option, True):
        return None
    data = event.data
    told = {
        "type": shape.type,
        "workOrderId": work_order_id,
        "runId": run_id,
        "timestamp": format_time(event.time),
        **{shown: data.get(name) for shown, name in shape.always.items()},
        **{
            shown: data[name] for shown, name in shape.present.items() if data.get(name) is not None
        },
        **shape.fixed,
        "seq": event.seq,
        "position": event.position,
    }
    if shape.finish is not None:
        shape.finish(told)
    return told


def joined(told: Iterable[Message]) -> Iterator[Message]:
    """Join neighbours that are output of one run and one kind, up to 64 KiB of text.

    A joined message has the timestamp, seq and position of its last part, and `firstSeq`.
    """
    group: list[Message] = []
    size = 0
    for one in told:
        voice = _voice(one)
        more = len(one["content"].encode()) + 1 if voice else 0  # a newline may come between
        if group and not (voice and voice == _voice(group[0]) and size + more <= JOINED_BYTES):
            yield _join(group)
            group, size = [], 0
        group.append(one)
        size += more
    if group:
        yield _join(group)


def _voice(one: Message) -> tuple[Any, ...] | None:
    """Tell what two messages must have in common to be joined; None if this one stands alone."""
    if one["type"] != "agent_output" or "contentBlob" in one or not isinstance(one["content"], str):
        return None
    return tuple(one.get(name) for name in ("runId", "kind", "role", "delta", "messageId"))


def _join(group: list[Message]) -> Message:
    last = group[-1]
    if len(group) == 1:
        return last
    content = "".join(one["content"] + _after(one) for one in group[:-1]) + last["content"]
    return last | {"content": content, "firstSeq": group[0]["seq"]}


def _after(one: Message) -> str:
    """Return what the text that follows this one in the same voice is set off by."""
    return "" if one.get("partial") or one.get("kind") == "delta" else "\n"


def _name(event: Event) -> str:
    """Name the row of the table: output is told by its stream."""
    if event.type == "output" and event.data.get("stream") == "stderr":
        return "stderr"
    return event.type


def _preview(told: Message) -> None:
    content = told["contentPreview"]
    text = content if isinstance(content, str) else dumps(content)
    told["contentPreview"] = text[:PREVIEW_CHARS]


def _estimate(told: Message) -> None:
    percentage, elapsed = told["percentage"], told["elapsedSeconds"]
    numbers = isinstance(percentage, int | float) and isinstance(elapsed, int | float)
    if numbers and percentage > 0:
        remaining = elapsed * (100 - percentage) / percentage
        told["estimatedRemainingSeconds"] = round(remaining, 1)


_TEXT = {"content": "text"}
_OF_TEXT = {"partial": "partial", "contentBlob": "text_blob"}

# Approvals, input, usage and custom events are not told here.
_SHAPES: dict[str, _Shape] = {
    "output": _Shape("agent_output", "output", _TEXT, _OF_TEXT),
    "stderr": _Shape("agent_error", "", _TEXT, _OF_TEXT, {"source": "stderr"}),
    "message": _Shape(
        "agent_output", "output", _TEXT, _OF_TEXT | {"role": "role"}, {"kind": "message"}
    ),
    "thought": _Shape("agent_output", "output", _TEXT, _OF_TEXT, {"kind": "thought"}),
    "delta": _Shape(
        "agent_output",
        "deltas",
        _TEXT | {"delta": "kind", "messageId": "message_id"},
        _OF_TEXT,
        {"kind": "delta"},
    ),
    "tool_call": _Shape(
        "agent_tool_call",
        "tool_calls",
        {"toolUseId": "tool_call_id", "tool": "tool", "input": "input"},
        {"inputBlob": "input_blob"},
    ),
    "tool_result": _Shape(
        "agent_tool_result",
        "tool_results",
        {
            "toolUseId": "tool_call_id",
            "success": "ok",
            "contentPreview": "content",
            "contentLength": "size",
            "durationMs": "duration_ms",
        },
        {"contentBlob": "content_blob"},
        finish=_preview,
    ),
    "file_changed": _Shape(
        "file_changed", "file_changes", {"path": "path", "action": "action"}, {"sizeBytes": "size"}
    ),
    "progress": _Shape(
        "progress_update",
        "progress",
        {
            "percentage": "percentage",
            "currentPhase": "phase",
            "toolCallCount": "tool_calls",
            "elapsedSeconds": "elapsed_s",
        },
        finish=_estimate,
    ),
    "error": _Shape(
        "agent_error",
        "",
        {"content": "message", "source": "source"},
        {"contentBlob": "message_blob"},
    ),
    "status": _Shape(
        "run_status",
        "",
        {"status": "status", "reason": "reason", "exitCode": "exit_code"},
        {"signal": "signal", "error": "error"},
    ),
    "gap": _Shape("gap", "", {"reason": "reason"}, {"bytes": "bytes"}),
}
