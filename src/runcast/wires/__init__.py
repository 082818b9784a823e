"""Wires: how events are written for one kind of client. Pure; nothing below knows of them."""

from collections.abc import Callable, Collection, Iterable
from importlib import import_module
from typing import Any, Literal, NamedTuple, Protocol

import msgspec

from runcast.core.events import Batch, Draft, Event, Lines, run_of, text_of
from runcast.core.runs import RunRef

# Name of a wire (`?format=`) -> "module:class".
WIRES: dict[str, str] = {
    "runs": "runcast.wires.runs:RunsWire",
    "ndjson": "runcast.wires.ndjson:NdjsonWire",
    "envelopes": "runcast.wires.envelopes:EnvelopesWire",
    "jobs": "runcast.wires.jobs:JobsWire",
    "processes": "runcast.wires.processes:ProcessesWire",
    "activity": "runcast.wires.activity:ActivityWire",
}

Numbering = Literal["seq", "position"]


class Keep(msgspec.Struct, frozen=True):
    """Which events a client wants; empty sets and texts let everything pass."""

    types: frozenset[str] = frozenset()
    streams: frozenset[str] = frozenset()
    grep: str = ""

    @property
    def everything(self) -> bool:
        """Whether nothing is filtered."""
        return not (self.types or self.streams or self.grep)

    def __call__(self, event: Event) -> bool:
        """Tell whether the event passes."""
        if self.types and event.type not in self.types:
            return False
        if self.streams and event.type == "output" and stream_of(event.data) not in self.streams:
            return False
        return not self.grep or self.grep in text_of(event.data)


def stream_of(data: dict[str, Any]) -> str:
    """Return the stream that output is from; what a client reported may name any, or none."""
    return "stderr" if data.get("stream") == "stderr" else "stdout"


class Wire(Protocol):
    """Writes events for one kind of client.

    Every method returns whole frames: what a client may be cut between, and resume from. The
    number of a frame is the event's seq or position, as `numbering` says.
    """

    media_type: str
    key: object | None  # equal keys write equal bytes; None: too special to be shared

    def events(self, batch: Batch, after: int) -> bytes:
        """Write the events of the batch whose number is greater than `after`."""

    def gap(self, after: int, first: int, reason: str) -> bytes:
        """Say that what lay between `after` and `first` is gone."""

    def closing(self, run_id: str, last_seq: int, *, deleted: bool) -> bytes:
        """Say that the run's log is complete."""

    def heartbeat(self) -> bytes:
        """Write what keeps a client's own timer from firing."""

    def comment(self) -> bytes:
        """Write what keeps a proxy from cutting an idle connection."""

    def first(self, frames: bytes, retry_ms: int) -> bytes:
        """Put the reconnection delay into the first frame of a connection."""


def new_wire(name: str, keep: Keep, numbering: Numbering) -> Wire:
    """Make a wire; KeyError if there is none of this name."""
    module, _, cls = WIRES[name].partition(":")
    wire: Wire = getattr(import_module(module), cls)(keep, numbering)
    return wire


def number_after(batch: Batch, after: int, numbering: Numbering) -> tuple[int, int]:
    """Return (after as a seq of this batch, what to add to a seq to get its number)."""
    offset = 0 if numbering == "seq" else batch.first_position - batch.first_seq
    return after - offset, offset


class Place(NamedTuple):
    """Where an entry begins: the seq, position and number of its first event."""

    seq: int
    position: int
    number: int


def write(
    batch: Batch,
    after: int,
    numbering: Numbering,
    lines: Callable[[RunRef, Lines, Place], Iterable[str]],
    event: Callable[[RunRef, Event, int], str],
) -> list[str]:
    """Write what is numbered above `after`, entry by entry: lines stay together, and fast."""
    after_seq, offset = number_after(batch, after, numbering)
    ahead = batch.first_position - batch.first_seq
    ref = speaker(batch)
    written: list[str] = []
    seq = batch.first_seq
    for entry in batch.entries():
        if isinstance(entry, Draft):
            if seq > after_seq:
                one = Event(seq, seq + ahead, entry.time, entry.type, entry.data)
                written.append(event(ref, one, seq + offset))
            seq += 1
            continue
        fresh, begin = entry, seq
        seq += len(entry.texts)
        if begin <= after_seq:
            fresh = Lines(entry.time, entry.stream, entry.texts[after_seq + 1 - begin :])
            begin = after_seq + 1
        written.extend(lines(ref, fresh, Place(begin, begin + ahead, begin + offset)))
    return written


def speaker(batch: Batch) -> RunRef:
    """Return whose log a batch is from; a log of no run speaks under its own name."""
    if batch.ref is not None:
        return batch.ref
    name = run_of(batch.log) or batch.log
    return RunRef(name, name, "default", "command", "run")


def split_names(text: str | None) -> Collection[str]:
    """Split a comma-separated query value."""
    return [name for name in (text or "").split(",") if name]
