"""Every operation of the API once, named as the clients' methods: what is asked, how it is read."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Unpack
from urllib.parse import quote

import msgspec

from runcast.client import types
from runcast.client.call import WORKSPACE_HEADER, Call, Steps, nothing, one, raw, whole

if TYPE_CHECKING:
    from runcast.client import specs

RUNS = "/api/v1/runs"
PROCESSES = "/api/processes"
MESSAGES = "/api/v1/messages"
PAGE = 500  # runs or processes that one answer may hold
LONGEST_WAIT_S = 60.0  # that a server lets one request wait for the end of a run

T = TypeVar("T")


# Runs.


def start(**spec: Unpack[specs.RunSpec]) -> Call[types.Run]:
    """Submit a run; it is durably queued when this returns."""
    read = one("run", types.Run)
    return Call(method="POST", path=RUNS, json=spec, read=read, workspace="workspace_id")


def get(run_id: str, wait_s: float = 0) -> Call[types.Run]:
    """Return a run as it stands, at its end, or after `wait_s` (at most 60), whichever is first."""
    params = {"wait_s": wait_s} if wait_s else {}
    read = one("run", types.Run)
    return Call(method="GET", path=run_path(run_id), params=params, read=read, waits_s=wait_s)


def wait(run_id: str, timeout_s: float = float("inf")) -> Steps[types.Run]:
    """Return a run at its end, or as it stands after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while True:
        left = max(deadline - time.monotonic(), 0)
        run: types.Run = yield get(run_id, min(left, LONGEST_WAIT_S))
        if run.ended_at is not None or left <= LONGEST_WAIT_S:
            return run


def list_runs(limit: int | None = None, **where: Unpack[specs.RunFilter]) -> Steps[list[types.Run]]:
    """List the newest runs that match, newest first, over as many pages as it takes."""
    return pages(types.Run, limit, where)


def pages(kind: type[T], limit: int | None = None, where: Mapping[str, Any] = {}) -> Steps[list[T]]:
    """List runs as `list_runs` does, each as a `kind`; as a dict it is all that was sent."""
    runs: list[T] = []
    token: str | None = None
    while limit is None or len(runs) < limit:
        size = PAGE if limit is None else min(limit - len(runs), PAGE)
        params = _given(limit=size, page_token=token) | _query(where)
        page: types.RunPage[T] = yield Call(
            method="GET",
            path=RUNS,
            params=params,
            read=whole(types.RunPage[kind]),  # type: ignore[valid-type]
        )
        runs += page.runs
        token = page.next_page_token
        if token is None:
            break
    return runs


def cancel(run_id: str) -> Call[types.Run]:
    """Ask a run to end; return it as it stands. It has ended once its status says so."""
    return Call(method="POST", path=f"{run_path(run_id)}/cancel", read=one("run", types.Run))


def delete(run_id: str) -> Call[None]:
    """Remove an ended run with its log and output, for good."""
    return Call(method="DELETE", path=run_path(run_id), read=nothing)


def send(run_id: str, text: str, *, newline: bool = True, eof: bool = False) -> Call[types.Run]:
    """Give a run text to read, after all that was sent before; `eof` ends its input.

    The text is durably queued when this returns.
    """
    body = {"text": text, "newline": newline, "eof": eof}
    path = f"{run_path(run_id)}/input"
    return Call(method="POST", path=path, json=body, read=one("run", types.Run))


def approvals(run_id: str) -> Call[list[types.Approval]]:
    """Return what a run has asked so far, in order, each with its `state`."""
    return Call(method="GET", path=f"{run_path(run_id)}/approvals", read=_read_approvals)


def _read_approvals(body: bytes, status: int) -> list[types.Approval]:
    known = one("approvals", list[types.Approval])(body, status)
    said = one("approvals", list[dict[str, Any]])(body, status)
    return list(map(_with_all, known, said))


def _with_all(approval: types.Approval, said: dict[str, Any]) -> types.Approval:
    return msgspec.structs.replace(approval, said=said)


