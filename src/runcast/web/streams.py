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
from runcast.stores import Selection
from runcast.web.positions import begin_where
from runcast.web.routes import AnyRuntime, RunId, problems
from runcast.web.shapes import Cursor
from runcast.web.sse import DrainingNotice, EventStream, Streams
from runcast.wires import WIRES, Keep, Numbering, Wire, new_wire, split_names

router = APIRouter(tags=["streams"])

MAX_TAIL = 1_000_000
STREAMS = ("stdout", "stderr")
ALIASES = {"log": "output"}  # as the native wire calls it
_ALL: frozenset[str] = frozenset()  # one for all streams: each of its own would be 216 bytes

LastEventId = Annotated[str | None, Header(description="The id of the last event received.")]


class StreamQuery(BaseModel):
    """What every stream takes."""

    after: Cursor | None = Field(None, description="Cursor: a number, or `now`.")
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

    workspace: str | None = Field(None, description="Only runs of this workspace; else all.")
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
    cursor = start_of(query.after, last_event_id)
    if runtime.draining:
        return DrainingNotice(wire.media_type)
    if query.workspace:
        await runtime.workspaces.folder(query.workspace, "workspace")
    selection = Selection(workspace_id=query.workspace or None)
    follower, opening = await begin_where(runtime, selection, cursor, wire, strict=query.strict)
    return EventStream(runtime, open_streams(request), follower, wire, None, opening)


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
    streams = open_streams(request)
    with streams.reserved(run_id):
        cursor = start_of("0" if query.after is None else query.after, last_event_id)
        if query.tail is not None and not last_event_id:
            cursor = await _before_last(runtime, run_id, query.tail, query.keep())
        follower = await begin(runtime, run_id, cursor)
    track = follower.track
    # A wire that closes with no frame of its own has said all with the log's last event.
    silent = track.sealed and not wire.closing(run_id, track.head, deleted=False)
    if follower.cursor + silent > track.head:
        return nothing_more(streams, follower, run_id)
    return EventStream(runtime, streams, follower, wire, run_id)


async def begin(runtime: Runtime, run_id: str, cursor: int | None) -> Follower:
    """Follow a run from a cursor, None for now; raise NotFound, or Gone beyond its end."""
    follower = await runtime.logs.follow(run_log(run_id), 0)
    track = follower.track
    follower.cursor = track.head if cursor is None else cursor
    if follower.cursor > track.head + track.sealed:
        follower.close()
        raise _ahead(track.head)
    return follower


def nothing_more(streams: Streams, follower: Follower, run_id: str) -> Response:
    """Answer who has everything: 204 is what stops an EventSource."""
    follower.close()
    streams.release(run_id)
    return Response(status_code=204)


def open_streams(request: Request) -> Streams:
    """Return the open streams of the server."""
    streams: Streams = request.app.state.streams
    return streams


def start_of(after: str | None, last_event_id: str | None) -> int | None:
    """Return where to begin, None for now; what a client resumes with beats what it asks for."""
    if last_event_id:
        return parse_cursor(last_event_id, "Last-Event-ID")
    return None if after is None else parse_cursor(after)


def _names(field: str, text: str | None, known: Collection[str]) -> frozenset[str]:
    if not text:
        return _ALL
    names = frozenset(ALIASES.get(name, name) for name in split_names(text))
    for name in names.difference(known):
        raise _unknown(field, name, known)
    return names


def _unknown(field: str, value: str, known: Collection[str]) -> BadRequest:
    return BadRequest("bad_request", f"{field}: {value!r} is none of {', '.join(known)}")


def _ahead(head: int) -> Gone:
    return Gone("cursor_ahead", f"the newest event is {head}", {"last": head})


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
