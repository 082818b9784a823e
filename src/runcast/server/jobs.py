"""Jobs that a program executes itself, told to whoever watches `/api/stream/JOB`."""

from collections.abc import Callable, Mapping
from typing import Literal, TypedDict, Unpack

from runcast.core.ids import folded
from runcast.core.runs import TERMINAL
from runcast.runtime.workspaces import DEFAULT
from runcast.server.backlog import Emission
from runcast.server.targets import RunTarget, checked_id, ending, report

Sessions = Callable[[], Mapping[str, int]]


class JobChoices(TypedDict, total=False):
    """What a job is told to be of; what comes with the first message about it counts."""

    tool_id: str
    project_id: str


class Jobs:
    """Tells of jobs. Every call returns at once, like `Server.emit`, and keeps the order.

    The first message about a job adds it as an external run of that id, whether or not anybody
    watches; late watchers get everything from the start. What the log refuses, for instance
    output after the end or messages about a job that runcast executes, is logged and dropped.
    """

    def __init__(self, put: Callable[[Emission], None], sessions: Sessions) -> None:
        self._put = put
        self._sessions = sessions

    def send_output(
        self,
        job_id: str,
        line: str,
        stream: Literal["stdout", "stderr"] = "stdout",
        **choices: Unpack[JobChoices],
    ) -> None:
        """Tell a line that the job printed; raise ValueError, Full."""
        if stream not in ("stdout", "stderr"):
            raise ValueError(f"stream must be stdout or stderr, not {stream!r}")
        data = {"stream": stream, "text": _text(line, "line")}
        self._put(report(_target(job_id, choices), "output", data))

    def send_complete(
        self,
        job_id: str,
        exit_code: int | None = 0,
        status: Literal["completed", "failed", "cancelled"] | None = None,
        signal: str | None = None,
        **choices: Unpack[JobChoices],
    ) -> None:
        """Tell that the job has ended, as its exit code says unless there is a status.

        Watchers get `complete`. A `signal` such as SIGKILL goes with no exit code.
        """
        if status is None:
            status = "completed" if exit_code == 0 and signal is None else "failed"
        if status not in TERMINAL:
            raise ValueError(f"status must be one of {', '.join(sorted(TERMINAL))}")
        reason = "cancelled" if status == "cancelled" else "exit" if signal is None else "signal"
        outcome = {
            "status": status,
            "reason": reason,
            "exit_code": exit_code if signal is None else None,
            "signal": signal,
        }
        self._put(ending(_target(job_id, choices), outcome))

    def send_error(self, job_id: str, message: str, **choices: Unpack[JobChoices]) -> None:
        """Tell that the job could not be done. Watchers get `error`."""
        outcome = {"status": "failed", "error": _text(message, "message")}
        self._put(ending(_target(job_id, choices), outcome))

    def has_session(self, job_id: str) -> bool:
        """Tell whether anybody watches the job."""
        return self.session_count(job_id) > 0

    def session_count(self, job_id: str) -> int:
        """Count who watches the job: open streams, also of a job that does not exist yet."""
        return self._sessions().get(folded(job_id), 0)

    @property
    def active_session_count(self) -> int:
        """Count who watches any job."""
        return sum(self._sessions().values())


def _target(job_id: str, choices: JobChoices) -> RunTarget:
    return RunTarget(
        folded(checked_id(job_id, "job_id")),
        choices.get("tool_id", "job"),
        workspace_id=choices.get("project_id", DEFAULT),
    )


def _text(value: str, what: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{what} must be a text, not {value!r}")
    return value
