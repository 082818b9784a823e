"""What a server's answers hold, typed; fields that this version does not know are passed over."""

from datetime import datetime
from typing import Any, Generic, TypeVar

import msgspec

T = TypeVar("T")


class Killed(msgspec.Struct, frozen=True):
    """A process that outlived its run's end and had to be ended."""

    pid: int
    command: str


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One execution, or one external producer; it has ended once `ended_at` is there."""

    id: str
    task_id: str
    workspace_id: str
    source: str
    status: str
    created_at: datetime
    command: list[str] | None = None
    tool: str | None = None
    agent: str | None = None
    kind: str | None = None
    prompt_preview: str | None = None
    dialect: str = "lines"
    stdin: str | None = None
    reason: str | None = None
    exit_code: int | None = None
    signal: str | None = None
    result: Any = None
    structured_result: Any = None
    error: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    last_seq: int = 0
    bytes: int = 0
    metadata: dict[str, Any] = {}
    pending_approvals: int = 0
    killed: list[Killed] | None = None
    leftovers: list[Killed] | None = None
    lost_bytes: int | None = None


class RunPage(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """A part of the runs there are."""

    runs: list[T]
    next_page_token: str | None = None


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """An event as it is stored: number `seq` of its run, `position` among those of all runs."""

    seq: int
    position: int
    time: datetime
    type: str
    data: dict[str, Any]


class EventPage(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a run's log; the next one comes after `next_after`."""

    events: list[Event]
    next_after: int
    at_end: bool


class StreamEvent(msgspec.Struct, frozen=True):
    """One event of a stream; following after `id` gives exactly the later ones.

    `event` and `data` are in the words of the stream: on streams of runs an `output` is called
    `log`, and its text `line`. What closes a stream (`end`, `done`) and what it lost (`gap`) are
    such events, too.
    """

    event: str
    data: dict[str, Any]
    id: int

    def read(self, kind: type[T]) -> T:
        """Return the data as a type of your own, or of this module; raise ValueError."""
        return msgspec.convert(self.data, kind)


class Approval(msgspec.Struct, frozen=True, kw_only=True):
    """Something that an agent asks leave for; `said` is all of it, in the agent's own words."""

    id: str
    tool: str
    state: str
    asked_at: datetime | None = None
    input: Any = None
    said: dict[str, Any] = msgspec.field(default={}, name="")  # a name that no agent uses


class Argument(msgspec.Struct, frozen=True, kw_only=True):
    """An argument of a tool or agent."""

    required: bool = False
    default: str | None = None
    pattern: str | None = None


class Tool(msgspec.Struct, frozen=True, kw_only=True):
    """A command template of the server's settings."""

    name: str
    dialect: str
    arguments: dict[str, Argument] = {}


class Agent(msgspec.Struct, frozen=True, kw_only=True):
    """A coding agent that can be started."""

    name: str
    driver: str
    dialect: str
    arguments: dict[str, Argument] = {}


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """The numbers that reported events were given."""

    first_seq: int
    last_seq: int


class Match(msgspec.Struct, frozen=True, kw_only=True):
    """An event that was searched for, with the texts around it."""

    run_id: str
    seq: int
    position: int
    time: datetime
    type: str
    text: str
    task_id: str = ""
    workspace_id: str = ""
    stream: str | None = None
    cut: bool = False
    before: list[str] = []
    after: list[str] = []


class SearchResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a search found, newest first; if there may be more, it goes on at `next_before`."""

    matches: list[Match]
    complete: bool
    next_before: int | None = None
    scanned_bytes: int = 0
    not_ingested: int = 0


class Queue(msgspec.Struct, frozen=True, kw_only=True):
    """How busy a server is."""

    queued: int
    running: int
    max: int


class ServerStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What a server is doing."""

    version: str
    started_at: datetime
    uptime_s: float
    runs: dict[str, int]
    queue: Queue
    streams: int
    data_dir: str
    draining: bool


class Workspace(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A folder under a name."""

    id: str
    name: str
    root_path: str
    color: str | None = None


class Process(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A run as a process."""

    id: str
    type: str
    prompt_preview: str
    status: str
    start_time: datetime
    workspace_id: str
    full_prompt: str | None = None
    end_time: datetime | None = None
    error: str | None = None
    result: Any = None
    structured_result: Any = None
    metadata: dict[str, Any] = {}


class WorkspaceCount(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How many processes a workspace has."""

    workspace_id: str
    name: str
    count: int


class Stats(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How many processes there are."""

    total_processes: int
    by_status: dict[str, int]
    by_workspace: list[WorkspaceCount]


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """Where something that a message speaks of can be seen."""

    url: str
    label: str = ""


class Posted(msgspec.Struct, frozen=True, kw_only=True):
    """A message was posted."""

    msg_id: str
    timestamp: datetime


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A message of the bus, its number `seq`."""

    msg_id: str
    seq: int
    body: str
    type: str
    timestamp: datetime
    project_id: str | None = None
    task_id: str | None = None
    run_id: str | None = None
    parents: list[str] = []
    links: list[Link] = []
    meta: dict[str, Any] = {}


class MessagePage(msgspec.Struct, frozen=True, kw_only=True):
    """A part of the messages, oldest first; the next one comes after `next_after`."""

    messages: list[Message]
    next_after: int
