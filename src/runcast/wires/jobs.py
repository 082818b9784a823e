"""Jobs over SSE: lines of `output`, then exactly one `complete` or `error`."""

from typing import Any

from runcast.core.events import Data, Event, Lines
from runcast.core.runs import TERMINAL, RunRef
from runcast.core.times import format_time, parse_time
from runcast.wires import Place, sse
from runcast.wires.jsontext import quote
from runcast.wires.texts import blob_of, line_of

# Reasons of a run that ended after it had begun, and of one that never did or was lost sight of.
_RAN = ("exit", "signal", "timeout", "agent")
_NEVER_RAN = ("spawn", "lost")
_EXIT = ("exit_code", "signal")
_MESSAGES = {
    "spawn": "the job could not be started",
    "lost": "the job was lost: nobody knows how it ended",
    "cancelled": "the job was cancelled before it started",
}
_DELETED = "the job was deleted"


class JobsWire(sse.SseWire):
    """Writes a run's events as those of a job: its tool is the actor, its project the workspace.

    There is no closing frame: the terminal event ends the job, and the stream stays open.
    """

    def _lines(self, ref: RunRef, lines: Lines, place: Place) -> list[str]:
        del ref
        head = 'event: output\ndata: {"line":'
        tail = f',"timestamp":{lines.time // 1000}}}\nid: '
        return [
            f"{head}{quote(text)}{tail}{n}\n\n" for n, text in enumerate(lines.texts, place.number)
        ]

    def _frame(self, ref: RunRef, event: Event, number: int) -> str:
        return sse.row_frame(_ROWS, ref, event, number)

    def closing(self, run_id: str, last_seq: int, *, deleted: bool) -> bytes:
        """Write `error` if the job was deleted before it ended, else nothing.

        What was deleted after its end has been told already: then ask for nothing here.
        """
        del run_id
        if not deleted:
            return b""
        return sse.frame("error", {"message": _DELETED}, last_seq + 1).encode("ascii")

    def heartbeat(self) -> bytes:
        """Write a comment: this wire has no events of its own for it."""
        return sse.COMMENT


def _output(_ref: RunRef, event: Event) -> sse.Named:
    data: dict[str, Any] = {"line": line_of(event), "timestamp": event.time // 1000}
    if event.data.get("partial"):
        data["partial"] = True
    if (blob := blob_of(event)) is not None:
        data["lineBlob"] = blob
    return "output", data


def _ending(ref: RunRef, event: Event) -> sse.Named | None:
    data = event.data
    if data["status"] not in TERMINAL:
        return None
    if _ran(data):
        return "complete", _completion(ref, event)
    reason = str(data.get("reason") or data["status"])
    return "error", {"message": data.get("error") or _MESSAGES.get(reason, "the job failed")}


def _ran(data: Data) -> bool:
    """Tell whether a job ended in a way that it has an outcome, if only to have been cut short."""
    reason = data.get("reason")
    if reason in _RAN or data["status"] == "completed":
        return True
    if reason in _NEVER_RAN:
        return False
    if data["status"] == "cancelled":
        return data.get("started_at") is not None
    # A client reported that it failed: it either knows an exit, or says what went wrong.
    return not data.get("error") or any(data.get(name) is not None for name in _EXIT)


def _completion(ref: RunRef, event: Event) -> dict[str, Any]:
    data = event.data
    started, ended = data.get("started_at"), data.get("ended_at") or format_time(event.time)
    return {
        "jobId": ref.id,
        "toolId": ref.actor,
        "projectId": ref.workspace_id,
        "status": data["status"],
        "exitCode": data.get("exit_code"),
        "durationMs": _duration_ms(started, ended),
        "startedAt": started,
        "finishedAt": ended,
        "signal": data.get("signal"),
        "reason": data.get("reason"),
    }


def _duration_ms(started: str | None, ended: str) -> int | None:
    if started is None:
        return None
    return max(0, parse_time(ended) - parse_time(started)) // 1000


_ROWS: sse.Rows = {
    "output": _output,
    "message": _output,
    "thought": _output,
    "tool_call": _output,
    "tool_result": _output,
    "status": _ending,
    "gap": sse.gap_row,
}
