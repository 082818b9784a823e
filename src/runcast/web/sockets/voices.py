"""Voices: how a subscription's events become messages, one JSON text each."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol

from runcast.core.events import Batch, Event, Lines
from runcast.core.processes import lifecycle_message
from runcast.core.runs import RunRef
from runcast.core.times import format_time
from runcast.wires import WIRES, Keep, Place, new_wire, number_after, speaker, write
from runcast.wires.activity import Include, joined, message
from runcast.wires.envelopes import envelope_texts
from runcast.wires.jsontext import dumps, quote
from runcast.wires.sse import MEDIA_TYPE

ACTIVITY = "activity"
NATIVE = "native"
ENVELOPES = "envelopes"


class Voice(Protocol):
    """Writes events of one format, with one choice among them.

    Two voices of one format write an event alike, if at all; those of one `key` write the same.
    A voice that `joins` may make one message of neighbours.
    """

    format: str
    key: object
    joins: bool

    def wants(self, event: Event) -> bool:
        """Tell whether an event is among those chosen."""

    def texts(self, batches: Sequence[Batch], after: int) -> Iterable[str]:
        """Write what is chosen of the events behind position `after`, in order."""


class ActivityVoice:
    """What agents do, neighbouring output joined."""

    format = ACTIVITY
    joins = True

    def __init__(self, include: Include, keep: Keep) -> None:
        self.key: object = (ACTIVITY, include, keep)
        self._include = include
        self._keep = keep

    def wants(self, event: Event) -> bool:
        """Tell whether its type is chosen and told."""
        return self._keep(event) and message(event, "", "", self._include) is not None

    def texts(self, batches: Sequence[Batch], after: int) -> Iterable[str]:
        """Write the messages, joined over all the batches."""
        return map(dumps, joined(self._messages(batches, after)))

    def _messages(self, batches: Sequence[Batch], after: int) -> Iterator[dict[str, Any]]:
        for batch in batches:
            ref = speaker(batch)
            for event in filter(self._keep, events_after(batch, after)):
                if (told := message(event, ref.task_id, ref.id, self._include)) is not None:
                    yield told


class NativeVoice:
    """The event itself, with the id of its run."""

    format = NATIVE
    joins = False

    def __init__(self, keep: Keep) -> None:
        self.key: object = (NATIVE, keep)
        self._keep = keep
        lines_pass = not keep.types or "output" in keep.types
        self._looks_at_lines = keep != Keep(keep.types) or not lines_pass

    def wants(self, event: Event) -> bool:
        """Tell whether its type is chosen."""
        return self._keep(event)

    def texts(self, batches: Sequence[Batch], after: int) -> Iterable[str]:
        """Write the events."""
        for batch in batches:
            if self._looks_at_lines:
                run_id = speaker(batch).id
                for event in filter(self._keep, events_after(batch, after)):
                    yield _native(run_id, event)
            else:
                yield from filter(None, write(batch, after, "position", _native_lines, self._one))

    def _one(self, ref: RunRef, event: Event, _number: int) -> str:
        return _native(ref.id, event) if self._keep(event) else ""


class EnvelopeVoice:
    """The event as an envelope, or the envelope as which it came; those of no type are left out."""

    format = ENVELOPES
    key: object = ENVELOPES
    joins = False

    def wants(self, event: Event) -> bool:  # noqa: ARG002 - there is no choice
        """Every event is chosen."""
        return True

    def texts(self, batches: Sequence[Batch], after: int) -> Iterable[str]:
        """Write the envelopes."""
        for batch in batches:
            yield from envelope_texts(batch, after)


class WireVoice:
    """What any wire writes for its streams, one message for each of its frames."""

    joins = False

    def __init__(self, name: str, keep: Keep) -> None:
        self.format = name
        self.key: object = (name, keep)
        self._keep = keep
        self._wire = new_wire(name, keep, "position")
        self._split = _SPLIT[self._wire.media_type]

    def wants(self, event: Event) -> bool:
        """Tell whether its type is chosen."""
        return self._keep(event)

    def texts(self, batches: Sequence[Batch], after: int) -> Iterable[str]:
        """Write the frames."""
        for batch in batches:
            yield from self._split(self._wire.events(batch, after).decode())


class LifecycleVoice:
    """Changes of runs, of all workspaces or one."""

    format = "lifecycle"
    joins = False

    def __init__(self, workspace_id: str | None) -> None:
        self.key: object = ("lifecycle", workspace_id)
        self._workspace_id = workspace_id

    def wants(self, event: Event) -> bool:
        """Tell whether it is a change in the chosen workspace."""
        return self._message(event) is not None

    def texts(self, batches: Sequence[Batch], after: int) -> Iterable[str]:
        """Write the changes."""
        for batch in batches:
            for told in map(self._message, events_after(batch, after)):
                if told is not None:
                    yield dumps(told)

    def _message(self, event: Event) -> dict[str, Any] | None:
        told = lifecycle_message(event)
        if told is None or self._workspace_id in (None, told["process"]["workspaceId"]):
            return told
        return None


# Formats with a way of their own over a socket; the others are wires.
_OWN: dict[str, Callable[[Include, Keep], Voice]] = {
    ACTIVITY: ActivityVoice,
    NATIVE: lambda _include, keep: NativeVoice(keep),
}
FORMATS: tuple[str, ...] = tuple(dict.fromkeys([*_OWN, *WIRES]))


def new_voice(name: str, include: Include, keep: Keep) -> Voice:
    """Make a voice of one of the FORMATS."""
    own = _OWN.get(name)
    return WireVoice(name, keep) if own is None else own(include, keep)


def events_after(batch: Batch, position: int) -> Iterator[Event]:
    """Yield a batch's events behind a position, in order."""
    return batch.events(number_after(batch, position, "position")[0])


def _native(run_id: str, event: Event) -> str:
    return dumps(
        {
            "runId": run_id,
            "seq": event.seq,
            "position": event.position,
            "time": format_time(event.time),
            "type": event.type,
            "data": event.data,
        }
    )


def _native_lines(ref: RunRef, lines: Lines, place: Place) -> Iterator[str]:
    """Write lines as `_native` would write each of them, without an object for each."""
    head = f'{{"runId":{quote(ref.id)},"seq":'
    middle = (
        f',"time":"{format_time(lines.time)}","type":"output",'
        f'"data":{{"stream":{quote(lines.stream)},"text":'
    )
    ahead = place.position - place.seq
    for seq, text in enumerate(lines.texts, place.seq):
        yield f'{head}{seq},"position":{seq + ahead}{middle}{quote(text)}}}}}'


def _sse(text: str) -> Iterator[str]:
    """Show each server-sent event as JSON; one without a name is its data."""
    for block in text.split("\n\n")[:-1]:
        fields = dict(line.split(": ", 1) for line in block.split("\n"))
        if "event" not in fields:
            yield fields["data"]
            continue
        head = json.dumps(fields["event"])
        yield f'{{"event":{head},"data":{fields["data"]},"id":{fields["id"]}}}'


_SPLIT: dict[str, Callable[[str], Iterable[str]]] = {
    MEDIA_TYPE: _sse,
    "application/x-ndjson": str.splitlines,
}
