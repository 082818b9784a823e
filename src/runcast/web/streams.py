"""The routes of event streams: where a client begins, and what it is told before it does."""

from collections import deque
from collections.abc import Collection
from typing import Annotated

from fastapi import APIRouter, Header, Query
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from runcast.core.cursor import parse_cursor
from runcast.core.errors import BadRequest, Gone
from runcast.core.events import EVENT_TYPES, run_log
from runcast.core.limits import READ_BYTES
from runcast.runtime.follow import Follower
from runcast.runtime.runtime import Runtime
from runcast.runtime.submit import DEFAULT_WORKSPACE
from runcast.stores import Store
from runcast.web.routes import AnyRuntime, RunId, problems
from runcast.web.sse import DrainingNotice, EventStream, Streams
from runcast.wires import WIRES, Keep, Numbering, Wire, new_wire, split_names

router = APIRouter(tags=["streams"])

MAX_TAIL = 1_000_000
STREAMS = ("stdout", "stderr")
ALIASES = {"log": "output"}  # as the native wire calls it

LastEventId = Annotated[str | None, Header(description="The id of the last event received.")]


class StreamQuery(BaseModel):
    """What every stream takes."""

    after: str | None = Field(None, description="Cursor: a number, or `now`.")
    types: str | None = Field(None, description="Event types, comma-separated; else all.")
    streams: str | None = Field(None, description="`stdout` or `stderr`; else both.")
    grep: str = Field("", description="Only events whose text contains this.")
    format: str = Field("runs", description=f"A wire: {', '.join(WIRES)}.")

    def wire(self, numbering: Numbering) -> Wire:
        """Make the wire that writes what is asked for; raise BadRequest."""
        if self.format not in WIRES:
            raise _unknown("format", self.format, WIRES)
        return new_wire(self.format, self.keep(), numbering)

    def keep(self) -> Keep:
        """Make the filter; raise BadRequest for a name that is none."""
        types = _names("types", self.types, EVENT_TYPES)
        return Keep(types, _names("streams", self.streams, STREAMS), self.grep)


class RunStreamQuery(StreamQuery):
    """What the stream of one run takes."""

    tail: int | None = Field(None, ge=0, le=MAX_TAIL, description="Begin at the last n events.")


class AllStreamQuery(StreamQuery):
    """What the stream of all runs takes."""

    workspace: str = Field(DEFAULT_WORKSPACE, description="Only runs of this workspace.")
    strict: bool = Field(False, description="Answer 410 instead of beginning with `gap`.")


@router.get(
    "/api/v1/runs/stream/all",
    response_class=Response,
    response_description="The stream.",
    responses=problems(400, 410),
)
async def stream_all(
    request: Request,
    runtime: AnyRuntime,
    query: Annotated[AllStreamQuery, Query()],
    last_event_id: LastEventId = None,
) -> Response:
    """Stream the events of every run, new ones at once; ids are positions. It never ends."""
    wire = query.wire("position")
    if query.workspace != DEFAULT_WORKSPACE:
        raise _unknown("workspace", query.workspace, [DEFAULT_WORKSPACE])
    cursor = _cursor(query.after, last_event_id)
    if runtime.draining:
        return DrainingNotice(wire.media_type)
    positions = await runtime.store.positions()
    start = positions.head if cursor is None else cursor
    if start > positions.head:
        raise _ahead(positions.head)
    opening = (b"", 0)
    if start < positions.floor:
        first = await _first_position(runtime.store, start, positions.head)
        if query.strict:
            gap = {"after": start, "first": first, "reason": "retention"}
            raise Gone("gap", f"events after {start} have been removed", gap)
        opening = (wire.gap(start, first, "retention"), positions.floor)
        start = first - 1
    follower = runtime.logs.follow_all(start)
    return EventStream(runtime, _open_streams(request), follower, wire, None, opening)


@router.get(
    "/api/v1/runs/{run_id}/stream",
    response_class=Response,
    response_description="The stream.",
    responses=problems(400, 404, 410) | {204: {"description": "Nothing more will ever come."}},
)
async def stream_run(
    request: Request,
    runtime: AnyRuntime,
    run_id: RunId,
    query: Annotated[RunStreamQuery, Query()],
    last_event_id: LastEventId = None,
) -> Response:
    """Stream a run's events from the first, or after a cursor; `end` closes the stream."""
    wire = query.wire("seq")
    if runtime.draining:
        return DrainingNotice(wire.media_type)
    streams = _open_streams(request)
    streams.reserve(run_id)
    try:
        follower = await _begin(runtime, run_id, query, last_event_id)
    except BaseException:
        streams.release(run_id)
        raise
    if follower.cursor > follower.track.head:
        # It has the closing frame, too: 204 is what stops an EventSource.
        follower.close()
        streams.release(run_id)
        return Response(status_code=204)
    return EventStream(runtime, streams, follower, wire, run_id)


async def _begin(
    runtime: Runtime, run_id: str, query: RunStreamQuery, last_event_id: str | None
) -> Follower:
    """Follow a run from where the client says; raise BadRequest, NotFound or Gone."""
    cursor = _cursor(query.after or "0", last_event_id)
    follower = await runtime.logs.follow(run_log(run_id), 0)
    try:
        track = follower.track
        if query.tail is not None and not last_event_id:
            cursor = await _before_last(runtime, run_id, query.tail, query.keep())
        follower.cursor = track.head if cursor is None else cursor
        if follower.cursor > track.head + track.sealed:
            raise _ahead(track.head)
    except BaseException:
        follower.close()
        raise
    return follower


def _open_streams(request: Request) -> Streams:
    streams: Streams = request.app.state.streams
    return streams


def _cursor(after: str | None, last_event_id: str | None) -> int | None:
    """Return where to begin, None for now; what a client resumes with beats what it asks for."""
    if last_event_id:
        return parse_cursor(last_event_id, "Last-Event-ID")
    return parse_cursor(after) if after else None


def _names(field: str, text: str | None, known: Collection[str]) -> frozenset[str]:
    names = frozenset(ALIASES.get(name, name) for name in split_names(text))
    for name in names.difference(known):
        raise _unknown(field, name, known)
    return names


def _unknown(field: str, value: str, known: Collection[str]) -> BadRequest:
    return BadRequest("bad_request", f"{field}: {value!r} is none of {', '.join(known)}")


def _ahead(head: int) -> Gone:
    return Gone("cursor_ahead", f"the newest event is {head}", {"last": head})


async def _first_position(store: Store, after: int, head: int) -> int:
    """Return the position of the first event after `after` that is still kept."""
    batches = await store.read_all(after, 1)
    return max(batches[0].first_position, after + 1) if batches else head + 1


async def _before_last(runtime: Runtime, run_id: str, count: int, keep: Keep) -> int:
    """Return the cursor before the last `count` events that pass the filter."""
    log = run_log(run_id)
    last = (await runtime.store.head(log)).last
    if keep.everything:
        return max(last - count, 0)
    # Nothing is indexed by content: read the log once, remembering the newest matches.
    found: deque[int] = deque(maxlen=count or 1)
    after = 0
    while batches := await runtime.store.read(log, after, READ_BYTES):
        for batch in batches:
            found.extend(event.seq for event in batch.events(after) if keep(event))
        after = batches[-1].last_seq
    return found[0] - 1 if found and count else after
