"""Events: unnumbered drafts, the numbered events they become, and the batches that hold them."""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from runcast.core.runs import RunRef

Data = dict[str, Any]

# Every event type, and what its data says. The reference page is made from this table.
EVENT_TYPES: dict[str, str] = {
    "output": "Text of stdout or stderr: stream, text, partial?, raw? (base64 if not UTF-8).",
    "thought": "What an agent thinks: text.",
    "message": "What an agent or user says: role, text.",
    "delta": "A piece of a message in the making: kind, message_id, text.",
    "tool_call": "An agent starts a tool: tool_call_id, tool, input.",
    "tool_result": "The tool's answer: tool_call_id, tool? (if the call was seen), ok, content, "
    "size, duration_ms.",
    "file_changed": "A file was changed: path, action, size?.",
    "progress": "How far a run is: percentage?, phase, tool_calls, elapsed_s.",
    "usage": "What a model call cost: input_tokens, output_tokens, cost_usd?.",
    "approval": "A question to a person: id, tool, input, state.",
    "input": "Text that was sent to the run: text.",
    "status": "A change of status: status, reason, exit_code, signal, result, started_at?, "
    "ended_at?, killed?, leftovers?, lost_bytes?, error?.",
    "gap": "Something is missing here: reason, bytes?.",
    "error": "Something went wrong: message, source.",
    "custom": "Anything else: name, value.",
}

LIFECYCLE = "lifecycle"
MESSAGES = "messages"
_RUN = "run:"


def run_log(run_id: str) -> str:
    """Name the log of a run."""
    return _RUN + run_id


def run_of(log: str) -> str | None:
    """Return the id of the run whose log this is; None for the logs that belong to no run."""
    return log[len(_RUN) :] if log.startswith(_RUN) else None


def text_of(data: Data) -> str:
    """Return what an event says: its `text`, or every text that its data has, a line for each.

    Names of fields, numbers and the like are no texts. So whatever can be found in a line of it
    stands in the event's encoded form as it is.
    """
    text = data.get("text")
    return text if isinstance(text, str) else "\n".join(_texts(data))


def _texts(data: Data) -> Iterator[str]:
    waiting: list[Any] = [data]  # a stack of our own: clients may nest deeper than Python's allows
    while waiting:
        match waiting.pop():
            case str() as text:
                yield text
            case dict() as fields:
                waiting.extend(reversed(fields.values()))
            case list() as items:
                waiting.extend(reversed(items))


class Draft(msgspec.Struct, frozen=True, array_like=True, tag_field="kind", tag=0):
    """One event that has no number yet; `time` is µs since the epoch."""

    time: int
    type: str
    data: Data


class Lines(msgspec.Struct, frozen=True, array_like=True, tag_field="kind", tag=1):
    """One `output` draft per text, all of one time and one stream.

    A command that prints fast yields thousands of lines that differ only in their text; kept
    together they are stored, cached and encoded without a Python object for each.
    """

    time: int
    stream: str
    texts: list[str]


Entry = Draft | Lines


class Event(msgspec.Struct, frozen=True):
    """A numbered, committed event: `seq` within its log, `position` over all logs of a store."""

    seq: int
    position: int
    time: int
    type: str
    data: Data


_decode_entries = msgspec.msgpack.Decoder(list[Entry]).decode
encode_entries = msgspec.msgpack.Encoder().encode


# Types that a reader wants to know of at once; so is whatever was written to stderr.
URGENT = frozenset({"error", "approval", "status", "gap"})


def is_urgent(entry: Entry) -> bool:
    """Tell whether an entry should wake readers at once."""
    if isinstance(entry, Lines):
        return entry.stream == "stderr"
    return entry.type in URGENT or (entry.type == "output" and entry.data.get("stream") == "stderr")


def count_events(entries: Sequence[Entry]) -> int:
    """Count the events that these entries stand for."""
    return len(entries) + sum([len(entry.texts) - 1 for entry in entries if type(entry) is Lines])


class Batch:
    """Consecutive events of one log that were committed together; immutable.

    `body` is the MessagePack array of its entries. `ref` tells of the run in whose log they are;
    None for the logs that belong to no run. `urgent` says that readers should be woken at once;
    only batches that were committed a moment ago say so, those read back never do. `memo` holds
    values derived from the batch (an encoding for some wire), kept with it so that all who share
    the batch share them.
    """

    __slots__ = ("body", "count", "first_position", "first_seq", "log", "memo", "ref", "urgent")

    def __init__(
        self,
        log: str,
        first_seq: int,
        first_position: int,
        count: int,
        body: bytes,
        ref: RunRef | None = None,
        *,
        urgent: bool = False,
    ) -> None:
        self.log = log
        self.first_seq = first_seq
        self.first_position = first_position
        self.count = count
        self.body = body
        self.ref = ref
        self.urgent = urgent
        self.memo: dict[Any, bytes] = {}

    @property
    def last_seq(self) -> int:
        """The seq of the last event."""
        return self.first_seq + self.count - 1

    @property
    def last_position(self) -> int:
        """The position of the last event: positions in a batch have no gaps."""
        return self.first_position + self.count - 1

    def entries(self) -> list[Entry]:
        """Decode the entries, in order."""
        return _decode_entries(self.body)

    def events(self, after: int = 0) -> Iterator[Event]:
        """Yield the events whose seq is greater than `after`, in order."""
        offset = self.first_position - self.first_seq
        seq = self.first_seq
        for entry in self.entries():
            if isinstance(entry, Draft):
                if seq > after:
                    yield Event(seq, seq + offset, entry.time, entry.type, entry.data)
                seq += 1
                continue
            for text in entry.texts:
                if seq > after:
                    data = {"stream": entry.stream, "text": text}
                    yield Event(seq, seq + offset, entry.time, "output", data)
                seq += 1

    def __repr__(self) -> str:
        return f"Batch({self.log} {self.first_seq}..{self.last_seq} @{self.first_position})"
