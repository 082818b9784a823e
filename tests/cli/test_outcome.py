"""The exit code that tells how a run ended."""

from datetime import UTC, datetime
from typing import Any

import pytest

from runcast.cli.outcome import exit_code, explain
from runcast.client.types import Run


def ended(reason: str, **fields: Any) -> Run:
    now = datetime.now(UTC)
    known = {"id": "r", "task_id": "r", "workspace_id": "default", "source": "run"}
    return Run(**{**known, "status": "failed", "reason": reason, "created_at": now, **fields})


@pytest.mark.parametrize(
    ("run", "code"),
    [
        (ended("exit", exit_code=0), 0),
        (ended("exit", exit_code=7), 7),
        (ended("exit", exit_code=255), 255),
        (ended("signal", signal="SIGKILL"), 137),
        (ended("signal", signal="SIGSEGV"), 139),
        (ended("signal", signal="SIGRTMIN+3"), 165),
        (ended("signal", signal="SIGRTMIN"), 162),
        (ended("timeout"), 124),
        (ended("timeout", signal="SIGKILL"), 124),
        (ended("cancelled", exit_code=0), 130),
        (ended("cancelled", signal="SIGTERM"), 130),
        (ended("lost"), 125),
        (ended("agent", exit_code=0), 1),
        (ended("agent", exit_code=3), 3),
        (ended("spawn", error="cannot run './no': No such file or directory"), 127),
        (ended("spawn", error="cannot run 'no': there is no such program in PATH"), 127),
        (ended("spawn", error="cannot enter the folder '/no': No such file or directory"), 126),
        (ended("spawn", error="cannot run /etc/passwd: Permission denied"), 126),
        (ended("spawn"), 126),
    ],
)
def test_every_end_has_its_code(run: Run, code: int) -> None:
    assert exit_code(run) == code


@pytest.mark.parametrize(
    ("run", "line"),
    [
        (ended("exit", exit_code=1, error="the command exited with code 1"), None),
        (ended("spawn", error="cannot run nope"), "cannot run nope"),
        (ended("lost"), "run r failed: lost"),
        (ended("signal", signal="SIGKILL"), "run r failed: SIGKILL"),
        (ended("cancelled", status="cancelled"), "run r cancelled"),
    ],
)
def test_what_the_code_does_not_tell_is_said(run: Run, line: str | None) -> None:
    assert explain(run) == line
