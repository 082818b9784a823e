"""What clients are given: the shapes of answers, as the API's description shows them.

Answers are built from core values and not run through these models; the tests check that each
answer fits its model.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from runcast.core.runs import Reason, Source, Status

Time = str  # RFC 3339 with milliseconds and Z


class Answer(BaseModel):
    """An answer: these fields and no others."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Fault(Answer):
    """What went wrong."""

    code: str = Field(description="A stable name, for programs.")
    message: str = Field(description="What to do, for people.")
    details: dict[str, Any] | None = None


class Problem(Answer):
    """The answer to every request that could not be done."""

    error: Fault


class ProcessShown(Answer):
    """A process that had to be ended."""

    pid: int
    command: str


class RunShown(Answer):
    """A run."""

    id: str
    task_id: str = Field(description="Groups runs.")
    workspace_id: str
    source: Source = Field(
        description="`run`: executed by runcast; `external`: by a client that reports it; `watch`: "
        "by others, whose log files are read."
    )
    command: list[str] | None
    tool: str | None
    agent: str | None
    dialect: str = Field(description="How the output is understood.")
    stdin: Literal["pipe", "text", "agent"] | None = Field(
        description="What is read: input that clients send, a fixed text, an agent's answers."
    )
    status: Status
    reason: Reason | None = Field(description="Why it ended; null before.")
    exit_code: int | None = Field(description="Null if a signal ended it, or nobody knows.")
    signal: str | None
    result: Any
    error: str | None = Field(description="What went wrong, in a sentence.")
    created_at: Time
    started_at: Time | None
    ended_at: Time | None
    last_seq: int = Field(description="The number of its newest event.")
    bytes: int = Field(description="Size of its log.")
    metadata: dict[str, Any]
    pending_approvals: int
    killed: list[ProcessShown] | None = Field(None, description="Processes that had to be killed.")
    leftovers: list[ProcessShown] | None = Field(
        None, description="Processes that outlived the command and were ended."
    )
    lost_bytes: int | None = Field(None, description="Output that could not be kept.")
    kind: str | None = Field(
        None, description="What its client calls an external run; what watches a log file."
    )
    prompt_preview: str | None = Field(
        None, description="The beginning of the prompt, or of a log file's path."
    )
    structured_result: Any = Field(None, description="As its client reported it.")


class RunAnswer(Answer):
    """One run."""

    run: RunShown


class RunList(Answer):
    """A page of runs, newest first."""

    runs: list[RunShown]
    next_page_token: str | None = Field(description="Of the next page; null on the last.")


class EventShown(Answer):
    """A committed event."""

    seq: int = Field(description="Its number in the run: 1, 2, 3 and so on.")
    position: int = Field(description="Its place among the events of all runs.")
    time: Time
    type: str
    data: dict[str, Any]


class EventPage(Answer):
    """A page of a run's log."""

    events: list[EventShown]
    next_after: int = Field(description="The cursor of the next page.")
    at_end: bool = Field(description="Whether the log had nothing more when it was read.")


class MatchShown(Answer):
    """An event that says what was searched for."""

    run_id: str
    task_id: str
    workspace_id: str
    seq: int
    position: int
    time: Time
    type: str
    stream: str | None = Field(None, description="Of output: where it was written.")
    text: str = Field(description="What it says; of a long text 1,024 characters around the hit.")
    cut: bool = Field(description="Whether it says more than `text`.")
    before: list[str] = Field(description="What the events before it say, in order.")
    after: list[str] = Field(description="What the events after it say, in order.")


class SearchAnswer(Answer):
    """What was found, newest first."""

    matches: list[MatchShown]
    complete: bool = Field(description="Whether everything was searched.")
    next_before: int | None = Field(
        description="If not: the `before` with which the search goes on."
    )
    scanned_bytes: int = Field(description="How much was searched.")
    not_ingested: int = Field(
        description="How many log files have something that was not searched, as nobody follows "
        "them."
    )


