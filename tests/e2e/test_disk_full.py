"""A full disk under a running command: it waits, loses nothing, and can be cancelled."""

import contextlib
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest

from tests.support.runs import (
    cancel,
    child,
    folder_of,
    get,
    members,
    output,
    submit,
    wait_ended,
)
from tests.support.server import Server
from tests.support.sse import printed, read_stream
from tests.support.waiting import until

pytestmark = pytest.mark.needs("root")

DISK = "64m"
ROOM = 6 * 1024 * 1024  # what is left for spool and database
WIDTH = 200
LINES = 60_000  # 12 MB of text


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small file system of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "none", folder], check=True)
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.fixture
def server(disk: Path, make_server: Callable[..., Server]) -> Server:
    return make_server(disk / "data")


def free(disk: Path) -> int:
    return int(subprocess.check_output(["df", "--output=avail", "-B1", disk]).split()[-1])


@contextlib.contextmanager
def filled(disk: Path) -> Iterator[None]:
    """Leave little room on the disk until the block is left."""
    filler = disk / "filler"
    subprocess.run(["fallocate", "-l", str(free(disk) - ROOM), filler], check=True)
    try:
        yield
    finally:
        filler.unlink()


def numbers(text: bytes) -> list[int]:
    return [int(line.split(b" ", 1)[0]) for line in text.splitlines()]


def wait_until_full(disk: Path) -> None:
    until(lambda: free(disk) < 4096, "the disk to be full", timeout=30)


def test_a_command_waits_while_the_disk_is_full_and_loses_nothing(
    disk: Path, server: Server, client: httpx2.Client
) -> None:
    with filled(disk):
        run_id = submit(client, child("flood", LINES, WIDTH))
        wait_until_full(disk)
        assert get(client, run_id)["status"] == "running"
        assert members(folder_of(server.data_dir, run_id))
    run = wait_ended(client, run_id)
    assert (run["status"], run["exit_code"]) == ("completed", 0)
    assert "lost_bytes" not in run
    frames = read_stream(server.port, run_id)
    assert [frame.id for frame in frames] == list(range(1, run["last_seq"] + 2))
    text = printed(frames)
    assert text == output(client, run_id)
    assert numbers(text) == list(range(1, LINES + 1))


def test_a_command_that_waits_for_room_can_be_cancelled(
    disk: Path, server: Server, client: httpx2.Client
) -> None:
    with filled(disk):
        run_id = submit(client, child("flood", LINES, WIDTH), grace_s=0.5)
        folder = folder_of(server.data_dir, run_id)
        wait_until_full(disk)
        cancel(client, run_id)
        until(lambda: not members(folder), "the command to be gone")
    assert wait_ended(client, run_id)["status"] == "cancelled"
    kept = numbers(output(client, run_id))
    assert kept == list(range(1, len(kept) + 1))


def test_a_server_killed_on_a_full_disk_starts_again_and_loses_nothing(
    disk: Path, server: Server, client: httpx2.Client
) -> None:
    with filled(disk):
        run_id = submit(client, child("flood", LINES, WIDTH))
        wait_until_full(disk)
        server.kill9()
    server.start()
    assert wait_ended(client, run_id)["status"] == "completed"
    text = output(client, run_id)
    assert numbers(text) == list(range(1, LINES + 1))
    assert printed(read_stream(server.port, run_id)) == text


def test_a_full_disk_refuses_new_runs_and_leaves_the_rest_readable(
    disk: Path, server: Server, client: httpx2.Client
) -> None:
    run_id = submit(client, ["echo", "kept"])
    wait_ended(client, run_id)
    with filled(disk):
        subprocess.run(["dd", "if=/dev/zero", f"of={disk}/rest"], check=False, capture_output=True)
        answer = client.post("/api/v1/runs", json={"command": ["true"]})
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "storage")
        assert output(client, run_id) == b"kept\n"
        assert printed(read_stream(server.port, run_id)) == b"kept\n"
    assert wait_ended(client, submit(client, ["true"]))["status"] == "completed"
