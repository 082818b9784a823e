"""What an outbox keeps, named as the clients' methods: the call, and which process it is about."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Generic, NamedTuple, TypeVar, Unpack

import msgspec

from runcast.client import calls, specs
from runcast.client.call import Call
from runcast.client.errors import unsendable
from runcast.core.errors import BadRequest
from runcast.core.ids import check_id, folded, uuid7
from runcast.core.limits import MESSAGE_BYTES, METADATA_BYTES
from runcast.core.runs import STATUSES

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
    _check("submit", status=status, start_time=start_time, **known)
    call = calls.submit(prompt_preview, status, start_time, **known)
    return Draft("submit", folded(process_id), call, process_id)


def update(process_id: str, **change: Unpack[specs.Change]) -> Draft[None]:
    """Keep what has changed of a process, and nothing else of it."""
    _check("update", **change)
    return Draft("update", folded(process_id), calls.update(process_id, **change), None)


def remove(process_id: str) -> Draft[None]:
    """Keep the wish that a process be removed; it is well if there is none."""
    return Draft("remove", folded(process_id), calls.remove(process_id), None)


def emit_output(process_id: str, content: str) -> Draft[None]:
    """Keep what a process has printed, cut wherever you like."""
    return Draft("output", folded(process_id), calls.emit_output(process_id, content), None)


def post_message(body: str, **about: Unpack[specs.About]) -> Draft[None]:
    """Keep a message to everybody who follows the bus."""
    _check("message", body=body, **about)
    return Draft("message", None, calls.post_message(body, **about), None)


def _check(kind: str, **fields: Any) -> None:
    """Raise BadRequest for what no server would ever take, as far as that is cheap to see."""
    for name, value in fields.items():
        if value is not None and (fault := _fault(name, value)):
            raise unsendable(f"{kind}: {name} {fault}")


def _fault(name: str, value: Any) -> str:
    try:
        return _FAULTS[name](value) if name in _FAULTS else ""
    except UnicodeEncodeError as error:
        return str(error)


def _fault_of_id(text: str) -> str:
    try:
        check_id(text, "")
    except BadRequest as error:
        return error.message.strip()
    return ""


def _fault_of_status(status: str) -> str:
    return "" if status in STATUSES else f"must be one of {', '.join(STATUSES)}, not {status!r}"


def _fault_of_time(moment: datetime) -> str:
    return "" if moment.tzinfo else "needs a time zone, such as datetime.UTC"


def _fault_of_metadata(metadata: Any) -> str:
    return _fault_of_size(msgspec.json.encode(metadata), METADATA_BYTES)


def _fault_of_body(body: str) -> str:
    return _fault_of_size(body.encode(), MESSAGE_BYTES) if body else "is empty"


def _fault_of_size(encoded: bytes, most: int) -> str:
    return "" if len(encoded) <= most else f"has {len(encoded)} bytes, which is more than {most}"


_FAULTS: dict[str, Callable[[Any], str]] = {
    "id": _fault_of_id,
    "workspace_id": _fault_of_id,
    "project_id": _fault_of_id,
    "task_id": _fault_of_id,
    "run_id": _fault_of_id,
    "status": _fault_of_status,
    "start_time": _fault_of_time,
    "end_time": _fault_of_time,
    "metadata": _fault_of_metadata,
    "body": _fault_of_body,
}
