"""Processes over HTTP: runs that clients report, and all others as such clients know them."""

from typing import Annotated

from fastapi import APIRouter, Header, Path, Query
from pydantic import AfterValidator
from starlette.requests import Request
from starlette.responses import Response

from runcast.core.events import run_log
from runcast.core.ids import check_id
from runcast.core.limits import INLINE_BYTES
from runcast.core.processes import public_process
from runcast.core.runs import Run
from runcast.runtime.external import Report
from runcast.runtime.workspaces import DEFAULT
from runcast.stores import Span
from runcast.web.answers import JsonAnswer, JsonRoute
from runcast.web.once import Repeatable
from runcast.web.process_schemas import (
    Output,
    OutputKept,
    ProcessAnswer,
    ProcessChange,
    ProcessFilters,
    ProcessList,
    ProcessReport,
    ProcessStats,
    PublicProcess,
    TerminalStatuses,
    TextProblem,
    split_statuses,
)
from runcast.web.routes import AnyRuntime, WorkingRuntime, problems
from runcast.web.schemas import Removed
from runcast.web.shapes import Cursor, Id
from runcast.web.sse import DrainingNotice, EventStream, Pace
from runcast.web.streams import LastEventId, begin, nothing_more, open_streams, start_of
from runcast.wires import Keep, new_wire

router = APIRouter(prefix="/api", route_class=JsonRoute, tags=["processes"])

ProcessId = Annotated[Id, Path(description="The process's id."), AfterValidator(check_id)]


@router.post(
    "/processes",
    status_code=201,
    response_model=PublicProcess,
    response_description="The process as it is kept.",
    responses=problems(400, 409, model=TextProblem),
)
async def report_process(
    report: ProcessReport,
    runtime: WorkingRuntime,
    once: Repeatable,
    x_workspace_id: Annotated[
        str | None, Header(description="Stands for `workspaceId` if the body has none.")
    ] = None,
) -> Response:
    """Report a process that the client executes; one that has ended is complete with this."""
    workspace_id = report.workspace_id or x_workspace_id or DEFAULT
    await runtime.workspaces.folder(workspace_id, "workspaceId")
    return _created(await runtime.external.start(report.spec(workspace_id), once(_created)))


@router.get(
    "/processes",
    response_model=ProcessList,
    response_description="A page of processes.",
    responses=problems(400, model=TextProblem),
)
async def list_processes(
    filters: Annotated[ProcessFilters, Query()], runtime: WorkingRuntime
) -> Response:
    """List all runs as processes, newest first."""
    where = filters.where()
    runs = await runtime.store.runs(where, filters.limit, offset=filters.offset)
    return JsonAnswer(
        {
            "processes": [public_process(run) for run in runs],
            "total": await runtime.store.count(where),
            "limit": filters.limit,
            "offset": filters.offset,
        }
    )


@router.delete(
    "/processes",
    response_model=Removed,
    response_description="How many went.",
    responses=problems(400, 409, model=TextProblem),
)
async def clear_processes(
    status: Annotated[TerminalStatuses, Query(description="Terminal statuses, comma-separated.")],
    runtime: WorkingRuntime,
    once: Repeatable,
) -> Response:
    """Remove every ended process of a status, in all workspaces, with its output."""
    return _removed(await runtime.clear(split_statuses(status), once(_removed)))


@router.get(
    "/processes/{process_id}",
    response_model=ProcessAnswer,
    response_description="The process as it is now.",
    responses=problems(400, 404, model=TextProblem),
)
async def get_process(process_id: ProcessId, runtime: WorkingRuntime) -> Response:
    """Show a run as a process."""
    return JsonAnswer({"process": public_process(await runtime.get(process_id))})


@router.patch(
    "/processes/{process_id}",
    response_model=PublicProcess,
    response_description="The process as it is now.",
    responses=problems(400, 404, 409, model=TextProblem),
)
async def change_process(
    process_id: ProcessId, change: ProcessChange, runtime: WorkingRuntime, once: Repeatable
) -> Response:
    """Tell what has changed; the fields beside `status` may change after the end, too.

    The status that it has already changes nothing. Only the status of a process that its client
    executes can be told, and none after a terminal one: 409.
    """
    fields = change.fields()
    return _shown(await runtime.external.update(process_id, fields, change.status, once(_shown)))


@router.delete(
    "/processes/{process_id}",
    status_code=204,
    response_model=None,
    response_description="It is gone.",
    responses=problems(400, 404, 409, model=TextProblem),
)
async def delete_process(
    process_id: ProcessId, runtime: WorkingRuntime, once: Repeatable
) -> Response:
    """Remove a process with its output; one that runcast is executing must be cancelled first."""
    await runtime.delete(process_id, once(_gone))
    return _gone(None)


