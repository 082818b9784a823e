"""Runs: what one is, its statuses, and the one table that says which may follow which."""

from typing import Any, Literal

import msgspec

from runcast.core.errors import Conflict
from runcast.core.times import format_time

Status = Literal["queued", "running", "completed", "failed", "cancelled"]
Reason = Literal["exit", "signal", "timeout", "spawn", "agent", "lost", "cancelled"]
Source = Literal["run", "external", "watch"]

STATUSES: tuple[Status, ...] = ("queued", "running", "completed", "failed", "cancelled")
TERMINAL: frozenset[Status] = frozenset({"completed", "failed", "cancelled"})

# Which status may follow which, for a run that runcast executes.
TRANSITIONS: dict[Status, frozenset[Status]] = {
    "queued": frozenset({"running", "failed", "cancelled"}),
    "running": frozenset({"completed", "failed", "cancelled"}),
    "completed": frozenset(),
    "failed": frozenset(),
    "cancelled": frozenset(),
}
# A client may report an external run as done without ever having called it running.
EXTERNAL_TRANSITIONS: dict[Status, frozenset[Status]] = {
    **TRANSITIONS,
    "queued": TRANSITIONS["queued"] | {"completed"},
}


class Process(msgspec.Struct, frozen=True):
    """A process that outlived its run's end and had to be ended."""

    pid: int
    command: str


class RunRef(msgspec.Struct, frozen=True):
    """What never changes about a run: enough to tell of its events without looking it up.

    `actor` is who speaks in them, as `kind_of` names it.
    """

    id: str
    task_id: str
    workspace_id: str
    actor: str
    source: Source


class Run(msgspec.Struct, kw_only=True, forbid_unknown_fields=False):
    """One execution, or one external producer; times are µs since the epoch.

    `key` names its folder on disk: an internal UUIDv7, so that an id chosen by a client never
    becomes a path. `order` grows with every creation and gives lists their order. `stdin` says
    what the command reads: `text` that is fixed, a `pipe` that stays open until a client ends it,
    or the pipe of an `agent`, which is ended after its last word; null is nothing at all.
    `stdin_bytes` were given to it so far, the initial text among them; after `stdin_ended`
    nothing more can be. `hung` runs had to be ended because they lived on after that last word.
    Clients say of an external run what `kind` it is, how it was asked (`prompt_preview`,
    `full_prompt`) and, beside its result, a `structured_result`; `heard_at` is roughly when they
    were last heard of.
    """

    id: str
    key: str
    task_id: str
    workspace_id: str = "default"
    source: Source = "run"
    command: list[str] | None = None
    tool: str | None = None
    agent: str | None = None
    kind: str | None = None
    prompt_preview: str | None = None
    full_prompt: str | None = None
    dialect: str = "lines"
    cwd: str | None = None
    timeout_s: float | None = None
    grace_s: float | None = None
    keep_background: bool = False
    stdin: Literal["pipe", "text", "agent"] | None = None
    stdin_bytes: int = 0
    stdin_ended: bool = False
    metadata: dict[str, Any] = {}
    status: Status = "queued"
    reason: Reason | None = None
    exit_code: int | None = None
    signal: str | None = None
    result: Any = None
    structured_result: Any = None
    error: str | None = None
    created_at: int = 0
    started_at: int | None = None
    ended_at: int | None = None
    heard_at: int | None = None
    killed: list[Process] | None = None
    leftovers: list[Process] | None = None
    lost_bytes: int | None = None
    hung: bool = False
    pending_approvals: int = 0
    cancel_requested: bool = False
    order: int = 0
    last_seq: int = 0
    bytes: int = 0

    @property
    def ended(self) -> bool:
        """Whether the status is terminal."""
        return self.status in TERMINAL


# What the log's owner may change together with a status; everything else is fixed at creation.
OUTCOME_FIELDS = (
    "reason",
    "exit_code",
    "signal",
    "result",
    "structured_result",
    "error",
    "metadata",
    "started_at",
    "ended_at",
    "killed",
    "leftovers",
    "lost_bytes",
)


def kind_of(run: Run) -> str:
    """Name what a run is: its agent, its tool, what its client calls it, or `command`."""
    return run.agent or run.tool or run.kind or "command"


def ref_of(run: Run) -> RunRef:
    """Return what never changes about a run."""
    return RunRef(run.id, run.task_id, run.workspace_id, kind_of(run), run.source)


def fixed_metadata(run: Run) -> dict[str, Any]:
    """Return what of a run's metadata does not change: by it, the files of a run are found again.

    A watched run has the name of its entry (`watch`), the path of its source below the entry's root
    (`path`) and, if it is not the source's first, its number (`part`).
    """
    names = ("watch", "path", "part") if run.source == "watch" else ()
    return {name: run.metadata[name] for name in names if name in run.metadata}


def check_transition(run: Run, status: Status) -> bool:
    """Tell whether `status` is a change; raise Conflict if it is one that may not happen."""
    if run.status == status:
        return False
    table = EXTERNAL_TRANSITIONS if run.source == "external" else TRANSITIONS
    if status not in table[run.status]:
        raise Conflict("bad_transition", f"run {run.id} is {run.status} and cannot become {status}")
    return True


def status_data(run: Run) -> dict[str, Any]:
    """Make the data of the `status` event that tells where `run` stands now."""
    data: dict[str, Any] = {
        "status": run.status,
        "reason": run.reason,
        "exit_code": run.exit_code,
        "signal": run.signal,
        "result": run.result,
    }
    return data | _present(run, "error") | _span(run) | _forced(run)


def _present(run: Run, name: str) -> dict[str, Any]:
    value = getattr(run, name)
    return {} if value is None else {name: value}


def _span(run: Run) -> dict[str, str]:
    return {
        name: format_time(value)
        for name in ("started_at", "ended_at")
        if (value := getattr(run, name)) is not None
    }


def _forced(run: Run) -> dict[str, Any]:
    lists = {
        name: [msgspec.structs.asdict(process) for process in getattr(run, name)]
        for name in ("killed", "leftovers")
        if getattr(run, name)
    }
    return lists | _present(run, "lost_bytes")


def public_run(run: Run) -> dict[str, Any]:
    """Show a run as the API gives it: no folder key, times as text.

    What only external runs have is there when known, but for the full prompt, which may be long.
    """
    shown = {
        name: getattr(run, name)
        for name in (
            *("id", "task_id", "workspace_id", "source", "command", "tool", "agent", "dialect"),
            *("stdin", "status", "reason", "exit_code", "signal", "result", "error"),
        )
    }
    for name in ("created_at", "started_at", "ended_at"):
        value = getattr(run, name)
        shown[name] = None if value is None else format_time(value)
    for name in ("last_seq", "bytes", "metadata", "pending_approvals"):
        shown[name] = getattr(run, name)
    for name in ("kind", "prompt_preview", "structured_result"):
        shown |= _present(run, name)
    return shown | _forced(run)
