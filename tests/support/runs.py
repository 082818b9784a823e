"""Asking a server for runs, and looking past it at their folders and processes."""

import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import httpx2

from tests.support import processes
from tests.support.waiting import until

CHILDREN = Path(__file__).parents[1] / "children"

Run = dict[str, Any]


def child(name: str, *arguments: object) -> list[str]:
    """Return the command that runs one of the programs in tests/children."""
    return [sys.executable, "-IS", str(CHILDREN / f"{name}.py"), *map(str, arguments)]


def submit(client: httpx2.Client, command: Sequence[str], **fields: Any) -> str:
    """Submit a run and return its id."""
    answer = client.post("/api/v1/runs", json={"command": list(command), **fields})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["run"]["id"])


def get(client: httpx2.Client, run_id: str) -> Run:
    """Return a run as it stands."""
    answer = client.get(f"/api/v1/runs/{run_id}")
    assert answer.status_code == 200, answer.text
    run: Run = answer.json()["run"]
    return run


def wait_ended(client: httpx2.Client, run_id: str, timeout: float = 60) -> Run:
    """Return a run once it has ended."""
    deadline = time.monotonic() + timeout
    while True:
        run: Run = client.get(f"/api/v1/runs/{run_id}", params={"wait_s": 5}).json()["run"]
        if run["ended_at"] is not None:
            return run
        assert time.monotonic() < deadline, f"not ended within {timeout:g} s: {run}"


def wait_printed(client: httpx2.Client, run_id: str, text: str, timeout: float = 20) -> None:
    """Wait until a run has printed something."""
    until(lambda: text.encode() in output(client, run_id), f"{run_id} to print {text}", timeout)


def output(client: httpx2.Client, run_id: str, stream: str = "stdout") -> bytes:
    """Return what a run has printed, as its raw output."""
    answer = client.get(f"/api/v1/runs/{run_id}/output", params={"stream": stream})
    assert answer.status_code == 200, answer.text
    return answer.content


def cancel(client: httpx2.Client, run_id: str) -> None:
    """Ask for the end of a run."""
    assert client.post(f"/api/v1/runs/{run_id}/cancel").status_code == 202


def events(client: httpx2.Client, run_id: str) -> list[dict[str, Any]]:
    """Return all events of a run, read page by page."""
    found: list[dict[str, Any]] = []
    while True:
        after = found[-1]["seq"] if found else 0
        page = client.get(f"/api/v1/runs/{run_id}/events", params={"after": after}).json()
        found += page["events"]
        if page["at_end"]:
            return found


def folder_of(data_dir: Path, run_id: str) -> Path:
    """Find the folder of a run."""
    for spec in data_dir.glob("runs/*/run.json"):
        if json.loads(spec.read_bytes())["run_id"] == run_id:
            return spec.parent
    raise AssertionError(f"there is no folder of run {run_id}")


class Runner(NamedTuple):
    """The two processes that hold a run."""

    guard: int
    worker: int

    def signal(self, number: int, *who: str) -> None:
        """Send a signal to `guard`, to `worker` or to both."""
        for name in who:
            os.kill(getattr(self, name), number)


def runner_of(folder: Path) -> Runner:
    """Return the runner of a started run."""
    record = json.loads(until(lambda: _text(folder / "started"), "the run to be started"))
    return Runner(record["guard"]["pid"], record["worker"]["pid"])


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def members(folder: Path) -> set[int]:
    """Return the living processes of a run that still carry its mark, without the runner."""
    key = folder.name
    return processes.matching(lambda pid: processes.environment(pid).get("RUNCAST_RUN_KEY") == key)
