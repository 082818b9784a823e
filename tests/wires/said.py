"""Batches to write, and frames as a client reads them."""

import json
from typing import Any, NamedTuple

from runcast.core.events import Batch, Draft, Entry, count_events, encode_entries
from runcast.core.runs import RunRef
from runcast.wires import Keep, new_wire

TIME = 1_795_251_450_123_456
STAMP = "2026-11-21T08:57:30.123Z"
REF = RunRef("r", "t", "w", "claude", "run")


class Frame(NamedTuple):
    """One server-sent event; `event` is empty if it has no name."""

    event: str
    data: Any
    id: int | None


def batch_of(
    made: list[Entry], first_seq: int = 1, first_position: int = 1, ref: RunRef | None = REF
) -> Batch:
    count = count_events(made)
    return Batch("run:r", first_seq, first_position, count, encode_entries(made), ref)


def sse_frames(written: bytes) -> list[Frame]:
    """Read frames strictly: event (if any), data, id (if any), in this order, and nothing else."""
    text = written.decode("ascii")
    assert "\r" not in text
    assert not text or text.endswith("\n\n")
    frames = []
    for block in text.split("\n\n")[:-1]:
        fields = [line.partition(": ") for line in block.split("\n")]
        names = [name for name, _, _ in fields]
        assert names == [name for name in ("event", "data", "id") if name in names]
        found = {name: value for name, _, value in fields}
        number = int(found["id"]) if "id" in found else None
        frames.append(Frame(found.get("event", ""), json.loads(found["data"]), number))
    return frames


def ndjson_frames(written: bytes) -> list[Frame]:
    shown = [json.loads(line) for line in written.decode("ascii").splitlines()]
    return [Frame(one["type"], one["data"], one.get("seq")) for one in shown]


def frames_of(name: str, written: bytes) -> list[Frame]:
    return ndjson_frames(written) if name == "ndjson" else sse_frames(written)


def written(name: str, *made: Entry, ref: RunRef = REF, keep: Keep | None = None) -> list[Frame]:
    """Write entries, from seq 7 and position 70 on, with ids that are seqs."""
    batch = batch_of(list(made), 7, 70, ref)
    return frames_of(name, new_wire(name, keep or Keep(), "seq").events(batch, 0))


def draft(type_: str, **data: Any) -> Draft:
    return Draft(TIME, type_, data)


def status(name: str, reason: str | None = None, **more: Any) -> Draft:
    fields = {"reason": reason, "exit_code": None, "signal": None, "result": None}
    return draft("status", status=name, **(fields | more))
