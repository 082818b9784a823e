"""Processes over SSE: `chunk`s of text, the terminal `status`, then `done`."""

from collections.abc import Iterator
from typing import Any

from runcast.core.events import Batch, Event, Lines
from runcast.core.runs import TERMINAL, RunRef
from runcast.core.times import format_duration, parse_time
from runcast.wires import Place, speaker, sse
from runcast.wires.jsontext import quote
from runcast.wires.texts import blob_of, line_of


class ProcessesWire(sse.SseWire):
    """Writes a run's events as those of a process.

    A chunk is a line with its newline. Only the output that a client reported goes out as it came
    in: it may have been cut anywhere.
    """

    def _lines(self, ref: RunRef, lines: Lines, place: Place) -> list[str]:
        newline = _newline(ref)
        head = 'event: chunk\ndata: {"content":'
        return [
            f"{head}{quote(text + newline)}}}\nid: {n}\n\n"
            for n, text in enumerate(lines.texts, place.number)
        ]

    def _frame(self, ref: RunRef, event: Event, number: int) -> str:
        return sse.row_frame(_ROWS, ref, event, number)

    def closing(self, run_id: str, last_seq: int, *, deleted: bool) -> bytes:
        """Write the `done` frame; its id is one that no event ever takes."""
        return sse.closing_frame("done", {"processId": run_id}, last_seq, deleted=deleted)


def told(batch: Batch, after: int) -> Iterator[sse.Named]:
    """Yield the messages about a run's events behind seq `after`, each with its name."""
    ref = speaker(batch)
    for event in batch.events(after):
        row = _ROWS.get(event.type)
        message = None if row is None else row(ref, event)
        if message is not None:
            yield message


def _newline(ref: RunRef) -> str:
    return "" if ref.source == "external" else "\n"


def _output(ref: RunRef, event: Event) -> sse.Named:
    newline = "" if event.data.get("partial") else _newline(ref)
    return "chunk", _chunk(event, newline)


def _line(_ref: RunRef, event: Event) -> sse.Named:
    return "chunk", _chunk(event, "\n")


def _chunk(event: Event, newline: str) -> dict[str, Any]:
    data: dict[str, Any] = {"content": line_of(event) + newline}
    if (blob := blob_of(event)) is not None:
        data["contentBlob"] = blob
    return data


def _ending(_ref: RunRef, event: Event) -> sse.Named | None:
    data = event.data
    if data["status"] not in TERMINAL:
        return None
    told = {name: data[name] for name in ("result", "error") if data.get(name) is not None}
    return "status", {"status": data["status"], **told, "duration": _duration(event)}


def _duration(event: Event) -> str:
    """Write how long the process ran; one that never started took no time."""
    started, ended = event.data.get("started_at"), event.data.get("ended_at")
    if started is None:
        return format_duration(0)
    until = event.time if ended is None else parse_time(ended)
    return format_duration((until - parse_time(started)) / 1e6)


_ROWS: sse.Rows = {
    "output": _output,
    "message": _line,
    "thought": _line,
    "tool_call": _line,
    "tool_result": _line,
    "error": _line,
    "status": _ending,
    "gap": sse.gap_row,
}
