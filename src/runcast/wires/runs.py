"""The native wire over SSE: `log`, `status`, every other event by its own name, then `end`."""

from runcast.core.events import Batch, Draft, Event, Lines, run_of
from runcast.core.times import format_time
from runcast.wires import Keep, Numbering, number_after, sse
from runcast.wires.jsontext import quote

_STATUS_FIELDS = ("status", "exit_code", "signal", "reason")
_OUTPUT_EXTRAS = frozenset({"partial", "raw"})


class RunsWire:
    """Writes a run's events, or those of all runs, as server-sent events."""

    media_type = sse.MEDIA_TYPE

    def __init__(self, keep: Keep, numbering: Numbering) -> None:
        self.key = None if keep.grep else ("runs", keep, numbering)
        self._keep = keep
        self._numbering = numbering

    def events(self, batch: Batch, after: int) -> bytes:
        """Write the events of the batch whose number is greater than `after`."""
        after_seq, offset = number_after(batch, after, self._numbering)
        if self._keep.everything and after_seq < batch.first_seq:
            return self._whole(batch, offset)
        run_id = run_of(batch.log) or batch.log
        kept = (event for event in batch.events(after_seq) if self._keep(event))
        return "".join(_frame(run_id, event, event.seq + offset) for event in kept).encode("ascii")

    def _whole(self, batch: Batch, offset: int) -> bytes:
        run_id = run_of(batch.log) or batch.log
        number = batch.first_seq + offset
        frames: list[str] = []
        for entry in batch.entries():
            if isinstance(entry, Draft):
                event = Event(number - offset, 0, entry.time, entry.type, entry.data)
                frames.append(_frame(run_id, event, number))
                number += 1
            else:
                frames.extend(_lines(run_id, entry, number))
                number += len(entry.texts)
        return "".join(frames).encode("ascii")

    def gap(self, after: int, first: int, reason: str) -> bytes:
        """Write the `gap` frame; its id is the number before `first`."""
        data = {"after": after, "first": first, "reason": reason}
        return sse.frame("gap", data, first - 1).encode("ascii")

    def closing(self, run_id: str, last_seq: int, *, deleted: bool) -> bytes:
        """Write the `end` frame; its id is one that no event ever takes."""
        data: dict[str, object] = {"run_id": run_id, "last_seq": last_seq}
        if deleted:
            data["deleted"] = True
        return sse.frame("end", data, last_seq + 1).encode("ascii")

    def heartbeat(self) -> bytes:
        """Write the `heartbeat` event, which has no id."""
        return sse.bare_frame("heartbeat", {})

    def comment(self) -> bytes:
        """Write a comment, which no client shows."""
        return sse.COMMENT

    def first(self, frames: bytes, retry_ms: int) -> bytes:
        """Put `retry:` into the first frame."""
        return sse.with_retry(frames, retry_ms)


def _lines(run_id: str, lines: Lines, number: int) -> list[str]:
    head = f'event: log\ndata: {{"run_id":{quote(run_id)},"stream":{quote(lines.stream)},"line":'
    tail = f',"timestamp":"{format_time(lines.time)}"}}\nid: '
    return [f"{head}{quote(text)}{tail}{n}\n\n" for n, text in enumerate(lines.texts, number)]


def _frame(run_id: str, event: Event, number: int) -> str:
    time = format_time(event.time)
    data = event.data
    if event.type == "output":
        shown = {"run_id": run_id, "stream": data["stream"], "line": data["text"]}
        rest = {name: value for name, value in data.items() if name in _OUTPUT_EXTRAS}
        return sse.frame("log", shown | {"timestamp": time} | rest, number)
    if event.type == "status":
        shown = {"run_id": run_id} | {name: data.get(name) for name in _STATUS_FIELDS}
        rest = {name: value for name, value in data.items() if name not in shown}
        return sse.frame("status", shown | rest | {"timestamp": time}, number)
    return sse.frame(event.type, {"run_id": run_id, **data, "timestamp": time}, number)
