"""A power cut took the end of a spool that was committed already: nothing is read twice."""

import os
import signal
from pathlib import Path

import httpx2
import pytest

from tests.support import processes
from tests.support.runs import folder_of, get, members, runner_of, submit, wait_ended
from tests.support.server import Server
from tests.support.sse import printed, read_stream
from tests.support.waiting import until

LINES = 1_000
SCRIPT = f"for i in $(seq {LINES}); do echo line $i; done; sleep 1000"


def cut_power(server: Server, folder: Path, keep: float) -> None:
    """Kill all that has to do with a run, and leave its spool with a part of its bytes."""
    server.kill9()
    runner = runner_of(folder)
    runner.signal(signal.SIGSTOP, "guard", "worker")
    runner.signal(signal.SIGKILL, "guard", "worker")
    processes.kill_all(lambda: members(folder))
    spool = folder / "output.log"
    os.truncate(spool, round(spool.stat().st_size * keep))


@pytest.mark.parametrize("keep", [0, 0.5, 0.99])
def test_a_spool_shorter_than_what_was_committed_is_never_read_again(
    server: Server, client: httpx2.Client, keep: float
) -> None:
    run_id = submit(client, ["bash", "-c", SCRIPT])
    folder = folder_of(server.data_dir, run_id)
    until(lambda: get(client, run_id)["last_seq"] == LINES + 2, "all lines to be committed")
    cut_power(server, folder, keep)
    server.start()
    run = wait_ended(client, run_id)
    assert (run["status"], run["reason"]) == ("failed", "lost")
    frames = read_stream(server.port, run_id)
    assert printed(frames) == b"".join(b"line %d\n" % i for i in range(1, LINES + 1))
    assert [frame.event for frame in frames[-3:]] == ["gap", "status", "end"]
    assert frames[-3].data["reason"] == "truncated"
