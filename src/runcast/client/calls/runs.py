"""What can be asked of runs, and of the server that has them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Unpack
from urllib.parse import quote

import msgspec

from runcast.client import types
from runcast.client.backoff import Backoff
from runcast.client.call import Answer, Call, Pause, Steps, nothing, one, raw, whole
from runcast.client.calls.fields import PAGE, RUNS, given, query, run_path
from runcast.client.errors import ClientError

if TYPE_CHECKING:
    from runcast.client import specs

LONGEST_WAIT_S = 60.0  # that a server lets one request wait for the end of a run

T = TypeVar("T")


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
    """Return a run at its end, or as it stands after `timeout_s`.

    A server that answers at first may go away meanwhile: it is waited for, too.
    """
    deadline = time.monotonic() + timeout_s
    run: types.Run = yield get(run_id)
    backoff = Backoff()
    while run.ended_at is None and (left := deadline - time.monotonic()) > 0:
        try:
            run = yield get(run_id, min(left, LONGEST_WAIT_S))
        except ClientError as problem:
            left = deadline - time.monotonic()
            if not problem.retryable or left <= 0:
                raise
            yield Pause(min(backoff.failed(), left))
        else:
            backoff.succeeded()
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
        params = given(limit=size, page_token=token) | query(where)
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


def _read_approvals(answer: Answer) -> list[types.Approval]:
    known = one("approvals", list[types.Approval])(answer)
    said = one("approvals", list[dict[str, Any]])(answer)
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
    body = given(decision=decision, message=message, input=input)
    path = f"{run_path(run_id)}/approvals/{quote(approval_id, safe='')}"
    return Call(method="POST", path=path, json=body, read=one("run", types.Run))


def events(run_id: str, after: int = 0, limit: int | None = None) -> Call[types.EventPage]:
    """Return the stored events after number `after`: at most `limit`, 1,000 or 1 MiB of them."""
    params = given(after=after, limit=limit)
    read = whole(types.EventPage)
    return Call(method="GET", path=f"{run_path(run_id)}/events", params=params, read=read)


def append(
    run_id: str, drafts: Sequence[Mapping[str, Any]], after: int | None = None
) -> Call[types.Span]:
    """Report what happened in an external run: all of the drafts, in order, or none.

    Conflict if `after` is given and is not the run's last number.
    """
    body = given(events=drafts, after=after)
    path = f"{run_path(run_id)}/events"
    return Call(method="POST", path=path, json=body, read=whole(types.Span))


def output(run_id: str, stream: Literal["stdout", "stderr"] | None = None) -> Call[bytes]:
    """Return the bytes that a command has printed so far; of both streams as they were read."""
    params = given(stream=stream)
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
    body = given(max_age=max_age, max_count=max_count, max_bytes=max_bytes)
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
    params = {"q": text} | query(scope)
    return Call(method="GET", path="/api/v1/search", params=params, read=whole(kind))
