"""What each wire must say of each event: the cells that a client may count on, as a table."""

import json
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

Json = dict[str, Any]
PREVIEW_BYTES = 4_096


class Said(NamedTuple):
    """One event, and the run whose it is."""

    event: Json
    run: Json


Value = Callable[[Said], Any]


class Row(NamedTuple):
    """What an event is called, and what its data must say: a value, or how to get it."""

    name: str
    fields: Mapping[str, Any]


class Wire(NamedTuple):
    """Rows by kind of event: what has none is not told."""

    rows: Mapping[str, Row]
    always: Mapping[str, Any] = {}  # fields that every message has
    number: Literal["seq", "position", ""] = ""  # what the id is
    verbatim: str = ""  # a field of the event's data that goes out as it is, if there is one
    closing: Row | None = None  # after the last event, numbered last_seq + 1


def kind(event: Json) -> str:
    """Name the row of the tables that is of an event."""
    data = event["data"]
    if event["type"] == "output":
        return "stderr" if data.get("stream") == "stderr" else "stdout"
    if event["type"] != "status":
        return str(event["type"])
    if data["status"] in {"queued", "running"}:
        return "begun"
    unstarted = data["status"] == "cancelled" and data.get("started_at") is None
    return "never ran" if unstarted or data["reason"] in {"spawn", "lost"} else "ended"


# What a field of a message is made of.


def get(name: str) -> Value:
    """Take a field of the event's data."""
    return lambda said: said.event["data"].get(name)


def event(name: str) -> Value:
    """Take a field of the event itself."""
    return lambda said: said.event[name]


def run(name: str) -> Value:
    """Take a field of the run."""
    return lambda said: said.run[name]


def text(name: str) -> Value:
    """Take a field as text: what is none becomes JSON."""
    return lambda said: _text(said.event["data"].get(name))


def preview(said: Said) -> str:
    """Take the first 4 KiB of a tool's answer."""
    return _text(said.event["data"].get("content")).encode()[:PREVIEW_BYTES].decode(errors="ignore")


def call(said: Said) -> str:
    """Show a call of a tool as a line."""
    return f"▶ {said.event['data']['tool']} {_text(said.event['data']['input'])}"


def line(value: Value) -> Value:
    """End a text with a newline."""
    return lambda said: value(said) + "\n"


def printed(said: Said) -> str:
    """Give output back as it was printed, or reported."""
    whole = said.run["source"] == "run" and not said.event["data"].get("partial")
    newline = "\n" if whole else ""
    return f"{said.event['data']['text']}{newline}"


def last_seq(said: Said) -> int:
    """Give the number of the last event."""
    return int(said.event["seq"])


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


# The tables. A row has what its wire promises of an event; there may be more in the message.


def _envelope(type: str, **payload: Any) -> Row:
    return Row("message", {"type": type, "payload": payload})


def _activity(type: str, **fields: Any) -> Row:
    return Row("message", {"type": type, **fields})


def _row_of(name: str, **fields: Any) -> Row:
    return Row(name, fields)


def _own(type: str, *fields: str) -> Row:
    """Show an event under its own name, with all its fields."""
    return Row(type, {name: get(name) for name in fields})


OUTCOME = {name: get(name) for name in ("status", "reason", "exit_code", "signal")}

ENVELOPES = Wire(
    {
        "stdout": _envelope("observation", content=get("text"), source="stdout"),
        "stderr": _envelope("observation", content=get("text"), source="stderr"),
        "message": _envelope("thought", content=get("text")),
        "thought": _envelope("thought", content=get("text")),
        "tool_call": _envelope("action", tool=get("tool"), args=get("input"), status="invoking"),
        "tool_result": _envelope(
            "observation", content=text("content"), source=get("tool"), ok=get("ok")
        ),
        "file_changed": _envelope(
            "observation", source="file_changed", path=get("path"), action=get("action")
        ),
        "error": _envelope("observation", content=get("message"), source="error"),
        "ended": _envelope("observation", content=get("status"), source="status"),
        "never ran": _envelope("observation", content=get("status"), source="status"),
        "gap": _envelope("gap", reason=get("reason")),
    },
    {
        "taskId": run("task_id"),
        "agentId": run("type"),
        "sequenceNumber": event("seq"),
        "timestamp": event("time"),
    },
    "position",
    "envelope",
)

