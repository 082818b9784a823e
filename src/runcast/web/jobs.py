"""Jobs over HTTP: start a tool by its name in a project, and watch what it prints."""

import asyncio
from typing import Annotated, Literal

import msgspec
from fastapi import APIRouter, Path, Query
from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Send

from runcast.core.errors import BadRequest, NotFound
from runcast.core.events import run_log
from runcast.core.ids import check_uuid
from runcast.core.limits import MAX_POSITION
from runcast.core.runs import Run
from runcast.runtime.follow import Follower
from runcast.runtime.runtime import Runtime
from runcast.runtime.submit import RunSpec
from runcast.stores import Selection
from runcast.web.answers import JsonAnswer, JsonRoute
from runcast.web.camel import CamelAnswer, OpenBody
from runcast.web.once import Repeatable
from runcast.web.routes import AnyRuntime, WorkingRuntime, problems
from runcast.web.shapes import Cursor, Uuid
from runcast.web.sse import DrainingNotice, EventStream, Pace, Streams
from runcast.web.streams import LastEventId, begin, nothing_more, open_streams, start_of
from runcast.wires import Keep, new_wire
from runcast.wires.sse import MEDIA_TYPE, bare_frame

router = APIRouter(prefix="/api", route_class=JsonRoute, tags=["jobs"])


def _word(value: object) -> object:
    """Write a number or truth value as JSON does: a command line has only words."""
    return msgspec.json.encode(value).decode() if isinstance(value, bool | int | float) else value


_WORD_TYPES = ("string", "number", "boolean")
Word = Annotated[
    str,
    BeforeValidator(_word),
    WithJsonSchema({"anyOf": [{"type": name} for name in _WORD_TYPES]}),
]


class Execution(OpenBody):
    """A tool to be run in a project."""

    tool_id: str = Field(min_length=1, description="A tool of `/api/v1/tools`.")
    project_id: str = Field(min_length=1, description="A workspace; the tool runs in its folder.")
    args: dict[str, Word] | None = Field(None, description="The tool's arguments, by name.")


class JobStarted(CamelAnswer):
    """How to find a job."""

    job_id: str = Field(description="A UUID.")


class JobAnswer(CamelAnswer):
    """A job that will run."""

    data: JobStarted


class QueueState(CamelAnswer):
    """How busy the server is."""

    size: int = Field(description="Jobs that wait.")
    pending: int = Field(description="Jobs that run.")
    concurrency: int = Field(description="How many may run at a time.")
    is_paused: Literal[False]


class QueueAnswer(CamelAnswer):
    """The queue of jobs."""

    data: QueueState


def _check_job_id(text: str) -> str:
    return check_uuid(text, "jobId")


JobId = Annotated[Uuid, Path(description="The job's id: a UUID."), AfterValidator(_check_job_id)]


@router.post(
    "/execute",
    response_model=JobAnswer,
    response_description="The job, which waits for its turn.",
    responses=problems(400, 409),
)
async def execute(execution: Execution, runtime: WorkingRuntime, once: Repeatable) -> Response:
    """Queue a tool in a project; it starts as soon as there is room."""
    tools = runtime.settings.tools
    if execution.tool_id not in tools:
        known = ", ".join(tools) or "none"
        raise BadRequest.of("toolId", f"there is no tool {execution.tool_id!r}; known are: {known}")
    project_id = execution.project_id
    await runtime.workspaces.folder(project_id, "projectId")
    spec = RunSpec(tool=execution.tool_id, args=execution.args or {}, workspace_id=project_id)
    return _started(await runtime.submit(spec, once(_started)))


def _started(run: Run) -> JsonAnswer:
    return JsonAnswer({"data": {"jobId": run.id}})


@router.get(
    "/queue/status",
    response_model=QueueAnswer,
    response_description="How long it is.",
    responses=problems(),
)
async def show_queue(runtime: WorkingRuntime) -> Response:
    """Say how many jobs wait and run."""
    queue = (await runtime.status())["queue"]
    shown = {
        "size": queue["queued"],
        "pending": queue["running"],
        "concurrency": queue["max"],
        "isPaused": False,
    }
    return JsonAnswer({"data": shown})


@router.get(
    "/stream/{job_id}",
    response_class=Response,
    response_description="The stream.",
    responses=problems(400, 410) | {204: {"description": "Nothing more will ever come."}},
)
async def stream_job(
    request: Request,
    runtime: AnyRuntime,
    job_id: JobId,
    after: Annotated[Cursor | None, Query(description="Cursor: a number, or `now`.")] = None,
    last_event_id: LastEventId = None,
) -> Response:
    """Stream what a job prints, from its first line, then `complete` or `error`.

    The stream stays open then until the client leaves. An id that nobody knows is waited for.
    """
    if runtime.draining:
        return DrainingNotice(MEDIA_TYPE)
    cursor = start_of("0" if after is None else after, last_event_id)
    streams = open_streams(request)
    with streams.reserved(job_id):
        # Looked for after it is watched: it may appear in between.
        head = (await runtime.store.positions()).head
        watch = runtime.logs.follow_where(Selection(run_id=job_id), head)
        try:
            follower = await begin(runtime, job_id, cursor)
        except NotFound:
            return AwaitedJobStream(runtime, streams, watch, job_id)
        except BaseException:
            watch.close()
            raise
    watch.close()
    if follower.track.sealed and follower.cursor >= follower.track.head:
        return nothing_more(streams, follower, job_id)
    return JobStream(runtime, streams, follower, job_id)


class JobStream(EventStream):
    """The stream of a job, which stays open after its end: to these clients a close is a fault."""

    def __init__(self, runtime: Runtime, streams: Streams, follower: Follower, job_id: str) -> None:
        wire = new_wire("jobs", Keep(), "seq")
        pace = Pace(runtime.settings.jobs.heartbeat_interval_s)
        super().__init__(runtime, streams, follower, wire, job_id, pace=pace)
        self.job_id = job_id

    async def _close(self, send: Send) -> None:
        track = self._follower.track
        if not (track.sealed and self._follower.cursor >= track.head):
            await super()._close(send)  # removed before its end was told
        await self._stay(send)

    async def _stay(self, send: Send) -> None:
        """Send nothing but heartbeats until the client leaves or the server drains."""
        # Unlike the log of a job that has ended, this gives nothing and never ends.
        self._turn_to(self._runtime.logs.follow_where(Selection(run_id=self.job_id), MAX_POSITION))
        while not self._over:
            await self._follower.take()
            await self._send_due(send)


class AwaitedJobStream(JobStream):
    """The stream of a job that nobody knows yet; its follower watches for the first event."""

    async def _pump(self, send: Send) -> None:
        try:
            async with asyncio.timeout(self._runtime.settings.jobs.wait_s):
                await self._appear(send)
        except NotFound:
            await self._give_up(send, "the job was deleted")
        except TimeoutError:
            await self._give_up(send, "there is no such job")
        else:
            await super()._pump(send)

    async def _give_up(self, send: Send, why: str) -> None:
        await self._send(send, [bare_frame("error", {"message": why})])
        await self._stay(send)

    async def _appear(self, send: Send) -> None:
        """Wait for the job and follow it; raise NotFound if it can never come."""
        if await self._runtime.store.is_deleted(self.job_id):
            raise NotFound("not_found", f"the job {self.job_id} was deleted")
        while not self._over:
            if await self._follower.take():
                self._turn_to(await self._runtime.logs.follow(run_log(self.job_id), 0))
                return
            await self._send_due(send)
