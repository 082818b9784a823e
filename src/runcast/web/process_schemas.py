"""Processes and workspaces as their clients write and read them."""

from collections.abc import Collection
from typing import Annotated, Any, cast

from pydantic import AfterValidator, BaseModel, Field
from pydantic_core import PydanticCustomError

from runcast.core.limits import LIST_LIMIT
from runcast.core.runs import STATUSES, TERMINAL, Status
from runcast.core.times import parse_time
from runcast.runtime.external import ExternalSpec
from runcast.stores import RunFilter
from runcast.web.camel import CamelAnswer, Json, JsonObject, Moment, OpenBody
from runcast.web.schemas import Answer, Time
from runcast.web.shapes import AbsolutePath, Count, Id, Named, TimeText, list_of


class TextProblem(Answer):
    """The answer to a request about processes that could not be done."""

    error: str = Field(description="A stable code, a colon, and what to do.")


class WorkspacePut(OpenBody):
    """A workspace to be added, or to be given another name and color."""

    id: Id | None = Field(None, description="Made from the folder's real path if absent.")
    name: Named = Field(description="For people; not empty.")
    root_path: AbsolutePath = Field(description="The folder that runs start in: an absolute path.")
    color: str | None = Field(None, description="Whatever the client likes.")


class WorkspaceShown(CamelAnswer):
    """A workspace."""

    id: str
    name: str
    root_path: str
    color: str | None = Field(None, description="Only if it has one.")


class WorkspaceList(CamelAnswer):
    """All workspaces, `default` first."""

    workspaces: list[WorkspaceShown]


class _Told(OpenBody):
    """What a client may tell of a process at any time."""

    result: Json = None
    error: str | None = None
    end_time: Moment | None = None
    structured_result: Json = None
    metadata: JsonObject | None = None


class ProcessReport(_Told):
    """A process that its client executes."""

    id: Id | None = Field(None, description="Made by the server if absent.")
    prompt_preview: str = Field(description="What it does, in a line.")
    status: Status
    start_time: Moment
    workspace_id: str | None = Field(
        None, description="`X-Workspace-Id` if absent, and `default` without that."
    )
    type: str | None = Field(None, description="What kind of process it is; `command` if absent.")
    full_prompt: str | None = None

    def spec(self, workspace_id: str) -> ExternalSpec:
        """Return what the runtime is asked for."""
        return ExternalSpec(
            id=self.id,
            workspace_id=workspace_id,
            kind=self.type,
            status=self.status,
            prompt_preview=self.prompt_preview,
            full_prompt=self.full_prompt,
            started_at=self.start_time,
            ended_at=self.end_time,
            result=self.result,
            error=self.error,
            structured_result=self.structured_result,
            metadata=self.metadata or {},
        )


class ProcessChange(_Told):
    """What has changed.

    A null clears `result`, `error` and `structuredResult`, and says nothing of the others.
    """

    status: Status | None = None

    def fields(self) -> dict[str, Any]:
        """Return what to set of the run."""
        given = {name: getattr(self, name) for name in self.model_fields_set & _FIELDS.keys()}
        return {
            _FIELDS[name]: value
            for name, value in given.items()
            if value is not None or name in _CLEARED
        }


# Of a process -> of its run.
_FIELDS = {
    "result": "result",
    "error": "error",
    "end_time": "ended_at",
    "structured_result": "structured_result",
    "metadata": "metadata",
}
_CLEARED = ("result", "error", "structured_result")


class Output(OpenBody):
    """What a process has printed."""

    content: str = Field(description="Goes to everybody who watches as it is.")


class PublicProcess(CamelAnswer):
    """A run as a process."""

    id: str
    type: str = Field(description="What its client calls it, its agent or tool, or `command`.")
    prompt_preview: str
    full_prompt: str | None
    status: Status
    start_time: Time = Field(description="When it started, or was queued.")
    end_time: Time | None
    error: str | None
    result: Any
    structured_result: Any
    metadata: dict[str, Any]
    workspace_id: str


class ProcessAnswer(CamelAnswer):
    """One process."""

    process: PublicProcess


class ProcessList(CamelAnswer):
    """A page of processes, newest first."""

    processes: list[PublicProcess]
    total: int = Field(description="How many there are on all pages.")
    limit: int
    offset: int


class WorkspaceCount(CamelAnswer):
    """How many processes a workspace has."""

    workspace_id: str
    name: str
    count: int


class ProcessStats(CamelAnswer):
    """How many processes there are."""

    total_processes: int
    by_status: dict[Status, int]
    by_workspace: list[WorkspaceCount]


class OutputKept(CamelAnswer):
    """Where output was kept."""

    seq: int = Field(description="The number of its event, which is its id on the stream.")


def _some_of(allowed: Collection[str]) -> AfterValidator:
    known = ", ".join(name for name in STATUSES if name in allowed)

    def check(text: str) -> str:
        if set(text.split(",")) <= set(allowed):
            return text
        raise PydanticCustomError("status", "must be some of {known}", {"known": known})

    return AfterValidator(check)


# Statuses, separated by commas.
AnyStatuses = Annotated[str, _some_of(STATUSES), list_of(STATUSES)]
TerminalStatuses = Annotated[str, _some_of(TERMINAL), list_of(sorted(TERMINAL))]


def split_statuses(text: str) -> list[Status]:
    """Return the statuses of a text that was checked."""
    return cast("list[Status]", text.split(","))


class ProcessFilters(BaseModel):
    """Which processes to list, and which page of them."""

    workspace: str | None = Field(None, description="Only processes of this workspace.")
    status: AnyStatuses | None = Field(None, description="Statuses, separated by commas.")
    type: str | None = Field(None, description="Only processes of this type.")
    since: TimeText | None = Field(None, description="Created at this time (RFC 3339) or later.")
    limit: int = Field(50, ge=1, le=LIST_LIMIT, description="Processes on a page.")
    offset: Count = Field(0, description="How many to pass over.")

    def where(self) -> RunFilter:
        """Return what the store is asked for."""
        return RunFilter(
            statuses=() if self.status is None else split_statuses(self.status),
            workspace_id=self.workspace,
            kind=self.type,
            since=None if self.since is None else parse_time(self.since, "since"),
        )