JOBS = Wire(
    {
        "stdout": _row_of("output", line=get("text")),
        "stderr": _row_of("output", line=get("text")),
        "message": _row_of("output", line=get("text")),
        "thought": _row_of("output", line=get("text")),
        "tool_call": _row_of("output", line=call),
        "tool_result": _row_of("output", line=preview),
        "ended": _row_of(
            "complete",
            jobId=run("id"),
            toolId=run("type"),
            projectId=run("workspace_id"),
            status=get("status"),
            exitCode=get("exit_code"),
            signal=get("signal"),
            reason=get("reason"),
            startedAt=run("started_at"),
            finishedAt=run("ended_at"),
        ),
        "never ran": _row_of("error"),
        "gap": _own("gap", "reason"),
    },
    number="seq",
)

PROCESSES = Wire(
    {
        "stdout": _row_of("chunk", content=printed),
        "stderr": _row_of("chunk", content=printed),
        "message": _row_of("chunk", content=line(get("text"))),
        "thought": _row_of("chunk", content=line(get("text"))),
        "tool_call": _row_of("chunk", content=line(call)),
        "tool_result": _row_of("chunk", content=line(preview)),
        "error": _row_of("chunk", content=line(get("message"))),
        "ended": _own("status", "status", "result", "error"),
        "never ran": _own("status", "status", "result", "error"),
        "gap": _own("gap", "reason"),
    },
    number="seq",
    closing=_row_of("done", processId=run("id")),
)

RUNS = Wire(
    {
        "stdout": _row_of("log", stream="stdout", line=get("text"), partial=get("partial")),
        "stderr": _row_of("log", stream="stderr", line=get("text"), partial=get("partial")),
        "message": _own("message", "role", "text"),
        "thought": _own("thought", "text"),
        "delta": _own("delta", "kind", "message_id", "text"),
        "tool_call": _own("tool_call", "tool_call_id", "tool", "input"),
        "tool_result": _own(
            "tool_result", "tool_call_id", "tool", "ok", "content", "size", "duration_ms"
        ),
        "file_changed": _own("file_changed", "path", "action", "size"),
        "progress": _own("progress", "percentage", "phase", "tool_calls", "elapsed_s"),
        "error": _own("error", "message", "source"),
        "approval": _own("approval", "id", "tool", "input", "state"),
        "input": _own("input", "text"),
        "usage": _own("usage", "input_tokens", "output_tokens", "cost_usd"),
        "custom": _own("custom", "name", "value"),
        "begun": Row("status", OUTCOME),
        "ended": Row("status", OUTCOME),
        "never ran": Row("status", OUTCOME),
        "gap": _own("gap", "reason", "bytes"),
    },
    {"run_id": run("id"), "timestamp": event("time")},
    "seq",
    closing=_row_of("end", run_id=run("id"), last_seq=last_seq),
)

_STATUS = _activity(
    "run_status", status=get("status"), reason=get("reason"), exitCode=get("exit_code")
)

ACTIVITY = Wire(
    {
        "stdout": _activity("agent_output", content=get("text"), kind=None, partial=get("partial")),
        "stderr": _activity("agent_error", content=get("text"), source="stderr"),
        "message": _activity("agent_output", content=get("text"), kind="message", partial=None),
        "thought": _activity("agent_output", content=get("text"), kind="thought", partial=None),
        "tool_call": _activity(
            "agent_tool_call", toolUseId=get("tool_call_id"), tool=get("tool"), input=get("input")
        ),
        "tool_result": _activity(
            "agent_tool_result",
            toolUseId=get("tool_call_id"),
            success=get("ok"),
            contentPreview=preview,
            contentLength=get("size"),
            durationMs=get("duration_ms"),
        ),
        "file_changed": _activity("file_changed", path=get("path"), action=get("action")),
        "progress": _activity(
            "progress_update",
            percentage=get("percentage"),
            currentPhase=get("phase"),
            toolCallCount=get("tool_calls"),
            elapsedSeconds=get("elapsed_s"),
        ),
        "error": _activity("agent_error", content=get("message"), source=get("source")),
        "begun": _STATUS,
        "ended": _STATUS,
        "never ran": _STATUS,
        "gap": _activity("gap", reason=get("reason")),
    },
    {
        "workOrderId": run("task_id"),
        "runId": run("id"),
        "timestamp": event("time"),
        "seq": event("seq"),
        "position": event("position"),
    },
)

_WHOLE = ("seq", "position", "time", "type", "data")
NATIVE = Wire(
    dict.fromkeys(RUNS.rows, Row("message", {name: event(name) for name in _WHOLE})),
    {"runId": run("id")},
)

WIRES: dict[str, Wire] = {
    "envelopes": ENVELOPES,
    "envelope texts": ENVELOPES._replace(number=""),
    "jobs": JOBS,
    "processes": PROCESSES,
    "runs": RUNS,
    "activity": ACTIVITY,
    "native": NATIVE,
}
