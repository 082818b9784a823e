"""Runs over HTTP: submit, look, wait, cancel, delete, and page through their logs."""

import base64
import struct
from collections.abc import Sequence
from typing import Annotated, cast

from fastapi import APIRouter, Query
from pydantic import AfterValidator, BaseModel
from starlette.responses import Response

from runcast.core.cursor import parse_cursor
from runcast.core.errors import BadRequest
from runcast.core.ids import folded
from runcast.core.limits import LIST_LIMIT, PAGE_EVENTS
from runcast.core.runs import STATUSES, Run, Source, Status, public_run
from runcast.core.times import parse_time
from runcast.stores import RunFilter
from runcast.web.answers import JsonAnswer, JsonRoute, accepted, public_event, show_run
from runcast.web.once import Repeatable
from runcast.web.routes import RunId, WorkingRuntime, problems
from runcast.web.schemas import EventPage, Removed, RunAnswer, RunList
from runcast.web.shapes import Cursor, PageToken, TimeText, list_of
from runcast.web.submission import Prune, Submission

MAX_WAIT_S = 60  # longer waits meet the idle limits of proxies; ask again instead
_ORDER = struct.Struct(">q")  # what a page token holds: the order of the page's last run

router = APIRouter(prefix="/api/v1", route_class=JsonRoute, tags=["runs"])


@router.post(
    "/runs",
    status_code=201,
    response_description="The run, stored; a command waits for its turn.",
    response_model=RunAnswer,
    responses=problems(400, 409),
)
async def submit(submission: Submission, runtime: WorkingRuntime, once: Repeatable) -> Response:
    """Queue a command, which starts as soon as there is room; or add an external run."""
    if submission.external:
        spec = submission.external_spec()
        return _created(await runtime.external.start(spec, once(_created)))
    return _created(await runtime.submit(submission.spec(), once(_created)))


def _created(run: Run) -> JsonAnswer:
    return show_run(run, 201, {"location": f"/api/v1/runs/{run.id}"})


def _statuses(text: str) -> str:
    for name in text.split(","):
        if name not in STATUSES:
            raise BadRequest.of("status", f"must be some of {', '.join(STATUSES)}")
    return text


class Filters(BaseModel):
    """Which runs to list, and which page of them."""

    status: Annotated[str, AfterValidator(_statuses), list_of(STATUSES)] | None = Query(
        None, description="One status or several, separated by commas."
    )
    workspace: str | None = Query(None, description="Only runs of this workspace.")
    workspace_id: str | None = Query(None, description="The same as workspace.")
    type: str | None = Query(None, description="An agent's or tool's name, or `command`.")
    since: TimeText | None = Query(None, description="Created at this time (RFC 3339) or later.")
    task_id: str | None = Query(None, description="Only runs of this task.")
    source: Source | None = Query(None, description="How the run came here.")
    limit: int = Query(50, ge=1, le=LIST_LIMIT, description="Runs on a page.")
    page_token: PageToken | None = Query(None, description="Of the page before.")

    def where(self) -> RunFilter:
        """Return what the store is asked for."""
        return RunFilter(
            statuses=cast("Sequence[Status]", self.status.split(",") if self.status else ()),
            workspace_id=self.workspace or self.workspace_id,
            task_id=None if self.task_id is None else folded(self.task_id),
            source=self.source,
            kind=self.type,
            since=None if self.since is None else parse_time(self.since, "since"),
        )


@router.get(
    "/runs",
    response_model=RunList,
    response_description="A page of runs.",
    responses=problems(400),
)
async def list_runs(filters: Annotated[Filters, Query()], runtime: WorkingRuntime) -> Response:
    """List runs, newest first."""
    before = None if filters.page_token is None else _read_token(filters.page_token)
    runs = await runtime.list(filters.where(), filters.limit + 1, before)
    page = runs[: filters.limit]
    token = _make_token(page[-1].order) if len(runs) > len(page) else None
    return JsonAnswer({"runs": [public_run(run) for run in page], "next_page_token": token})


def _make_token(order: int) -> str:
    return base64.urlsafe_b64encode(_ORDER.pack(order)).decode().rstrip("=")


def _read_token(token: str) -> int:
    try:
        (order,) = _ORDER.unpack(base64.urlsafe_b64decode(token + "="))
    except (ValueError, struct.error):
        raise BadRequest.of("page_token", "not one that this server gave out") from None
    return int(order)


@router.get(
    "/runs/{run_id}",
    response_model=RunAnswer,
    response_description="The run as it is now.",
    responses=problems(400, 404),
)
async def get_run(
    run_id: RunId,
    runtime: WorkingRuntime,
    wait_s: Annotated[
        float, Query(ge=0, le=MAX_WAIT_S, description="Answer at the run's end, or after this.")
    ] = 0,
) -> Response:
    """Show a run, at once or when it has ended."""
    return show_run(await (runtime.wait(run_id, wait_s) if wait_s else runtime.get(run_id)))


@router.delete(
    "/runs/{run_id}",
    status_code=204,
    response_model=None,
    response_description="It is gone.",
    responses=problems(400, 404, 409),
)
async def delete_run(run_id: RunId, runtime: WorkingRuntime, once: Repeatable) -> Response:
    """Remove a run with all its output; its id is never used again."""
    await runtime.delete(run_id, once(_gone))
    return _gone()


def _gone(_result: object = None) -> Response:
    return Response(status_code=204)


@router.post(
    "/runs/{run_id}/cancel",
    status_code=202,
    response_model=RunAnswer,
    response_description="The run, which ends in a moment.",
    responses=problems(400, 404, 409),
)
@router.post(
    "/runs/{run_id}/stop",
    status_code=202,
    response_model=RunAnswer,
    response_description="The run, which ends in a moment.",
    responses=problems(400, 404, 409),
)
async def cancel_run(run_id: RunId, runtime: WorkingRuntime, once: Repeatable) -> Response:
    """Ask a run to end: its processes are asked first, and killed after the grace time."""
    return accepted(await runtime.cancel(run_id, once(accepted)))


@router.get(
    "/runs/{run_id}/events",
    response_model=EventPage,
    response_description="A page of events.",
    responses=problems(400, 404, 410),
)
async def read_events(
    run_id: RunId,
    runtime: WorkingRuntime,
    after: Annotated[Cursor, Query(description="The last seq already had, or `now`.")] = "0",
    limit: Annotated[
        int, Query(ge=1, le=PAGE_EVENTS, description="At most so many.")
    ] = PAGE_EVENTS,
) -> Response:
    """Page through a run's log: the events after a cursor, at most so many and 1 MiB."""
    cursor = parse_cursor(after)
    if cursor is None:
        cursor = (await runtime.get(run_id)).last_seq
    page = await runtime.page(run_id, cursor, limit)
    return JsonAnswer(
        {
            "events": [public_event(event) for event in page.events],
            "next_after": page.next_after,
            "at_end": page.at_end,
        }
    )


@router.post(
    "/prune",
    response_model=Removed,
    response_description="How many went.",
    responses=problems(400),
)
async def prune(limits: Prune, runtime: WorkingRuntime) -> Response:
    """Remove ended runs beyond the given limits, oldest first."""
    return JsonAnswer({"removed": await runtime.prune(limits.limits())})
