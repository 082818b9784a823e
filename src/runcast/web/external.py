"""External runs over HTTP: their clients report what happens, event by event."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import Field, model_validator
from starlette.responses import Response

from runcast.core.errors import BadRequest
from runcast.core.events import EVENT_TYPES
from runcast.core.times import parse_time
from runcast.runtime.external import Report
from runcast.stores import Span
from runcast.web.answers import JsonAnswer, JsonRoute
from runcast.web.once import Repeatable
from runcast.web.routes import RunId, WorkingRuntime, problems
from runcast.web.schemas import Appended
from runcast.web.shapes import Count, TimeText
from runcast.web.submission import Body, Free

router = APIRouter(prefix="/api/v1", route_class=JsonRoute, tags=["runs"])

_TYPES: dict[str, Any] = {"enum": list(EVENT_TYPES)}


class Draft(Body):
    """An event that has no number yet."""

    type: str = Field(description="One of the event types.", json_schema_extra=_TYPES)
    data: Free = Field(description="What it says; a `status` has the new status and its outcome.")
    time: TimeText | None = Field(None, description="When it happened (RFC 3339); now if absent.")

    def report(self) -> Report:
        """Return what the runtime is told; raise BadRequest."""
        time = None if self.time is None else parse_time(self.time)
        return Report(self.type, self.data, time)


class Drafts(Body):
    """Events in order; instead of the object, their list alone will do."""

    events: list[Draft] = Field(min_length=1, description="A `status` can only be the last.")
    after: Count | None = Field(None, description="As in the query.")

    @model_validator(mode="before")
    @classmethod
    def _take_list(cls, body: Any) -> Any:
        return {"events": body} if isinstance(body, list) else body


@router.post(
    "/runs/{run_id}/events",
    status_code=202,
    response_model=Appended,
    response_description="The events are stored, under these numbers.",
    responses=problems(400, 404, 409),
)
async def append_events(
    run_id: RunId,
    drafts: Drafts,
    runtime: WorkingRuntime,
    once: Repeatable,
    after: Annotated[
        Count | None, Query(description="The last seq of the run, if nobody else appended.")
    ] = None,
) -> Response:
    """Report what happened in an external run: all of the events, or none.

    A `status` that is terminal ends the run, after which nothing can be appended. The status
    that the run has already changes nothing, and adds no event.
    """
    if None not in (after, drafts.after):
        raise BadRequest.of("after", "give it once")
    expected = drafts.after if after is None else after
    reports = [draft.report() for draft in drafts.events]
    return _appended(await runtime.external.append(run_id, reports, expected, once(_appended)))


def _appended(span: Span) -> JsonAnswer:
    return JsonAnswer({"first_seq": span.first, "last_seq": span.last}, 202)