class Appended(Answer):
    """The numbers that reported events were given."""

    first_seq: int
    last_seq: int = Field(description="`first_seq` - 1 if nothing had to be added.")


class LinkShown(Answer):
    """Where something can be seen."""

    url: str
    label: str = ""


class MessageShown(Answer):
    """A message of the bus."""

    msg_id: str
    seq: int = Field(description="Its number on the bus: 1, 2, 3 and so on.")
    content: str
    body: str = Field(description="The same text.")
    type: str
    timestamp: Time
    project_id: str | None
    task_id: str | None
    run_id: str | None
    parents: list[str]
    links: list[LinkShown]
    meta: dict[str, Any]


class MessagePage(Answer):
    """A page of messages, oldest first."""

    messages: list[MessageShown]
    next_after: int = Field(description="The cursor of the next page.")


class Posted(Answer):
    """A message was posted."""

    msg_id: str
    timestamp: Time


class ApprovalShown(Answer):
    """Something an agent asks leave for."""

    # Agents say more of what they ask, each in its own words.
    model_config = ConfigDict(extra="allow")

    id: str
    tool: str = Field(description="What it wants to use.")
    input: Any = Field(description="What it wants to give it.")
    state: Literal["pending", "allowed", "denied", "expired", "withdrawn"]
    asked_at: Time


class ApprovalList(Answer):
    """A run's approvals, in the order they were asked for."""

    approvals: list[ApprovalShown]


class ArgumentShown(Answer):
    """An argument of a tool or agent."""

    required: bool
    default: str | None = Field(description="What it is if not given.")
    pattern: str | None = Field(description="What it must match.")


class ToolShown(Answer):
    """A configured command template."""

    name: str
    dialect: str = Field(description="How its output is understood.")
    arguments: dict[str, ArgumentShown]


class ToolList(Answer):
    """What `tool` may be."""

    tools: list[ToolShown]


class AgentShown(Answer):
    """A coding agent that can be started."""

    name: str
    driver: str = Field(description="Which kind of agent it is.")
    dialect: str = Field(description="How its output is understood.")
    arguments: dict[str, ArgumentShown]


class AgentList(Answer):
    """What `agent` may be."""

    agents: list[AgentShown]


class WatchedShown(Answer):
    """A folder of log files that become runs."""

    name: str
    root: str
    glob: str = Field(description="Which files, or folders, below the root.")
    format: str = Field(description="How the files are written.")
    dialect: str = Field(description="How the lines in them are understood.")
    workspace: str = Field(description="Id of the workspace of the runs.")
    ingest: Literal["watched", "always"] = Field(
        description="Whether files are read while somebody follows their run, or always."
    )
    sources: int = Field(description="Files, or pairs of files, that became runs.")
    tailed: int = Field(description="How many of them are read at the moment.")
    ended: int = Field(description="How many have a run that has ended.")
    left_alone: int = Field(
        description="Files that are not read any more, since their run was cancelled or deleted."
    )
    older: int = Field(description="Files that are older generations of others, and no runs.")
    not_ingested: int = Field(description="How many say more than their log, as nobody follows.")
    unreadable: int = Field(description="How many could not be read when that was tried last.")
    hints: bool = Field(description="Whether the system tells of changes; else they are polled.")
    problem: str | None = Field(description="Why nothing is found, or not everything.")


class WatchList(Answer):
    """The watched folders."""

    watch: list[WatchedShown]


class Removed(Answer):
    """How many runs were removed."""

    removed: int


class Healthy(Answer):
    """All is well."""

    status: str


class QueueShown(Answer):
    """How busy the server is."""

    queued: int
    running: int
    max: int


class PositionsShown(Answer):
    """Where the store stands."""

    head: int = Field(description="Position of the newest event.")
    floor: int = Field(description="Events up to this position may have been removed.")


class StatusAnswer(Answer):
    """What the server is doing."""

    version: str
    started_at: Time
    uptime_s: float
    runs: dict[Status, int]
    queue: QueueShown
    streams: int
    positions: PositionsShown
    data_dir: str
    draining: bool
