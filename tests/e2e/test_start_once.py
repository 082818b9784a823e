"""A command is started once or not at all, wherever along the start something is killed."""

import contextlib
import itertools
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest

from tests.support import processes
from tests.support.runs import submit, wait_ended
from tests.support.server import Server

POINTS = [6, pytest.param(100, marks=[pytest.mark.chaos, pytest.mark.timeout(1_800)])]
LONGEST_DELAY_S = 0.08  # from submit to a command that runs
TRY_S = 0.5  # how long a victim is looked for that is not there yet
SCRIPT = "echo $RUNCAST_RUN_ID >> $LEDGER; sleep 0.05"


def runner_processes(data_dir: Path) -> list[int]:
    """Return the processes of all runners, each guard before its worker."""
    found = processes.matching(
        lambda pid: (
            "runner/__main__.py" in (line := processes.command_line(pid)) and str(data_dir) in line
        )
    )
    return sorted(found, key=lambda pid: len(processes.descendants(pid)), reverse=True)


def kill_runner(server: Server, *who: int) -> None:
    """Kill the processes with these places in the runner, as soon as they are there."""
    deadline = time.monotonic() + TRY_S
    while time.monotonic() < deadline:
        found = runner_processes(server.data_dir)
        if len(found) > max(who):
            for place in who:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(found[place], signal.SIGKILL)
            return


def kill_server(server: Server) -> None:
    server.kill9()
    server.start()


# Who is killed -> how.
VICTIMS: dict[str, Callable[[Server], None]] = {
    "server": kill_server,
    "guard": lambda server: kill_runner(server, 0),
    "worker": lambda server: kill_runner(server, 1),
    "guard and worker": lambda server: kill_runner(server, 0, 1),
}


def submit_and_kill(server: Server, client: httpx2.Client, ledger: Path, victim: str) -> str:
    run_id = submit(client, ["bash", "-c", SCRIPT], env={"LEDGER": str(ledger)}, grace_s=0)
    time.sleep(random.uniform(0, LONGEST_DELAY_S))
    VICTIMS[victim](server)
    return run_id


def all_runs(client: httpx2.Client) -> list[str]:
    """Return the ids of all runs, newest first."""
    found: list[str] = []
    token = None
    while True:
        params = {"limit": 500} | ({"page_token": token} if token else {})
        page = client.get("/api/v1/runs", params=params).json()
        found += [run["id"] for run in page["runs"]]
        token = page["next_page_token"]
        if token is None:
            return found


@pytest.mark.parametrize("points", POINTS)
@pytest.mark.parametrize("victim", VICTIMS)
def test_no_command_runs_twice_and_what_did_not_run_says_so(
    make_server: Callable[..., Server],
    tmp_path: Path,
    victim: str,
    points: int,
) -> None:
    ledger = tmp_path / "ledger"
    ledger.touch()
    server = make_server()
    ends: list[str] = []
    with server.client() as client:
        for _ in range(points):
            run_id = submit_and_kill(server, client, ledger, victim)
            run = wait_ended(client, run_id)
            times = ledger.read_text().split().count(run_id)
            ends.append(f"{run['status']} {run['reason']} {times}")
    # What was killed after the command began may be lost although it ran.
    assert set(ends) <= {"completed exit 1", "failed lost 0", "failed lost 1"}
    if victim in ("server", "guard"):
        assert "failed lost 1" not in ends
    print(*(f"{end}: {ends.count(end)} times" for end in sorted(set(ends))), sep="\n")


def submit_until_it_fails(client: httpx2.Client, name: str) -> Iterator[str]:
    for count in itertools.count():
        yield submit(client, ["true"], id=f"{name}-{count}")


def test_a_submission_that_was_answered_survives_and_leaves_nothing_else(
    make_server: Callable[..., Server],
) -> None:
    server = make_server()
    answered: list[str] = []
    with server.client() as client:
        for number in range(3):
            killer = threading.Timer(random.uniform(0.01, 0.1), server.kill9)
            killer.start()
            with contextlib.suppress(httpx2.TransportError):
                answered.extend(submit_until_it_fails(client, f"run-{number}"))
            killer.join()
            server.start()
        runs = all_runs(client)
        assert set(answered) <= set(runs)
        assert {wait_ended(client, run_id)["status"] for run_id in runs} == {"completed"}
        assert len(list(server.data_dir.glob("runs/*"))) == len(runs)
