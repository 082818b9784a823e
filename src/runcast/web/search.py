"""Search over HTTP: which events say a text, in the runs that are kept."""

import asyncio
from collections.abc import Coroutine
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from runcast.core.errors import BadRequest
from runcast.core.ids import check_id
from runcast.core.limits import LIST_LIMIT, MAX_POSITION
from runcast.core.times import format_time, parse_since
from runcast.runtime.clock import now
from runcast.runtime.runtime import Runtime
from runcast.runtime.search import Found, Match, Wanted
from runcast.stores import Selection
from runcast.web.answers import JsonAnswer, JsonRoute
from runcast.web.routes import WorkingRuntime, problems
from runcast.web.schemas import SearchAnswer
from runcast.web.shapes import Id, text_like

MAX_TEXT = 1_000  # characters of what is searched for
MAX_CONTEXT = 10
_CLIENT_GONE = 499  # as proxies write it into their logs; nobody reads the answer

router = APIRouter(prefix="/api/v1", route_class=JsonRoute, tags=["runs"])
T = TypeVar("T")


class SearchQuery(BaseModel):
    """What to search for, and where."""

    q: Annotated[str, text_like(minLength=1, maxLength=MAX_TEXT, pattern=r"^(?![\s\S]*\n)")] = (
        Field(description="The text, as it stands there: no pattern, upper and lower case differ.")
    )
    workspace: str | None = Field(None, description="Only runs of this workspace; else all.")
    run: Id | None = Field(None, description="Only this run.")
    since: str | None = Field(
        None, description="Only events of this time (RFC 3339) or later, or of the last `15m`."
    )
    limit: int = Field(50, ge=1, le=LIST_LIMIT, description="At most so many matches.")
    context: int = Field(
        2, ge=0, le=MAX_CONTEXT, description="So many events before and after each match."
    )
    before: int | None = Field(
        None, ge=1, le=MAX_POSITION, description="The `next_before` of the search to go on with."
    )

    async def wanted(self, runtime: Runtime) -> Wanted:
        """Return what the runtime is asked for; raise BadRequest, or NotFound for a run."""
        if not 1 <= len(self.q) <= MAX_TEXT or "\n" in self.q:
            raise BadRequest.of("q", f"must be 1 to {MAX_TEXT} characters of one line")
        since = None if self.since is None else parse_since(self.since, now())
        if self.workspace:
            await runtime.workspaces.folder(self.workspace, "workspace")
        run_id = None if self.run is None else (await runtime.get(check_id(self.run, "run"))).id
        return Wanted(
            text=self.q,
            where=Selection(workspace_id=self.workspace or None, run_id=run_id),
            since=since,
            before=self.before,
            limit=self.limit,
            context=self.context,
        )


@router.get(
    "/search",
    response_model=SearchAnswer,
    response_description="The matches, newest first.",
    responses=problems(400, 404),
)
async def search(
    request: Request, runtime: WorkingRuntime, query: Annotated[SearchQuery, Query()]
) -> Response:
    """Search what runs have said for a text, from the newest event back.

    An answer takes about 2 s at most: if that is not enough, `next_before` says where to go on.
    """
    wanted = await query.wanted(runtime)
    found = await _unless_gone(request, runtime.searches.find(wanted))
    if found is None:
        return Response(status_code=_CLIENT_GONE)
    where = wanted.where
    not_ingested = runtime.watching.not_ingested(where.workspace_id, where.run_id)
    return JsonAnswer(_shown(found, not_ingested))


async def _unless_gone(request: Request, work: Coroutine[Any, Any, T]) -> T | None:
    """Do the work while the client waits for it; return None once it has left."""
    working = asyncio.create_task(work)
    leaving = asyncio.create_task(_leave(request))
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        working.cancel()
        leaving.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def _leave(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _shown(found: Found, not_ingested: int) -> dict[str, Any]:
    return {
        "matches": [_match(match) for match in found.matches],
        "complete": found.next_before is None,
        "next_before": found.next_before,
        "scanned_bytes": found.scanned_bytes,
        "not_ingested": not_ingested,
    }


def _match(match: Match) -> dict[str, Any]:
    return {
        "run_id": match.run.id,
        "task_id": match.run.task_id,
        "workspace_id": match.run.workspace_id,
        "seq": match.seq,
        "position": match.position,
        "time": format_time(match.time),
        "type": match.type,
        **({} if match.stream is None else {"stream": match.stream}),
        "text": match.text,
        "cut": match.cut,
        "before": match.before,
        "after": match.after,
    }
