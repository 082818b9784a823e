"""What the agents of a program do, told to whoever is subscribed on `/ws`."""

from collections.abc import Callable
from typing import Any

from runcast.server.backlog import Emission
from runcast.server.targets import RunTarget, checked_id, report

_KIND = "agent"  # what such a run is called
_ACTIONS = ("created", "modified", "deleted")


class Activity:
    """Tells of agents. Every call returns at once, like `Server.emit`, and keeps the order.

    The first message about a run adds it as an external run of that id in its work order. What
    the log refuses is logged and dropped. All raise ValueError for what cannot be kept, and Full.
    """

    def __init__(self, put: Callable[[Emission], None]) -> None:
        self._put = put

    def emit_agent_tool_call(
        self,
        work_order_id: str,
        run_id: str,
        tool_use_id: str,
        tool: str,
        input: Any = None,  # noqa: A002 - as the message names it
    ) -> None:
        """Tell that an agent starts a tool."""
        given = {} if input is None else input
        data = {"tool_call_id": tool_use_id, "tool": tool, "input": given}
        self._emit(work_order_id, run_id, "tool_call", data)

    def emit_agent_tool_result(
        self,
        work_order_id: str,
        run_id: str,
        tool_use_id: str,
        success: bool,
        content: str = "",
        duration_ms: int | None = None,
    ) -> None:
        """Tell a tool's answer."""
        data = {
            "tool_call_id": tool_use_id,
            "ok": success,
            "content": content,
            "size": len(content.encode(errors="replace")),
            "duration_ms": duration_ms,
        }
        self._emit(work_order_id, run_id, "tool_result", data)

    def emit_agent_output(self, work_order_id: str, run_id: str, content: str) -> None:
        """Tell what an agent prints or says."""
        data = {"stream": "stdout", "text": content}
        self._emit(work_order_id, run_id, "output", data)

    def emit_file_changed(
        self,
        work_order_id: str,
        run_id: str,
        path: str,
        action: str,
        size_bytes: int | None = None,
    ) -> None:
        """Tell that a file was created, modified or deleted."""
        if action not in _ACTIONS:
            raise ValueError(f"action must be one of {', '.join(_ACTIONS)}, not {action!r}")
        size = {} if size_bytes is None else {"size": size_bytes}
        self._emit(work_order_id, run_id, "file_changed", {"path": path, "action": action, **size})

    def emit_progress_update(
        self,
        work_order_id: str,
        run_id: str,
        percentage: float | None = None,
        current_phase: str = "",
        tool_call_count: int = 0,
        elapsed_seconds: float = 0,
    ) -> None:
        """Tell how far a run is; with a percentage, watchers also get the time that remains."""
        data = {
            "percentage": percentage,
            "phase": current_phase,
            "tool_calls": tool_call_count,
            "elapsed_s": elapsed_seconds,
        }
        self._emit(work_order_id, run_id, "progress", data)

    def _emit(self, work_order_id: str, run_id: str, kind: str, data: dict[str, Any]) -> None:
        task_id = checked_id(work_order_id, "work_order_id")
        target = RunTarget(checked_id(run_id, "run_id"), _KIND, task_id)
        self._put(report(target, kind, data))
