"""Cancel means gone: the whole tree of a run, whatever its members do to stay."""

import os
import time

import httpx2
import pytest

from tests.support import processes
from tests.support.runs import cancel, folder_of, members, submit, wait_ended, wait_printed
from tests.support.server import Server
from tests.support.sse import printed, read_stream
from tests.support.waiting import until

GRACE_S = 0.5
UNMARKED = f"sleep 3141{os.getpid()}"  # known by an argument that no other test process uses

# What a tree that ignores SIGTERM does -> its script, which says `ready` when it has.
STUBBORN = {
    "stays as it is": "sleep 1000 & echo ready; sleep 1000",
    "leaves the session": "setsid sleep 1000 & setsid -f sleep 1000; echo ready; wait",
    "is stopped": "sleep 1000 & kill -STOP $!; echo ready; kill -STOP $$",
    "orphans its children": "(sleep 1000 & sleep 1000 &); echo ready; sleep 1000",
    "forks for ever": """
        breed() { while :; do (sleep 0.05; breed) & sleep 0.1; wait -n; done; }
        breed & breed & echo ready; wait
    """,
    "throws its environment away": f"env -i setsid {UNMARKED} & echo ready; wait",
}


@pytest.fixture
def server(shared_server: Server) -> Server:
    return shared_server


@pytest.mark.parametrize("habit", STUBBORN)
def test_a_cancelled_tree_is_gone_within_a_second_of_its_grace(
    server: Server, client: httpx2.Client, habit: str
) -> None:
    run_id = submit(client, ["bash", "-c", f"trap '' TERM; {STUBBORN[habit]}"], grace_s=GRACE_S)
    wait_printed(client, run_id, "ready")
    folder = folder_of(server.data_dir, run_id)
    assert members(folder)

    begun = time.monotonic()
    cancel(client, run_id)
    run = wait_ended(client, run_id)
    took = time.monotonic() - begun

    assert not members(folder)
    assert not processes.matching(lambda pid: processes.command_line(pid) == UNMARKED)
    assert took < GRACE_S + 1
    assert (run["status"], run["reason"]) == ("cancelled", "cancelled")
    assert any("sleep" in process["command"] for process in run["killed"])
    status = read_stream(server.port, run_id)[-2]
    assert status.data["killed"] == run["killed"]


def test_a_tree_that_obeys_is_not_killed(server: Server, client: httpx2.Client) -> None:
    run_id = submit(client, ["bash", "-c", "sleep 1000 & echo ready; wait"], grace_s=30)
    wait_printed(client, run_id, "ready")
    cancel(client, run_id)
    run = wait_ended(client, run_id, timeout=10)
    assert run["status"] == "cancelled"
    assert "killed" not in run


def test_a_command_that_tidies_up_on_cancel_is_heard_to_its_end(
    server: Server, client: httpx2.Client
) -> None:
    script = "trap 'echo tidy; sleep 0.3; echo done; exit 0' TERM; echo ready; sleep 1000 & wait"
    run_id = submit(client, ["bash", "-c", script], grace_s=10)
    wait_printed(client, run_id, "ready")
    cancel(client, run_id)
    assert wait_ended(client, run_id)["status"] == "cancelled"
    assert printed(read_stream(server.port, run_id)) == b"ready\ntidy\ndone\n"


def test_cancel_asked_twice_is_one_cancel_and_after_the_end_a_conflict(
    server: Server, client: httpx2.Client
) -> None:
    run_id = submit(client, ["bash", "-c", "trap '' TERM; echo ready; sleep 1000"], grace_s=1)
    wait_printed(client, run_id, "ready")
    cancel(client, run_id)
    cancel(client, run_id)
    wait_ended(client, run_id)
    answer = client.post(f"/api/v1/runs/{run_id}/cancel")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "run_ended")


def test_what_a_command_left_behind_is_ended_and_reported(
    server: Server, client: httpx2.Client
) -> None:
    run_id = submit(client, ["bash", "-c", "setsid sleep 1000 & echo done"], grace_s=GRACE_S)
    run = wait_ended(client, run_id)
    assert (run["status"], run["exit_code"]) == ("completed", 0)
    assert [process["command"] for process in run["leftovers"]] == ["sleep 1000"]
    folder = folder_of(server.data_dir, run_id)
    until(lambda: not members(folder), "the leftovers to be gone")
