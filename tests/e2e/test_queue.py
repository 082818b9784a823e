"""The queue: first come, first run, so many at a time, through a restart in the middle."""

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest

from tests.support.runs import events, submit, wait_ended
from tests.support.server import Server
from tests.support.waiting import until

LIMIT = 4
RUNS = [24, pytest.param(100, marks=[pytest.mark.chaos, pytest.mark.timeout(600)])]
# Both lines are appended in one write each, so the ledger's order is the order of what happened.
SCRIPT = "echo begin $RUNCAST_RUN_ID >> $LEDGER; sleep 0.2; echo end $RUNCAST_RUN_ID >> $LEDGER"


def at_once(ledger: list[str]) -> Iterator[int]:
    """Yield how many runs were running after each line of the ledger."""
    running = 0
    for line in ledger:
        running += 1 if line.startswith("begin") else -1
        yield running


def started_at(client: httpx2.Client, run_id: str) -> int:
    """Return the position of the event that says the run was started."""
    states = (event for event in events(client, run_id) if event["type"] == "status")
    return next(int(event["position"]) for event in states if event["data"]["status"] == "running")


@pytest.mark.parametrize("runs", RUNS)
def test_queued_runs_run_once_in_order_and_few_at_a_time_through_a_restart(
    make_server: Callable[..., Server], tmp_path: Path, runs: int
) -> None:
    ledger = tmp_path / "ledger"
    server = make_server(RUNCAST__QUEUE__MAX_CONCURRENT_RUNS=str(LIMIT))
    with server.client() as client:
        command = ["bash", "-c", SCRIPT]
        ids = [submit(client, command, env={"LEDGER": str(ledger)}) for _ in range(runs)]
        until(lambda: ledger.exists() and "end" in ledger.read_text(), "the first run to end")
        server.kill9()
        server.start()
        for run_id in ids:
            assert wait_ended(client, run_id)["status"] == "completed"
        starts = [started_at(client, run_id) for run_id in ids]
    lines = ledger.read_text().splitlines()
    once = [f"{what} {run_id}" for what in ("begin", "end") for run_id in ids]
    assert sorted(lines) == sorted(once)
    assert max(at_once(lines)) == LIMIT
    assert starts == sorted(starts)


def test_a_place_is_free_again_whatever_way_a_run_ends(
    make_server: Callable[..., Server],
) -> None:
    server = make_server(RUNCAST__QUEUE__MAX_CONCURRENT_RUNS="1")
    with server.client() as client:
        waiting = submit(client, ["sleep", "1000"])
        ends = [
            submit(client, ["/does/not/exist"]),
            submit(client, ["bash", "-c", "kill -KILL $$"]),
            submit(client, ["sleep", "1000"], timeout_s=0.1, grace_s=0.1),
        ]
        last = submit(client, ["echo", "at last"])
        cancelled = submit(client, ["echo", "never"])
        client.post(f"/api/v1/runs/{cancelled}/cancel")
        client.post(f"/api/v1/runs/{waiting}/cancel")
        assert wait_ended(client, last)["status"] == "completed"
        reasons = [wait_ended(client, run_id)["reason"] for run_id in ends]
        assert reasons == ["spawn", "signal", "timeout"]
        assert wait_ended(client, cancelled)["started_at"] is None
