"""Runs as processes: what a list of processes shows of one, and what is told of its changes."""

import shlex
from collections.abc import Mapping
from typing import Any

import msgspec

from runcast.core.events import Event
from runcast.core.runs import Run, public_run
from runcast.core.times import format_time

PREVIEW_CHARS = 80  # of a prompt or command line: one line of a list
TOLD_BYTES = 8 * 1024  # of a result: every change of a run tells it to everybody

_CHANGES = {
    "run_added": "process-added",
    "run_updated": "process-updated",
    "run_removed": "process-removed",
}


def public_process(run: Run) -> dict[str, Any]:
    """Show a run as a process; what is not known of it is null."""
    return _process(public_run(run), run.full_prompt)


def lifecycle_message(event: Event) -> dict[str, Any] | None:
    """Write an event of the `lifecycle` log; None if it is not about a run.

    The process lacks its full prompt, and each of its results that is longer than 8 KiB.
    """
    change = _CHANGES.get(event.data.get("name", ""))
    if change is None:
        return None
    process = _process(event.data["value"], None)
    left_out = {"fullPrompt", *(name for name in _RESULTS if _is_long(process[name]))}
    return {
        "type": change,
        "process": {name: value for name, value in process.items() if name not in left_out},
        "timestamp": format_time(event.time),
        "position": event.position,
    }


def prompt_preview(text: str) -> str:
    """Return the beginning of a prompt or command line."""
    return text[:PREVIEW_CHARS]


_RESULTS = ("result", "structuredResult")


def _process(shown: Mapping[str, Any], full_prompt: str | None) -> dict[str, Any]:
    preview = shown.get("prompt_preview")
    if preview is None:
        preview = prompt_preview(full_prompt or shlex.join(shown["command"] or ()))
    return {
        "id": shown["id"],
        "type": shown["agent"] or shown["tool"] or shown.get("kind") or "command",
        "promptPreview": preview,
        "fullPrompt": full_prompt,
        "status": shown["status"],
        "startTime": shown["started_at"] or shown["created_at"],
        "endTime": shown["ended_at"],
        "error": shown["error"],
        "result": shown["result"],
        "structuredResult": shown.get("structured_result"),
        "metadata": shown["metadata"],
        "workspaceId": shown["workspace_id"],
    }


def _is_long(result: Any) -> bool:
    encoded = result.encode() if isinstance(result, str) else msgspec.json.encode(result)
    return len(encoded) > TOLD_BYTES