def approve(
    run_id: str,
    approval_id: str,
    decision: Literal["allow", "deny"] = "allow",
    *,
    message: str | None = None,
    input: Mapping[str, Any] | None = None,  # noqa: A002 - its name in the API
) -> Call[types.Run]:
    """Answer an approval; Conflict if it was answered before, by whoever it was.

    With `allow`, `input` replaces what the tool was to be given.
    """
    body = _given(decision=decision, message=message, input=input)
    path = f"{run_path(run_id)}/approvals/{quote(approval_id, safe='')}"
    return Call(method="POST", path=path, json=body, read=one("run", types.Run))


def events(run_id: str, after: int = 0, limit: int | None = None) -> Call[types.EventPage]:
    """Return the stored events after number `after`: at most `limit`, 1,000 or 1 MiB of them."""
    params = _given(after=after, limit=limit)
    read = whole(types.EventPage)
    return Call(method="GET", path=f"{run_path(run_id)}/events", params=params, read=read)


def append(
    run_id: str, drafts: Sequence[Mapping[str, Any]], after: int | None = None
) -> Call[types.Span]:
    """Report what happened in an external run: all of the drafts, in order, or none.

    Conflict if `after` is given and is not the run's last number.
    """
    body = _given(events=drafts, after=after)
    path = f"{run_path(run_id)}/events"
    return Call(method="POST", path=path, json=body, read=whole(types.Span))


def output(run_id: str, stream: Literal["stdout", "stderr"] | None = None) -> Call[bytes]:
    """Return the bytes that a command has printed so far; of both streams as they were read."""
    params = _given(stream=stream)
    return Call(method="GET", path=f"{run_path(run_id)}/output", params=params, read=raw)


def blob(run_id: str, blob_id: str) -> Call[bytes]:
    """Return the whole of a text that was too long for its event, in UTF-8."""
    path = f"{run_path(run_id)}/blobs/{quote(blob_id, safe='')}"
    return Call(method="GET", path=path, read=raw)


def prune(
    max_age: float | None = None, max_count: int | None = None, max_bytes: int | None = None
) -> Call[int]:
    """Remove the ended runs beyond these limits, oldest first; return how many.

    `max_age` is in seconds since their end.
    """
    body = _given(max_age=max_age, max_count=max_count, max_bytes=max_bytes)
    return Call(method="POST", path="/api/v1/prune", json=body, read=one("removed", int))


def agents() -> Call[list[types.Agent]]:
    """Return the agents that runs can be started with."""
    return Call(method="GET", path="/api/v1/agents", read=one("agents", list[types.Agent]))


def tools() -> Call[list[types.Tool]]:
    """Return the tools that runs can be started with, and the arguments they take."""
    return Call(method="GET", path="/api/v1/tools", read=one("tools", list[types.Tool]))


def status() -> Call[types.ServerStatus]:
    """Return what the server says of itself."""
    return Call(method="GET", path="/api/v1/status", read=whole(types.ServerStatus))


def search(text: str, **scope: Unpack[specs.SearchScope]) -> Call[types.SearchResult]:
    """Search what runs have said for a text, letter by letter, newest first, for 2 s at most.

    If it is not `complete`, the rest is found with `before=next_before`.
    """
    return found(types.SearchResult, text, scope)


def found(kind: type[T], text: str, scope: Mapping[str, Any]) -> Call[T]:
    """Search as `search` does, for a `kind`; as a dict it is all that was sent."""
    params = {"q": text} | _query(scope)
    return Call(method="GET", path="/api/v1/search", params=params, read=whole(kind))


# Workspaces and processes: what other programs execute and report.


def put_workspace(
    root_path: str,
    name: str,
    *,
    id: str | None = None,  # noqa: A002 - its name in the API
    color: str | None = None,
) -> Call[types.Workspace]:
    """Add a workspace, or give the one of this id and folder another name and color."""
    body = _given(id=id, name=name, rootPath=root_path, color=color)
    read = whole(types.Workspace)
    return Call(method="POST", path="/api/workspaces", json=body, read=read)


def workspaces() -> Call[list[types.Workspace]]:
    """Return all workspaces, `default` first."""
    read = one("workspaces", list[types.Workspace])
    return Call(method="GET", path="/api/workspaces", read=read)


