"""Envelopes, the form in which other programs report agents: what a valid one is and says."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from runcast.core.errors import BadRequest
from runcast.core.events import Data
from runcast.core.ids import check_id
from runcast.core.limits import MAX_POSITION

# What the runs are called (`Run.kind`) that exist only because envelopes came in.
ENVELOPE_KIND = "envelope"

_Name = Annotated[str, Meta(min_length=1)]


class _Envelope(msgspec.Struct, frozen=True, rename="camel", tag_field="type", kw_only=True):
    task_id: str
    agent_id: _Name
    sequence_number: Annotated[int, Meta(ge=0, le=MAX_POSITION)]
    timestamp: Annotated[datetime, Meta(tz=True)]


class ThoughtPayload(msgspec.Struct, frozen=True):
    """What an agent thinks."""

    content: str
    reasoning_chain: list[Any] | str | None = None


class ActionPayload(msgspec.Struct, frozen=True):
    """The use of a tool: its start, or how it went."""

    tool: _Name
    args: dict[str, Any]
    status: Literal["invoking", "success", "error"]


class ObservationPayload(msgspec.Struct, frozen=True):
    """What was seen: the output of a stream or tool, or an error."""

    content: str
    source: _Name
    ok: Any = True


class Thought(_Envelope, frozen=True, tag="thought"):
    """An envelope of type `thought`."""

    payload: ThoughtPayload


class Action(_Envelope, frozen=True, tag="action"):
    """An envelope of type `action`."""

    payload: ActionPayload


class Observation(_Envelope, frozen=True, tag="observation"):
    """An envelope of type `observation`."""

    payload: ObservationPayload


Envelope = Thought | Action | Observation
_CLASSES: dict[str, type[Envelope]] = {
    "thought": Thought,
    "action": Action,
    "observation": Observation,
}


def read_envelope(value: object) -> Envelope:
    """Read a decoded envelope; raise BadRequest naming the field that is wrong.

    Fields that are not known are let through: an envelope goes out as it came in.
    """
    kind = value.get("type") if isinstance(value, dict) else None
    found = _CLASSES.get(kind) if isinstance(kind, str) else None
    if found is None:
        raise BadRequest("bad_request", f"an envelope's type must be one of {', '.join(_CLASSES)}")
    try:
        # A union would be compiled anew for each envelope; a class is compiled once.
        envelope = msgspec.convert(value, found)
    except msgspec.ValidationError as error:
        raise BadRequest("bad_request", f"this is no envelope: {error}") from None
    check_id(envelope.task_id, "taskId")
    return envelope


def event_of(envelope: Envelope) -> tuple[str, Data]:
    """Return the type and data of the event that an envelope becomes.

    A `tool_call` and a `tool_result` name their `tool` and lack a `tool_call_id`: which call an
    answer belongs to, only who has read the earlier ones knows.
    """
    match envelope:
        case Thought(payload=said):
            return "thought", {"text": said.content}
        case Action(payload=done):
            return _action(done)
        case Observation(payload=seen):
            return _observation(seen, envelope.agent_id)


def _action(done: ActionPayload) -> tuple[str, Data]:
    if done.status == "invoking":
        return "tool_call", {"tool": done.tool, "input": done.args}
    return "tool_result", {"tool": done.tool, "ok": done.status == "success", "content": ""}


def _observation(seen: ObservationPayload, agent_id: str) -> tuple[str, Data]:
    match seen.source:
        case "stdout" | "stderr" as stream:
            return "output", {"stream": stream, "text": seen.content}
        case "error":
            return "error", {"message": seen.content, "source": agent_id}
        case tool:
            ok = seen.ok is not False
            return "tool_result", {"tool": tool, "ok": ok, "content": seen.content}