@router.post(
    "/processes/{process_id}/cancel",
    response_model=PublicProcess,
    response_description="The process; one that runcast executes ends in a moment.",
    responses=problems(400, 404, 409, model=TextProblem),
)
async def cancel_process(
    process_id: ProcessId, runtime: WorkingRuntime, once: Repeatable
) -> Response:
    """Ask a process to end; one that a client executes is cancelled at once, for all to see."""
    return _shown(await runtime.cancel(process_id, once(_shown)))


@router.post(
    "/processes/{process_id}/output",
    status_code=202,
    response_model=OutputKept,
    response_description="It is kept, and on its way to all who watch.",
    responses=problems(400, 404, 409, model=TextProblem),
)
async def append_output(
    process_id: ProcessId, output: Output, runtime: WorkingRuntime, once: Repeatable
) -> Response:
    """Report what a process has printed; it may be cut anywhere."""
    reports = output_reports(output.content)
    return _kept(await runtime.external.append(process_id, reports, once=once(_kept)))


@router.get(
    "/processes/{process_id}/stream",
    response_class=Response,
    response_description="The stream.",
    responses=problems(400, 404, 410, model=TextProblem)
    | {204: {"description": "Nothing more will ever come."}},
)
async def stream_process(
    request: Request,
    runtime: AnyRuntime,
    process_id: ProcessId,
    after: Annotated[Cursor | None, Query(description="Cursor: a number, or `now`.")] = None,
    replay: Annotated[
        bool, Query(description="Begin with what was printed so far; else with what comes.")
    ] = True,
    last_event_id: LastEventId = None,
) -> Response:
    """Stream the output of a process, then its status; `done` closes the stream."""
    wire = new_wire("processes", Keep(), "seq")
    if runtime.draining:
        return DrainingNotice(wire.media_type)
    streams = open_streams(request)
    with streams.reserved(process_id):
        cursor = start_of(("0" if replay else "now") if after is None else after, last_event_id)
        follower = await begin(runtime, process_id, cursor)
    if cursor is None and not replay:
        # Both from one look: the last event may be known before it is known to be the last.
        head = await runtime.store.head(run_log(process_id))
        follower.cursor = head.last - head.sealed  # how it ended is not left out
    if follower.cursor > follower.track.head:
        return nothing_more(streams, follower, process_id)
    pace = Pace(runtime.settings.processes.heartbeat_interval_s)
    return EventStream(runtime, streams, follower, wire, process_id, pace=pace)


@router.get(
    "/stats",
    response_model=ProcessStats,
    response_description="How many there are.",
    responses=problems(model=TextProblem),
)
async def show_stats(runtime: WorkingRuntime) -> Response:
    """Count all runs, by status and by workspace."""
    by_status = await runtime.store.totals()
    by_workspace = await runtime.store.workspace_totals()
    return JsonAnswer(
        {
            "totalProcesses": sum(by_status.values()),
            "byStatus": by_status,
            "byWorkspace": [
                {"workspaceId": one.id, "name": one.name, "count": by_workspace.get(one.id, 0)}
                for one in await runtime.workspaces.list()
            ],
        }
    )


def _created(run: Run) -> JsonAnswer:
    headers = {"location": f"/api/processes/{run.id}"}
    return JsonAnswer(public_process(run), 201, headers)


def _shown(run: Run) -> JsonAnswer:
    return JsonAnswer(public_process(run))


def _kept(span: Span) -> JsonAnswer:
    return JsonAnswer({"seq": span.last}, 202)


def _removed(count: int) -> JsonAnswer:
    return JsonAnswer({"removed": count})


def _gone(_result: object) -> Response:
    return Response(status_code=204)


def output_reports(content: str) -> list[Report]:
    """Make one event of a text, or several where one alone would lose what is too long for it."""
    pieces = _pieces(content)
    data = [{"stream": "stdout", "text": piece, "partial": True} for piece in pieces]
    del data[-1]["partial"]
    return [Report("output", each) for each in data]


def _pieces(content: str) -> list[str]:
    """Cut a text between characters into pieces that fit an event; an empty one is one piece."""
    encoded = content.encode()
    pieces: list[str] = []
    start = 0
    while start < len(encoded) or not pieces:
        piece = encoded[start : start + INLINE_BYTES].decode(errors="ignore")
        pieces.append(piece)
        start += len(piece.encode())
    return pieces
