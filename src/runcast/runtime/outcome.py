"""What a run came to: the runner's record of the exit becomes a status and its fields. Pure."""

import signal
from typing import Any

from runcast.core.runs import Process, Reason, Status

# The runner's reason -> status; `exit` depends on the code.
_STATUS: dict[str, Status] = {
    "signal": "failed",
    "timeout": "failed",
    "spawn": "failed",
    "lost": "failed",
    "cancelled": "cancelled",
}
LOST = "the runner is gone and left no record of how the command ended"


def outcome_of(record: dict[str, Any], *, cancel_requested: bool) -> tuple[Status, dict[str, Any]]:
    """Return the status and the outcome fields for a runner's exit record."""
    reason: Reason = record["reason"]
    if reason == "lost" and cancel_requested:
        reason = "cancelled"  # the runner had to be killed because it did not obey
    if reason == "exit":
        status: Status = "completed" if record["exit_code"] == 0 else "failed"
    else:
        status = _STATUS[reason]
    fields = {
        "reason": reason,
        "exit_code": record.get("exit_code"),
        "signal": record.get("signal"),
        "error": record.get("error") or explain(reason, record),
        "ended_at": record["ended_at"],
        "killed": _processes(record.get("killed")),
        "leftovers": _processes(record.get("leftovers")),
        "lost_bytes": record.get("lost_bytes"),
    }
    if record.get("started_at") is not None:
        fields["started_at"] = record["started_at"]
    return status, fields


def explain(reason: Reason, record: dict[str, Any]) -> str | None:
    """Say in a sentence why a run failed; None where the fields say it all."""
    match reason:
        case "exit" if record["exit_code"]:
            return f"the command exited with code {record['exit_code']}"
        case "signal":
            return f"the command was ended by {record['signal']} ({_meaning(record['signal'])})"
        case "timeout":
            return "the command ran longer than its timeout"
        case "lost":
            return LOST
    return None


def _meaning(name: str) -> str:
    try:
        return signal.strsignal(signal.Signals[name]) or name
    except KeyError:
        return name


def _processes(found: list[dict[str, Any]] | None) -> list[Process] | None:
    return [Process(one["pid"], one["command"]) for one in found] if found else None
