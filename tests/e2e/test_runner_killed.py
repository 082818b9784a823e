"""A killed or stopped runner: its run ends truly or goes on, and no other run notices."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.support import processes
from tests.support.runs import (
    Runner,
    cancel,
    folder_of,
    get,
    members,
    output,
    runner_of,
    submit,
    wait_ended,
    wait_printed,
)
from tests.support.server import Server
from tests.support.sse import printed, read_stream
from tests.support.waiting import until

MARKED = "sleep 1000"
UNMARKED = f"sleep 3141{os.getpid()}"  # known by an argument that no other test process uses
# Beside the shell, one process in a session of its own, and one that lacks the run's mark, too.
TREE = f"""
setsid {MARKED} & env -i setsid {UNMARKED} &
echo ready; until [ -e $STOP ]; do sleep 0.02; done; echo stopped; kill %1 %2; exit 9
"""


class Held:
    """A run with a tree of processes, and the runner that holds it."""

    def __init__(self, server: Server, client: httpx2.Client, stop: Path) -> None:
        self.stop = stop
        self.id = submit(client, ["bash", "-c", TREE], env={"STOP": str(stop)}, grace_s=0.5)
        wait_printed(client, self.id, "ready")
        self.folder = folder_of(server.data_dir, self.id)
        self.runner: Runner = runner_of(self.folder)

    def living(self) -> set[int]:
        """Return what still lives of the tree, the runner aside."""
        unmarked = processes.matching(lambda pid: processes.command_line(pid) == UNMARKED)
        return members(self.folder) | unmarked


@pytest.fixture
def held(server: Server, client: httpx2.Client, tmp_path: Path) -> Held:
    held = Held(server, client, tmp_path / "stop")
    commands = {MARKED, UNMARKED}
    until(lambda: commands <= {*map(processes.command_line, held.living())}, "the tree to grow")
    return held


@pytest.fixture
def bystander(server: Server, client: httpx2.Client, tmp_path: Path) -> Iterator[str]:
    """A run that must not notice anything."""
    go_on = tmp_path / "bystander-may-end"
    script = f"echo here; until [ -e {go_on} ]; do sleep 0.02; done; echo still here"
    run_id = submit(client, ["bash", "-c", script])
    wait_printed(client, run_id, "here")
    yield run_id
    go_on.touch()
    assert wait_ended(client, run_id)["status"] == "completed"
    assert printed(read_stream(server.port, run_id)) == b"here\nstill here\n"


def check_lost(client: httpx2.Client, held: Held) -> None:
    run = wait_ended(client, held.id)
    assert (run["status"], run["reason"]) == ("failed", "lost")
    assert (run["exit_code"], run["signal"]) == (None, None)
    assert output(client, held.id) == b"ready\n"


@pytest.mark.usefixtures("bystander")
def test_a_killed_worker_takes_its_whole_tree_along(client: httpx2.Client, held: Held) -> None:
    held.runner.signal(signal.SIGKILL, "worker")
    check_lost(client, held)
    until(lambda: not held.living(), "the tree to be gone")


@pytest.mark.usefixtures("bystander")
def test_a_worker_killed_while_the_server_is_down_takes_its_whole_tree_along(
    server: Server, client: httpx2.Client, held: Held
) -> None:
    server.kill9()
    held.runner.signal(signal.SIGKILL, "worker")
    until(lambda: not held.living(), "the tree to be gone")
    server.start()
    check_lost(client, held)


@pytest.mark.usefixtures("bystander")
def test_a_run_goes_on_without_its_guard(client: httpx2.Client, held: Held) -> None:
    held.runner.signal(signal.SIGKILL, "guard")
    until(lambda: not processes.is_alive(held.runner.guard), "the guard to be gone")
    held.stop.touch()
    assert wait_ended(client, held.id)["exit_code"] == 9
    assert output(client, held.id) == b"ready\nstopped\n"


@pytest.mark.usefixtures("bystander")
def test_a_run_whose_guard_is_killed_while_the_server_is_down_goes_on(
    server: Server, client: httpx2.Client, held: Held
) -> None:
    server.kill9()
    held.runner.signal(signal.SIGKILL, "guard")
    server.start()
    held.stop.touch()
    assert wait_ended(client, held.id)["exit_code"] == 9


@pytest.mark.usefixtures("bystander")
@pytest.mark.parametrize("server_is_down", [False, True])
def test_what_carries_the_mark_of_a_run_without_runner_is_swept(
    server: Server, client: httpx2.Client, held: Held, server_is_down: bool
) -> None:
    if server_is_down:
        server.kill9()
    # Stopped first: either of them would end the tree in the moment before its own end.
    held.runner.signal(signal.SIGSTOP, "guard", "worker")
    held.runner.signal(signal.SIGKILL, "guard", "worker")
    if server_is_down:
        server.start()
    check_lost(client, held)
    until(lambda: not members(held.folder), "the marked processes to be gone")
    # What has thrown its environment away is documented to live on.
    processes.kill_all(held.living)


@pytest.mark.usefixtures("bystander")
@pytest.mark.parametrize("who", [("worker",), ("guard", "worker")])
def test_a_stopped_runner_can_be_cancelled(
    client: httpx2.Client, held: Held, who: tuple[str, ...]
) -> None:
    held.runner.signal(signal.SIGSTOP, *who)
    cancel(client, held.id)
    run = wait_ended(client, held.id)
    assert (run["status"], run["reason"]) == ("cancelled", "cancelled")
    until(lambda: not held.living(), "the tree to be gone")


def test_a_run_whose_exit_nobody_recorded_is_not_started_again(
    server: Server, client: httpx2.Client, tmp_path: Path
) -> None:
    ledger = tmp_path / "ledger"
    run_id = submit(client, ["bash", "-c", f"echo ran >> {ledger}; sleep 1000"])
    until(ledger.exists, "the command to run")
    runner = runner_of(folder_of(server.data_dir, run_id))
    server.kill9()
    runner.signal(signal.SIGKILL, "guard", "worker")
    server.start()
    assert wait_ended(client, run_id)["reason"] == "lost"
    server.restart()
    assert get(client, run_id)["reason"] == "lost"
    assert ledger.read_text() == "ran\n"
