"""What the runner leaves for the server: that the command was started, and how it ended."""

from __future__ import annotations

import os
import time

from runcast.spool.folder import EXIT_BYTES, FORMAT, sync_folder, write_file
from runcast.spool.light import encode, signal_name
from runcast.spool.processes import identity

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from runcast.spool.folder import RunFolder

# How long each text and list may be, tried in turn until the record fits into its reserve.
_SIZES = ((1000, 100), (300, 30), (100, 20), (50, 10), (20, 5))


def micros() -> int:
    """Return the time in µs since the epoch."""
    return time.time_ns() // 1000


def mark_started(folder: RunFolder, guard: Mapping[str, int]) -> int:
    """Claim the one start of this run, safe from a power cut; return its time in µs.

    Raises FileExistsError if the command was started before, and OSError.
    """
    started_at = micros()
    who = {"guard": dict(guard), "worker": identity(os.getpid())}
    record = {"format": FORMAT, **who, "time": started_at}
    temporary = f"{folder.started_path}.{os.getpid()}"
    try:
        write_file(temporary, encode(record).encode("ascii"))
        os.link(temporary, folder.started_path)  # exclusive, and never seen half written
    finally:
        os.unlink(temporary)
    sync_folder(folder.path)
    return started_at


def outcome(reason: str, started_at: int | None, status: int | None) -> dict[str, Any]:
    """Describe the end of a run; `status` is the command's wait status, None if unknown."""
    code = None if status is None else os.waitstatus_to_exitcode(status)
    killed_by = code is not None and code < 0
    return {
        "format": FORMAT,
        "reason": reason,
        "exit_code": None if killed_by else code,
        "signal": signal_name(-code) if code is not None and code < 0 else None,
        "error": None,
        "started_at": started_at,
        "ended_at": micros(),
        "killed": [],
        "leftovers": [],
        "spool_bytes": 0,
        "lost_bytes": None,
    }


def process_list(found: Mapping[int, str]) -> list[dict[str, Any]]:
    """Write pid -> command as the outcome lists processes."""
    return [{"pid": pid, "command": command} for pid, command in found.items()]


def record_exit(folder: RunFolder, outcome: Mapping[str, Any]) -> None:
    """Write exit.json into its reserve and show it, whole and safe from a power cut."""
    data = fitted(outcome)
    fd = os.open(folder.reserve_path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.pwrite(fd, data, 0)
        os.ftruncate(fd, len(data))
        os.fsync(fd)
    finally:
        os.close(fd)
    os.rename(folder.reserve_path, folder.exit_path)
    sync_folder(folder.path)


def fitted(outcome: Mapping[str, Any]) -> bytes:
    """Encode an outcome in at most EXIT_BYTES, shortening texts and lists as far as needed.

    A list that was cut ends with an entry of pid 0 that says how many more there were.
    """
    data = b""
    for text, entries in _SIZES:
        short = {name: _shortened(value, text, entries) for name, value in outcome.items()}
        data = encode(short).encode("ascii") + b"\n"
        if len(data) <= EXIT_BYTES:
            break
    return data


def _shortened(value: Any, text: int, entries: int) -> Any:
    if isinstance(value, str) and len(value) > text:
        return value[: text - 1] + "…"
    if isinstance(value, dict):
        return {name: _shortened(item, text, entries) for name, item in value.items()}
    if isinstance(value, list):
        kept = [_shortened(item, text, entries) for item in value[:entries]]
        more = len(value) - len(kept)
        return kept + ([{"pid": 0, "command": f"and {more} more"}] if more else [])
    return value
