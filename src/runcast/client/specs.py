"""What clients may say to a call beside what they must."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, TypedDict


class RunSpec(TypedDict, total=False):
    """What to run: a `command`, a `tool` with `args`, an `agent` with a `prompt`, or `external`."""

    command: Sequence[str]
    tool: str
    args: Mapping[str, str]
    agent: str
    prompt: str
    external: bool
    id: str
    task_id: str
    workspace_id: str
    dialect: str
    cwd: str
    env: Mapping[str, str]
    timeout_s: float
    grace_s: float
    keep_background: bool
    stdin: Literal["pipe"] | Mapping[str, str]
    metadata: Mapping[str, Any]


class RunFilter(TypedDict, total=False):
    """Which runs are wanted; several statuses are separated by commas."""

    status: str
    workspace: str
    type: str
    since: datetime
    task_id: str
    source: str


class ProcessFilter(TypedDict, total=False):
    """Which processes are wanted; several statuses are separated by commas."""

    status: str
    workspace: str
    type: str
    since: datetime


class Change(TypedDict, total=False):
    """What has changed of a process."""

    status: str
    result: Any
    error: str | None
    end_time: datetime
    structured_result: Any
    metadata: Mapping[str, Any]


class Report(TypedDict, total=False):
    """What else is known of a process when it is reported."""

    id: str
    type: str
    full_prompt: str
    workspace_id: str
    result: Any
    error: str
    end_time: datetime
    structured_result: Any
    metadata: Mapping[str, Any]


class About(TypedDict, total=False):
    """What a message is about, and what goes with it."""

    type: str
    project_id: str
    task_id: str
    run_id: str
    parents: Sequence[str]
    links: Sequence[Mapping[str, str]]
    meta: Mapping[str, Any]


class MessageFilter(TypedDict, total=False):
    """Which messages are wanted."""

    project_id: str
    task_id: str
    run_id: str


class SearchScope(TypedDict, total=False):
    """Where to search; `since` is a time, or a duration up to now such as `15m`."""

    workspace: str
    run: str
    since: datetime | str
    limit: int
    context: int
    before: int


class Policy(TypedDict, total=False):
    """How a stream is followed.

    `gap`: whether one is given as an event (`yield`, unless said) or ends the following with Gap
    (`raise`). `patience_s`: how long the server may be out of reach before NoServer is raised;
    for ever unless said. `silence_s`: after this long without a byte the connection counts as
    dead, and another one is made; 45 s unless said.
    """

    gap: Literal["yield", "raise"]
    patience_s: float
    silence_s: float


class StreamFilter(TypedDict, total=False):
    """Which events of runs are wanted: of these `types`, of one of the `streams`, with a text."""

    types: Collection[str]
    streams: str
    grep: str


class Options(StreamFilter, Policy, total=False):
    """Which events of runs are wanted, and how they are followed."""


class MessageOptions(MessageFilter, Policy, total=False):
    """Which messages are wanted, and how they are followed."""
