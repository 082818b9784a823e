"""What clients are given: the shapes of answers, as the API's description shows them.

Answers are built from core values and not run through these models; the tests check that each
answer fits its model.
"""

from typing import Any

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
    source: Source = Field(description="`run`: executed by runcast.")
    command: list[str] | None
    tool: str | None
    agent: str | None
    dialect: str = Field(description="How the output is understood.")
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
