"""Whether what a client got over a wire is the whole log, each event once, in order: pure.

Nothing is shared with the wires themselves: what they must say is a table of its own.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from tests.clients.wires_table import WIRES, Json, Said, Wire, kind
from tests.support.sse import Frame


class Log(NamedTuple):
    """A run, its `type` as a process, and its events, as the API shows them."""

    run: Json
    events: Sequence[Json]


class Told(NamedTuple):
    """One message as a client got it; `message` is the name of those that have none."""

    name: str
    data: Json
    id: int | None = None


def fault(wire: str, log: Log, told: Sequence[Told]) -> str:
    """Return what is wrong with the messages that a client got of a whole log; empty if nothing."""
    due = list(_due(WIRES[wire], log))
    for message in told:
        count = _covered(message, due)
        wanted, due = due[:count], due[count:]
        if not wanted:
            return f"nothing is due, but there is {message}"
        if problem := _difference(_joined(wanted), message):
            return f"{problem} in {message}"
    return f"missing: {due[0]}, and {len(due) - 1} more" if due else ""


class _Due(NamedTuple):
    name: str
    data: Json
    id: int | None
    seq: int
    exact: bool = False


def _due(wire: Wire, log: Log) -> Iterator[_Due]:
    # Of a run that only envelopes made, its agent says how it ended.
    speaks_for_itself = any(wire.verbatim in event["data"] for event in log.events)
    for event in log.events:
        number = event[wire.number] if wire.number else None
        if wire.verbatim in event["data"]:
            yield _Due("message", event["data"][wire.verbatim], number, event["seq"], exact=True)
        elif speaks_for_itself and event["type"] == "status":
            continue
        elif (row := wire.rows.get(kind(event))) is not None:
            data = _filled({**wire.always, **row.fields}, Said(event, log.run))
            yield _Due(row.name, data, number, event["seq"])
    if wire.closing is not None:
        last = log.events[-1]
        data = _filled(wire.closing.fields, Said(last, log.run))
        yield _Due(wire.closing.name, data, last["seq"] + 1, last["seq"] + 1)


def _filled(fields: Mapping[str, Any], said: Said) -> Json:
    return {name: _value(wanted, said) for name, wanted in fields.items()}


def _value(wanted: Any, said: Said) -> Any:
    if isinstance(wanted, dict):
        return _filled(wanted, said)
    return wanted(said) if callable(wanted) else wanted


def _covered(message: Told, due: Sequence[_Due]) -> int:
    """Count the events that a message is of: one, or those that were joined in it."""
    if "firstSeq" not in message.data:
        return 1
    seqs = [one.seq for one in due if one.seq <= message.data["seq"]]
    return len(seqs) if seqs and seqs[0] == message.data["firstSeq"] else 0


def _joined(due: Sequence[_Due]) -> _Due:
    last = due[-1]
    if len(due) == 1:
        return last
    texts = [one.data["content"] + ("" if one.data["partial"] else "\n") for one in due[:-1]]
    return last._replace(data=last.data | {"content": "".join(texts) + last.data["content"]})


def _difference(due: _Due, message: Told) -> str:
    if (due.name, due.id) != (message.name, message.id):
        return f"{due.name} {due.id} is due: not {message.name} {message.id}"
    if due.exact and due.data != message.data:
        return f"{due.data} is due, just so"
    return _unlike(due.data, message.data)


def _unlike(due: Json, data: Json) -> str:
    """Name the first field that is not as it should be; a field that should be null may be none."""
    for name, wanted in due.items():
        found = data.get(name)
        if isinstance(wanted, dict) and isinstance(found, dict):
            if problem := _unlike(wanted, found):
                return f"{name}.{problem}"
        elif found != wanted:
            return f"{name} is {found!r}, not {wanted!r}"
    return ""


def told_by(frame: Frame) -> Told:
    """Show a server-sent event as what it tells."""
    return Told(frame.event, frame.data, frame.id)