def submit(
    prompt_preview: str,
    status: str = "running",
    start_time: datetime | None = None,
    **known: Unpack[specs.Report],
) -> Call[types.Process]:
    """Report a process that this program executes; its start is now unless given."""
    began = start_time or datetime.now(UTC)
    body = {"promptPreview": prompt_preview, "status": status, "startTime": began} | _camel(known)
    # Said in the body, it is not said by the header, too.
    where = "" if "workspaceId" in body else WORKSPACE_HEADER
    read = whole(types.Process)
    return Call(method="POST", path=PROCESSES, json=body, read=read, workspace=where)


def update(process_id: str, **change: Unpack[specs.Change]) -> Call[types.Process]:
    """Tell what has changed of a process, and nothing else of it; return it as it is now."""
    path = process_path(process_id)
    return Call(method="PATCH", path=path, json=_camel(change), read=whole(types.Process))


def remove(process_id: str) -> Call[None]:
    """Remove a process with its output; it is well if there is none."""
    path = process_path(process_id)
    return Call(method="DELETE", path=path, read=nothing, accepts=frozenset({404}))


def get_process(process_id: str) -> Call[types.Process]:
    """Return a run as a process."""
    return Call(method="GET", path=process_path(process_id), read=one("process", types.Process))


def list_processes(
    limit: int | None = None, **where: Unpack[specs.ProcessFilter]
) -> Steps[list[types.Process]]:
    """List the newest processes that match, newest first, over as many pages as it takes."""
    found: list[types.Process] = []
    while limit is None or len(found) < limit:
        size = PAGE if limit is None else min(limit - len(found), PAGE)
        params = {"limit": size, "offset": len(found)} | _query(where)
        read = one("processes", list[types.Process])
        page: list[types.Process] = yield Call(
            method="GET", path=PROCESSES, params=params, read=read
        )
        found += page
        if len(page) < size:
            break
    return found


def clear(status: str) -> Call[int]:
    """Remove all processes that ended with this status, in every workspace; return how many."""
    read = one("removed", int)
    return Call(method="DELETE", path=PROCESSES, params={"status": status}, read=read)


def emit_output(process_id: str, content: str) -> Call[int]:
    """Report what a process has printed, cut wherever you like; return its number."""
    path = f"{process_path(process_id)}/output"
    return Call(method="POST", path=path, json={"content": content}, read=one("seq", int))


def cancel_process(process_id: str) -> Call[types.Process]:
    """Ask a process to end; one that a client executes is cancelled at once, for all to see."""
    path = f"{process_path(process_id)}/cancel"
    return Call(method="POST", path=path, read=whole(types.Process))


def stats() -> Call[types.Stats]:
    """Count all runs, by status and by workspace."""
    return Call(method="GET", path="/api/stats", read=whole(types.Stats))


# Messages and envelopes.


def post_message(body: str, **about: Unpack[specs.About]) -> Call[types.Posted]:
    """Post a message to everybody who follows the bus; it is kept when this returns."""
    said = {"body": body, **about}
    read = whole(types.Posted)
    return Call(method="POST", path=MESSAGES, json=said, read=read, workspace="project_id")


def messages(
    after: int | None = None, limit: int | None = None, **where: Unpack[specs.MessageFilter]
) -> Call[types.MessagePage]:
    """Return the messages after number `after`, from the first kept without, oldest first."""
    params = _given(after=after, limit=limit) | _query(where)
    return Call(method="GET", path=MESSAGES, params=params, read=whole(types.MessagePage))


def post(envelopes: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> Call[int]:
    """Post one envelope, or several in order: all or none; return how many were taken."""
    return Call(
        method="POST",
        path="/api/v1/envelopes",
        json=envelopes,
        read=one("accepted", int),
        workspace=WORKSPACE_HEADER,
    )


# Paths, and what is sent.


def run_path(run_id: str) -> str:
    """Return the path of a run, whatever characters its id has."""
    return f"{RUNS}/{quote(run_id, safe='')}"


def process_path(process_id: str) -> str:
    """Return the path of a process, whatever characters its id has."""
    return f"{PROCESSES}/{quote(process_id, safe='')}"


def _given(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _query(where: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in where.items()
        if value is not None
    }


def _camel(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Name fields as surfaces do that speak camelCase; a None is sent: it clears a field."""
    return {
        "".join([first, *map(str.capitalize, rest)]): value
        for (first, *rest), value in ((name.split("_"), value) for name, value in fields.items())
    }
