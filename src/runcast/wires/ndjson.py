"""The native event, one JSON object a line, for programs that read without SSE."""

from runcast.core.events import Batch, Event, run_of
from runcast.core.times import format_time
from runcast.wires import Keep, Numbering, number_after
from runcast.wires.jsontext import dumps


class NdjsonWire:
    """Writes `{run_id, seq, position, time, type, data}` lines; resume with `after`."""

    media_type = "application/x-ndjson"

    def __init__(self, keep: Keep, numbering: Numbering) -> None:
        self.key = None if keep.grep else ("ndjson", keep, numbering)
        self._keep = keep
        self._numbering = numbering

    def events(self, batch: Batch, after: int) -> bytes:
        """Write the events of the batch whose number is greater than `after`."""
        after_seq, _ = number_after(batch, after, self._numbering)
        run_id = run_of(batch.log) or batch.log
        kept = (event for event in batch.events(after_seq) if self._keep(event))
        return "".join(_line(run_id, event) for event in kept).encode("ascii")

    def gap(self, after: int, first: int, reason: str) -> bytes:
        """Write a line that is no event: it has a type, but no seq."""
        data = {"after": after, "first": first, "reason": reason}
        return (dumps({"type": "gap", "data": data}) + "\n").encode("ascii")

    def closing(self, run_id: str, last_seq: int, *, deleted: bool) -> bytes:
        """Write the line that ends the stream: it has a type, but no seq."""
        data = {"run_id": run_id, "last_seq": last_seq, "deleted": deleted}
        return (dumps({"type": "end", "data": data}) + "\n").encode("ascii")

    def heartbeat(self) -> bytes:
        """Write an empty line."""
        return b"\n"

    def comment(self) -> bytes:
        """Write an empty line."""
        return b"\n"

    def first(self, frames: bytes, retry_ms: int) -> bytes:  # noqa: ARG002 - SSE only
        """Return the frames: there is no reconnection delay here."""
        return frames


def _line(run_id: str, event: Event) -> str:
    shown = {
        "run_id": run_id,
        "seq": event.seq,
        "position": event.position,
        "time": format_time(event.time),
        "type": event.type,
        "data": event.data,
    }
    return dumps(shown) + "\n"
