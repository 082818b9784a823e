"""Debian's logrotate turns a log over while it is written at 5,000 lines a second and followed."""

import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.runs import child
from tests.support.server import Server
from tests.support.sse import Connection
from tests.support.waiting import until

RATE = 5_000
LINES = 15_000
ROTATIONS = 4

LOGROTATE = """
{path} {{
    rotate 100
    size 1
    {mode}
    postrotate
        {after}
    endscript
}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "logs"
    made.mkdir(mode=0o700)
    return made


@pytest.fixture
def server(tmp_path: Path, folder: Path) -> Iterator[Server]:
    settings = tmp_path / "runcast.yaml"
    settings.write_text(f"watch:\n  logs:\n    root: {folder}\n")
    one = Server(tmp_path / "data")
    one.start("--config", str(settings))
    yield one
    one.close()


class Follower(threading.Thread):
    """Follows a run's stream and keeps the numbers of its lines, and a None for every gap."""

    def __init__(self, server: Server, run_id: str) -> None:
        super().__init__(daemon=True)
        self.seen: list[int | None] = []
        self._stream = Connection(server.port, f"/api/v1/runs/{run_id}/stream")

    def run(self) -> None:
        with self._stream:
            for frame in self._stream.frames():
                if frame.event == "log":
                    self.seen.append(int(frame.data["line"].split()[1]))
                elif frame.event == "gap":
                    self.seen.append(None)
                if self.seen and self.seen[-1] == LINES:
                    return


def rotate(folder: Path, mode: str, after: str) -> None:
    """Let logrotate turn the log over now."""
    plan = folder.parent / "logrotate.conf"
    plan.write_text(LOGROTATE.format(path=folder / "app.log", mode=mode, after=after))
    plan.chmod(0o600)
    state = folder.parent / "logrotate.state"
    command = ["/usr/sbin/logrotate", "--force", "--state", str(state), str(plan)]
    subprocess.run(command, check=True, capture_output=True, timeout=20)


def follow_while_rotating(server: Server, folder: Path, mode: str, *, reopens: bool) -> Follower:
    """Write and follow a log, and rotate it meanwhile; return the follower at the last line."""
    log = folder / "app.log"
    log.touch(mode=0o600)
    with server.client() as client:
        until(lambda: client.get("/api/v1/runs/app.log").status_code == 200, "the run to be found")
    follower = Follower(server, "app.log")
    follower.start()
    writing = child("log_writer", log, RATE, LINES)
    with subprocess.Popen(writing, stdout=subprocess.DEVNULL) as writer:
        for turn in range(ROTATIONS):
            wanted = (turn + 1) * LINES // (ROTATIONS + 2)
            until(lambda wanted=wanted: len(follower.seen) > wanted, "the next rotation to be due")
            rotate(folder, mode, f"kill -HUP {writer.pid}" if reopens else "true")
    follower.join(30)
    assert not follower.is_alive(), f"the last line never came, after {follower.seen[-3:]}"
    return follower


@pytest.mark.needs("logrotate")
@pytest.mark.parametrize("mode", ["create 0600", "nocreate", "create 0600\n    compress"])
def test_nothing_is_lost_when_the_log_is_renamed(server: Server, folder: Path, mode: str) -> None:
    follower = follow_while_rotating(server, folder, mode, reopens=True)
    assert [number for number in follower.seen if number is not None] == [*range(1, LINES + 1)]


@pytest.mark.needs("logrotate")
def test_what_copytruncate_loses_is_announced(server: Server, folder: Path) -> None:
    follower = follow_while_rotating(server, folder, "copytruncate", reopens=False)
    before = 0
    gap = False
    for number in follower.seen:
        if number is None:
            gap = True
            continue
        assert number > before, "a line came twice, or out of order"
        assert number == before + 1 or gap, f"{before + 1} to {number - 1} are lost in silence"
        before, gap = number, False
    assert follower.seen.count(None) == ROTATIONS
