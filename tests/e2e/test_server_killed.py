"""The server is killed again and again: runs go on, and nothing of them is lost or doubled."""

import random
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest

from tests.support.runs import child, folder_of, output, submit, wait_ended
from tests.support.server import Server
from tests.support.sse import EventSource, Frame, printed, read_stream, stream_path
from tests.support.waiting import until

SETTINGS = {
    "RUNCAST__TESTING__APPEND_INTERVAL_MS": "5",
    "RUNCAST__QUEUE__MAX_CONCURRENT_RUNS": "8",
}
# Rounds, kills in each of them, and how many lines a second each talker prints beside its bursts.
ROUNDS = [
    (1, 8, 2_000),
    pytest.param(13, 8, 2_000, marks=[pytest.mark.chaos, pytest.mark.timeout(1_800)]),
]
LONGEST_LIFE_S = 0.8
EXIT_CODES = (0, 3, 42)


class Talking:
    """A talking run, and a client that follows it from its start over all restarts."""

    def __init__(
        self, server: Server, client: httpx2.Client, folder: Path, code: int, rate: int
    ) -> None:
        self.id = f"{folder.name}-talker-{code}"
        self._record = folder / self.id
        self._server = server
        self.code = code
        command = child("talker", self._record, folder / "stop", code, rate)
        submit(client, command, id=self.id)
        self._source = EventSource(server.port, stream_path(self.id))
        self._thread = threading.Thread(target=self._source.read_all, args=(300,), daemon=True)
        self._thread.start()

    def check(self, client: httpx2.Client) -> int:
        """Compare the run with what its command recorded; return how many lines that were."""
        run = wait_ended(client, self.id)
        self._thread.join(60)
        assert (run["reason"], run["exit_code"]) == ("exit", self.code)
        frames = read_stream(self._server.port, self.id)
        assert [frame.id for frame in frames] == list(range(1, run["last_seq"] + 2))
        assert self._source.frames == frames, "what was shown once was taken back"
        assert "custom" in {frame.event for frame in frames}
        return sum(self._check_stream(client, frames, name) for name in ("stdout", "stderr"))

    def _check_stream(self, client: httpx2.Client, frames: list[Frame], name: str) -> int:
        recorded = self._record.with_suffix(f".{name}").read_bytes()
        assert printed(frames, name) == recorded
        assert output(client, self.id, name) == recorded
        return recorded.count(b"\n")


def kill_and_restart(server: Server, client: httpx2.Client) -> tuple[str, bytes]:
    """Kill a server at any moment of its life and of a run's start; return the run and its text."""
    time.sleep(random.uniform(0, LONGEST_LIFE_S))
    run_id = submit(client, ["bash", "-c", "echo $RUNCAST_RUN_ID; exit 6"])
    time.sleep(random.choice([0, random.uniform(0, 0.08)]))
    server.kill9()
    server.start()
    return run_id, f"{run_id}\n".encode()


def script_that_waits_for(path: Path) -> list[str]:
    return ["bash", "-c", f"echo ready; until [ -e {path} ]; do sleep 0.01; done; echo go; exit 5"]


@pytest.mark.parametrize(("rounds", "kills", "rate"), ROUNDS)
def test_nothing_is_lost_or_doubled_however_often_the_server_is_killed(
    make_server: Callable[..., Server],
    tmp_path: Path,
    rounds: int,
    kills: int,
    rate: int,
) -> None:
    server = make_server(**SETTINGS)
    lines = 0
    with server.client() as client:
        for number in range(rounds):
            folder = tmp_path / f"round-{number}"
            folder.mkdir()
            talkers = [Talking(server, client, folder, code, rate) for code in EXIT_CODES]
            short_runs = dict(kill_and_restart(server, client) for _ in range(kills))
            (folder / "stop").touch()
            lines += sum(talker.check(client) for talker in talkers)
            for run_id, text in short_runs.items():
                assert wait_ended(client, run_id)["exit_code"] == 6
                assert printed(read_stream(server.port, run_id)) == text
    print(f"{rounds * kills} kills, {lines} lines compared")


def test_a_run_that_ends_while_the_server_is_down_ends_truly(
    server: Server, client: httpx2.Client, tmp_path: Path
) -> None:
    run_id = submit(client, script_that_waits_for(tmp_path / "go"))
    exit_record = folder_of(server.data_dir, run_id) / "exit.json"
    until(lambda: output(client, run_id) == b"ready\n", "the command to run")
    server.kill9()
    (tmp_path / "go").touch()
    until(exit_record.exists, "the run to end without the server")
    server.start()
    assert wait_ended(client, run_id)["exit_code"] == 5
    frames = read_stream(server.port, run_id)
    assert [frame.id for frame in frames] == list(range(1, len(frames) + 1))
    assert printed(frames) == b"ready\ngo\n"


def test_a_run_queued_when_the_server_was_killed_still_runs(
    make_server: Callable[..., Server], tmp_path: Path
) -> None:
    server = make_server(RUNCAST__QUEUE__MAX_CONCURRENT_RUNS="1")
    with server.client() as client:
        first = submit(client, script_that_waits_for(tmp_path / "go"))
        second = submit(client, ["bash", "-c", 'echo "$SECRET"'], env={"SECRET": "kept on disk"})
        server.kill9()
        server.start()
        (tmp_path / "go").touch()
        assert wait_ended(client, first)["exit_code"] == 5
        assert wait_ended(client, second)["status"] == "completed"
        assert output(client, second) == b"kept on disk\n"


def test_a_server_killed_while_a_run_is_cancelled_goes_on_cancelling(
    server: Server, client: httpx2.Client
) -> None:
    script = "trap '' TERM; echo ready; while :; do sleep 0.05; done"
    run_id = submit(client, ["bash", "-c", script], grace_s=1)
    until(lambda: output(client, run_id) == b"ready\n", "the command to run")
    client.post(f"/api/v1/runs/{run_id}/cancel")
    server.kill9()
    server.start()
    assert wait_ended(client, run_id)["status"] == "cancelled"
