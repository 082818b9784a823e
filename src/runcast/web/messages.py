"""The message bus over HTTP: post, page through what was posted, and follow it live."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from runcast.core.cursor import parse_cursor
from runcast.core.errors import BadRequest
from runcast.core.events import MESSAGES
from runcast.core.ids import folded
from runcast.core.limits import PAGE_EVENTS
from runcast.core.messages import MessageFilter, public_message
from runcast.core.times import format_time
from runcast.runtime.messages import MessageSpec, check_cursor
from runcast.web.answers import JsonAnswer, JsonRoute
from runcast.web.once import Repeatable
from runcast.web.routes import AnyRuntime, WorkingRuntime, problems
from runcast.web.schemas import MessagePage, Posted
from runcast.web.shapes import Cursor, Id
from runcast.web.sse import DrainingNotice, EventStream
from runcast.web.streams import LastEventId, open_streams, start_of
from runcast.web.submission import Body, Free
from runcast.wires.messages import MessagesWire

router = APIRouter(prefix="/api/v1", route_class=JsonRoute, tags=["messages"])


class Link(Body):
    """Where something that a message speaks of can be seen."""

    url: str = Field(min_length=1)
    label: str | None = None


class Message(Body):
    """A message to be posted."""

    body: str | None = Field(None, description="The text: at least one character, at most 64 KiB.")
    content: str | None = Field(None, description="The same as `body`; give one of them.")
    type: str = Field("USER", min_length=1, description="What kind of message it is.")
    project_id: Id | None = Field(None, description="The workspace that it belongs to.")
    task_id: Id | None = Field(None, description="The task that it is about.")
    run_id: Id | None = Field(None, description="The run that it is about; its log is not touched.")
    parents: list[str] = Field([], description="The `msg_id`s of what it answers.")
    links: list[Link] = []
    meta: Free = Field({}, description="Kept with the message and given back.")

    def spec(self) -> MessageSpec:
        """Return what the runtime is asked for."""
        if self.body is not None and self.content not in (None, self.body):
            raise BadRequest.of("content", "is another name of body; give one of them")
        fields = self.model_dump(exclude={"content", "body", "links"})
        links = [link.model_dump(exclude_none=True) for link in self.links]
        return MessageSpec(**fields, body=self.body or self.content or "", links=links)


class Wanted(BaseModel):
    """Which messages a client wants."""

    project_id: str | None = Field(None, description="Only messages of this workspace.")
    task_id: str | None = Field(None, description="Only messages about this task.")
    run_id: str | None = Field(None, description="Only messages about this run.")

    def where(self) -> MessageFilter:
        """Return the filter."""
        about = (None if name is None else folded(name) for name in (self.task_id, self.run_id))
        return MessageFilter(self.project_id, *about)


class PageQuery(Wanted):
    """Which messages to list, and which page of them."""

    after: Cursor | None = Field(
        None, description="The last seq already had, or `now`; from the first kept if absent."
    )
    limit: int = Field(PAGE_EVENTS, ge=1, le=PAGE_EVENTS, description="At most so many.")


class StreamQuery(Wanted):
    """Which messages to follow, and from where."""

    after: Cursor | None = Field(
        None, description="Cursor: the last seq already had; now if absent."
    )
    strict: bool = Field(False, description="Answer 410 instead of beginning with `gap`.")


@router.post(
    "/messages",
    status_code=201,
    response_model=Posted,
    response_description="The message is kept.",
    responses=problems(400, 409, 413),
)
async def post_message(message: Message, runtime: WorkingRuntime, once: Repeatable) -> Response:
    """Post a message to everybody who follows the bus."""
    return _posted(await runtime.messages.post(message.spec(), once(_posted)))


def _posted(posted: tuple[str, int]) -> JsonAnswer:
    msg_id, time = posted
    return JsonAnswer({"msg_id": msg_id, "timestamp": format_time(time)}, 201)


@router.get(
    "/messages",
    response_model=MessagePage,
    response_description="A page of messages, oldest first.",
    responses=problems(400, 410),
)
async def list_messages(query: Annotated[PageQuery, Query()], runtime: WorkingRuntime) -> Response:
    """Page through the messages that are kept."""
    after = None if query.after is None else parse_cursor(query.after)
    if query.after is not None and after is None:
        after = (await runtime.messages.head()).last
    page = await runtime.messages.page(after, query.limit, query.where())
    shown: dict[str, Any] = {"messages": [public_message(event) for event in page.messages]}
    return JsonAnswer(shown | {"next_after": page.next_after})


@router.get(
    "/messages/stream",
    response_class=Response,
    response_description="The stream.",
    responses=problems(400, 410),
)
async def stream_messages(
    request: Request,
    runtime: AnyRuntime,
    query: Annotated[StreamQuery, Query()],
    last_event_id: LastEventId = None,
) -> Response:
    """Stream messages as they are posted, or those after a cursor first. It never ends."""
    wire = MessagesWire(query.where())
    cursor = start_of(query.after, last_event_id)
    if runtime.draining:
        return DrainingNotice(wire.media_type)
    head = await runtime.messages.head()
    start = head.last if cursor is None else check_cursor(head, cursor, strict=query.strict)
    before = head.first - 1
    opening = (wire.gap(start, head.first, "retention"), before) if start < before else (b"", 0)
    follower = await runtime.logs.follow(MESSAGES, max(start, before))
    return EventStream(runtime, open_streams(request), follower, wire, None, opening)
