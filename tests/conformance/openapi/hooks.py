"""Changes to made-up requests: nothing is executed but `true`, and rules beyond JSON Schema hold.

Loaded by schemathesis. A request that is meant to be wrong is changed only in the program it runs.
"""

from collections.abc import Callable
from typing import Any
from urllib.parse import urljoin

import requests
import schemathesis
from schemathesis.core.parameters import ParameterLocation

COMMAND = ["true"]
WORKSPACE = "default"
TOOL = "nothing"
SHORT_S = 0.5  # schemathesis gives up after 10 seconds, and waits may be as long as LONGEST_S
LONGEST_S = 60
LARGEST = 2**63  # whole numbers beyond it cannot be kept
DURATION = "90s"  # what is written as a text has bounds that no pattern can say


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Make a request harmless, and one that is meant to be right also right where it can't know."""
    if isinstance(case.body, dict) and _is_command(case.body.get("command")):
        case.body["command"] = COMMAND
    if case.headers and "X-Workspace-Id" in case.headers:
        case.headers["X-Workspace-Id"] = WORKSPACE
    if case.query and _is_long(case.query.get("wait_s")):
        case.query["wait_s"] = SHORT_S
    if case.meta is None:
        return
    if case.query and not _is_wrong(case, ParameterLocation.QUERY):
        known = _QUERIES.get(case.operation.label, {})
        case.query.update({name: known[name] for name in known.keys() & case.query.keys()})
    if _is_wrong(case, ParameterLocation.BODY):
        return
    case.body = _storable(case.body)
    if mend := _MENDED.get(case.operation.label):
        mend(case)


def _is_wrong(case: Any, place: ParameterLocation) -> bool:
    wrong: bool = case.meta.is_negative_at(place)
    return wrong


def _is_command(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(word, str) for word in value) and any(value)


def _is_long(seconds: Any) -> bool:
    try:
        return SHORT_S < float(seconds) <= LONGEST_S
    except (TypeError, ValueError):
        return False


def _storable(value: Any) -> Any:
    """Write whole numbers as such, not as `1.0`, and none that is too large."""
    match value:
        case dict():
            return {name: _storable(inner) for name, inner in value.items()}
        case list():
            return [_storable(inner) for inner in value]
        case float() if value.is_integer():
            return _storable(int(value))
        case int() if not -LARGEST <= value < LARGEST:
            return 0
    return value


def _mend_submission(case: Any) -> None:
    """Exactly one of `command`, `tool`, `agent` and `external`, and what goes with it."""
    if case.body.get("external"):
        kept = {"external", "id", "task_id", "metadata"}
    else:
        case.body["command"] = COMMAND
        kept = {"command", "id", "task_id", "timeout_s", "grace_s", "keep_background", "stdin"}
    case.body = {name: case.body[name] for name in case.body.keys() & kept}
    _mend_durations(case.body, "timeout_s", "grace_s")


def _mend_execution(case: Any) -> None:
    case.body |= {"toolId": TOOL, "projectId": WORKSPACE, "args": {}}


def _mend_prune(case: Any) -> None:
    """At least one limit."""
    if set(case.body.values()) <= {None}:
        case.body["max_count"] = 100
    _mend_durations(case.body, "max_age")


def _mend_durations(body: dict[str, Any], *names: str) -> None:
    for name in names:
        if isinstance(body.get(name), str):
            body[name] = DURATION


def _mend_message(case: Any) -> None:
    """`body` or `content`, not both, and something in it; a workspace and parents that exist."""
    case.body["body"] = case.body.get("body") or "text"
    case.body.pop("content", None)
    case.body.pop("parents", None)
    case.body["project_id"] = WORKSPACE


def _mend_decision(case: Any) -> None:
    """`input` with `allow` alone."""
    if case.body["decision"] == "deny":
        case.body.pop("input", None)


def _mend_events(case: Any) -> None:
    """A run that takes events; `after` in one place; a `status` that says one, and at the end."""
    case.path_parameters["run_id"] = _new_external_run(case.operation.base_url)
    if isinstance(case.body, dict):
        case.body.pop("after", None)
    events = case.body["events"] if isinstance(case.body, dict) else case.body
    for event in events[:-1]:
        if event["type"] == "status":
            event["type"] = "custom"
    if events[-1]["type"] == "status":
        events[-1]["data"] = {"status": "completed"}


def _new_external_run(server: str) -> str:
    answer = requests.post(urljoin(server, "/api/v1/runs"), json={"external": True}, timeout=10)
    return str(answer.json()["run"]["id"])


def _mend_process(case: Any) -> None:
    case.body["workspaceId"] = WORKSPACE


# What stands for a value of the query that no schema can describe.
_QUERIES: dict[str, dict[str, str]] = {
    "GET /api/v1/search": {"workspace": WORKSPACE, "since": DURATION},
}
_MENDED: dict[str, Callable[[Any], None]] = {
    "POST /api/execute": _mend_execution,
    "POST /api/processes": _mend_process,
    "POST /api/v1/messages": _mend_message,
    "POST /api/v1/prune": _mend_prune,
    "POST /api/v1/runs": _mend_submission,
    "POST /api/v1/runs/{run_id}/approvals/{approval_id}": _mend_decision,
    "POST /api/v1/runs/{run_id}/events": _mend_events,
}
