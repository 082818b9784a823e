"""What an outbox keeps, named as the clients' methods: the call, and which process it is about."""

from datetime import datetime
from typing import Any, Generic, NamedTuple, TypeVar, Unpack

from runcast.client import calls, specs
from runcast.client.call import Call
from runcast.core.ids import folded, uuid7

T = TypeVar("T")


class Draft(NamedTuple, Generic[T]):
    """A call to be made later; `result` is what can be said at once, without its answer."""

    kind: str
    process: str | None
    call: Call[Any]
    result: T


def submit(
    prompt_preview: str,
    status: str = "running",
    start_time: datetime | None = None,
    **known: Unpack[specs.Report],
) -> Draft[str]:
    """Keep the report of a process that this program executes; return its id.

    The id is made here unless it is given, so that what follows can name it. Its start is now
    unless given.
    """
    process_id = known.setdefault("id", uuid7())
    call = calls.submit(prompt_preview, status, start_time, **known)
    return Draft("submit", folded(process_id), call, process_id)


def update(process_id: str, **change: Unpack[specs.Change]) -> Draft[None]:
    """Keep what has changed of a process, and nothing else of it."""
    return Draft("update", folded(process_id), calls.update(process_id, **change), None)


def remove(process_id: str) -> Draft[None]:
    """Keep the wish that a process be removed; it is well if there is none."""
    return Draft("remove", folded(process_id), calls.remove(process_id), None)


def emit_output(process_id: str, content: str) -> Draft[None]:
    """Keep what a process has printed, cut wherever you like."""
    return Draft("output", folded(process_id), calls.emit_output(process_id, content), None)


def post_message(body: str, **about: Unpack[specs.About]) -> Draft[None]:
    """Keep a message to everybody who follows the bus."""
    return Draft("message", None, calls.post_message(body, **about), None)
