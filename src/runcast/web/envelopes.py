"""Envelopes over HTTP: those of one task as a stream, and those that come in."""

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Body, Header, Query
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from runcast.core.envelopes import Action, Observation, Thought
from runcast.core.ids import check_uuid
from runcast.runtime.workspaces import DEFAULT
from runcast.stores import Selection
from runcast.web.answers import JsonAnswer, JsonRoute
from runcast.web.once import Repeatable
from runcast.web.positions import begin_where
from runcast.web.routes import AnyRuntime, WorkingRuntime, problems
from runcast.web.schemas import Answer
from runcast.web.shapes import ID, Cursor, Uuid
from runcast.web.sse import DrainingNotice, EventStream
from runcast.web.streams import LastEventId, open_streams, start_of
from runcast.wires import Keep, new_wire

router = APIRouter(route_class=JsonRoute, tags=["envelopes"])


class Accepted(Answer):
    """How many envelopes were taken."""

    accepted: int = Field(description="All of them: if one is wrong, none is taken.")


def _schemas() -> list[dict[str, Any]]:
    """Describe envelopes by the structs that check them, each in one piece."""
    types = (Thought, Action, Observation)
    refs, found = msgspec.json.schema_components(types, ref_template="{name}")
    whole = [dict(found[ref["$ref"]]) for ref in refs]
    for one in whole:
        said = dict(one["properties"])
        said["payload"] = found[said["payload"]["$ref"]]
        said["taskId"] = ID.json_schema
        one["properties"] = said
    return whole


_ENVELOPE: dict[str, Any] = {"anyOf": _schemas()}
_BODY = {"anyOf": [_ENVELOPE, {"type": "array", "items": _ENVELOPE, "minItems": 1}]}


@router.post(
    "/api/v1/envelopes",
    status_code=202,
    response_model=Accepted,
    response_description="They are stored.",
    responses=problems(400, 409),
    openapi_extra={
        "requestBody": {"required": True, "content": {"application/json": {"schema": _BODY}}}
    },
)
async def take_envelopes(
    body: Annotated[Any, Body()],
    runtime: WorkingRuntime,
    once: Repeatable,
    workspace_id: Annotated[
        str, Header(alias="X-Workspace-Id", description="Where they belong.")
    ] = DEFAULT,
) -> Response:
    """Take one envelope, or a list of them in order, of any tasks.

    Each task's go into one external run, which is made when first needed; never into a run that
    is executed here. Whoever follows the task gets every envelope as it came.
    """
    values = body if isinstance(body, list) else [body]
    return _accepted(await runtime.envelopes.record(values, workspace_id, once(_accepted)))


def _accepted(count: int) -> Response:
    return JsonAnswer({"accepted": count}, 202)


@router.get(
    "/stream",
    response_class=Response,
    response_description="The stream.",
    responses=problems(400, 410),
)
async def stream_task(
    request: Request,
    runtime: AnyRuntime,
    task_id: Annotated[Uuid, Query(alias="taskId", description="The task: a UUID.")],
    after: Annotated[Cursor | None, Query(description="Cursor: a position, or `now`.")] = None,
    strict: Annotated[
        bool, Query(description="Answer 410 instead of beginning with `gap`.")
    ] = False,
    last_event_id: LastEventId = None,
) -> Response:
    """Stream the envelopes of a task's runs as events without a name; ids are positions.

    Begins now unless a cursor says otherwise, waits for a task that is not known yet, and never
    ends.
    """
    task_id = check_uuid(task_id, "taskId")
    cursor = start_of(after, last_event_id)
    wire = new_wire("envelopes", Keep(), "position")
    if runtime.draining:
        return DrainingNotice(wire.media_type)
    streams = open_streams(request)
    with streams.reserved(task_id):
        selection = Selection(task_id=task_id)
        follower, opening = await begin_where(runtime, selection, cursor, wire, strict=strict)
    return EventStream(runtime, streams, follower, wire, task_id, opening)
