"""What can be asked of processes, which other programs execute and report, and of workspaces."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Unpack

from runcast.client import types
from runcast.client.call import WORKSPACE_HEADER, Call, Steps, nothing, one, whole
from runcast.client.calls.fields import PAGE, PROCESSES, camel, given, process_path, query

if TYPE_CHECKING:
    from runcast.client import specs


def put_workspace(
    root_path: str,
    name: str,
    *,
    id: str | None = None,  # noqa: A002 - its name in the API
    color: str | None = None,
) -> Call[types.Workspace]:
    """Add a workspace, or give the one of this id and folder another name and color."""
    body = given(id=id, name=name, rootPath=root_path, color=color)
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
    body = {"promptPreview": prompt_preview, "status": status, "startTime": began} | camel(known)
    # Said in the body, it is not said by the header, too.
    where = "" if "workspaceId" in body else WORKSPACE_HEADER
    read = whole(types.Process)
    return Call(method="POST", path=PROCESSES, json=body, read=read, workspace=where)


def update(process_id: str, **change: Unpack[specs.Change]) -> Call[types.Process]:
    """Tell what has changed of a process, and nothing else of it; return it as it is now."""
    path = process_path(process_id)
    return Call(method="PATCH", path=path, json=camel(change), read=whole(types.Process))


def remove(process_id: str) -> Call[None]:
    """Remove a process with its output; it is well if there is none."""
    path = process_path(process_id)
    return Call(method="DELETE", path=path, read=nothing, instead={"not_found": None})


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
        params = {"limit": size, "offset": len(found)} | query(where)
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
