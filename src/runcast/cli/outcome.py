"""The exit code of `runcast run`: what a shell would have given for the same end. Pure."""

import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runcast.client.types import Run

OWN_ERROR = 125

# Reason -> exit code, for the ends that have none of their own.
_BY_REASON: dict[str | None, int] = {
    "cancelled": 130,
    "timeout": 124,
    "lost": OWN_ERROR,
    "agent": 1,
}
_NOT_FOUND, _NOT_EXECUTABLE = 127, 126


def exit_code(run: "Run") -> int:
    """Translate the end of a run into an exit code."""
    reason = run.reason
    if reason == "spawn":
        return _NOT_FOUND if _is_missing(run.error or "") else _NOT_EXECUTABLE
    if reason == "signal":
        return 128 + _signal_number(run.signal or "")
    if reason in _BY_REASON and not (reason == "agent" and run.exit_code):
        return _BY_REASON[reason]
    code = run.exit_code
    return OWN_ERROR if code is None else code


def explain(run: "Run") -> str | None:
    """Say in one line why a run ended, unless its own exit code says it all."""
    if run.reason == "exit":
        return None
    if run.error:
        return run.error
    said = f"run {run.id} {run.status}"
    why = run.signal if run.reason == "signal" else run.reason
    return said if why == run.status else f"{said}: {why}"


def _is_missing(error: str) -> bool:
    # What the runner says of a program, not of a folder that it should have run in.
    return error.startswith("cannot run") and "no such" in error.rpartition(": ")[2].lower()


def _signal_number(name: str) -> int:
    try:
        return signal.Signals[name].value
    except KeyError:  # a real-time signal: SIGRTMIN+n
        base, _, offset = name.partition("+")
        return signal.Signals[base].value + int(offset) if base in signal.Signals.__members__ else 0
