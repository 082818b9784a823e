"""A full disk under a running command: it waits, nothing is dropped, and a cancel is obeyed."""

import os
import resource
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runcast.runner.output import Spool
from runcast.spool.folder import RunFolder
from tests.runner.held import Held
from tests.support.waiting import until

StartRunner = Callable[..., Held]
MakeFolder = Callable[..., RunFolder]
LINES = b"".join(b"%07d %s\n" % (number, b"x" * 80) for number in range(30_000))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    path = tmp_path / "disk"
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", path], check=True)
    yield path
    until(lambda: not subprocess.run(["umount", path]).returncode, "the disk to be unused")


@pytest.fixture
def printer(start_runner: StartRunner, small_disk: Path, tmp_path: Path) -> Held:
    """A run whose output is larger than its disk, when the disk is full."""
    (tmp_path / "lines").write_bytes(LINES)
    held = start_runner(["sh", "-c", "cat lines; exit 4"], root=small_disk)
    wait_until_full(small_disk)
    return held


def wait_until_full(disk: Path) -> None:
    def full() -> bool:
        found = os.statvfs(disk)
        return found.f_bfree == 0

    until(full, "the disk to be full")


def make_room(disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,size=20m", disk], check=True)


@pytest.mark.needs("root")
def test_the_run_waits_for_room_and_then_goes_on_without_a_loss(
    printer: Held, small_disk: Path
) -> None:
    deadline = time.monotonic() + 0.6
    until(lambda: time.monotonic() > deadline, "some tries to write")
    assert printer.process.poll() is None
    make_room(small_disk)
    outcome = printer.ended()
    assert printer.output() == LINES
    assert (outcome["reason"], outcome["exit_code"]) == ("exit", 4)
    assert outcome["lost_bytes"] is None


@pytest.mark.needs("root")
def test_output_waits_for_room_longer_than_for_its_drain(
    start_runner: StartRunner, small_disk: Path, tmp_path: Path
) -> None:
    filler = small_disk / "filler"
    with open(filler, "wb") as file:
        file.write(b"x" * 1_000_000)
    (tmp_path / "lines").write_bytes(LINES[:60_000])
    held = start_runner(["sh", "-c", "sleep 100 & cat lines lines"], root=small_disk)
    wait_until_full(small_disk)
    deadline = time.monotonic() + 2.5
    until(lambda: time.monotonic() > deadline, "more than the drain's time to pass")
    assert held.process.poll() is None
    filler.unlink()
    outcome = held.ended()
    assert held.output() == LINES[:60_000] * 2
    assert len(outcome["leftovers"]) == 1


@pytest.mark.needs("root")
def test_a_cancel_on_a_full_disk_tells_what_was_lost(printer: Held, tmp_path: Path) -> None:
    asked = time.monotonic()
    printer.order("cancel 0.2")
    outcome = printer.ended()
    assert 1.9 < time.monotonic() - asked < 3.5
    kept = printer.output()
    assert LINES.startswith(kept)
    assert kept.endswith(b"\n")
    assert outcome["reason"] == "cancelled"
    assert 0 < outcome["lost_bytes"] <= len(LINES) - len(kept)
    assert outcome["spool_bytes"] == os.path.getsize(printer.folder.output_path)


@pytest.mark.needs("root")
def test_a_cancel_loses_nothing_if_room_returns_in_time(printer: Held, small_disk: Path) -> None:
    printer.order("cancel 0.2")
    make_room(small_disk)
    outcome = printer.ended()
    assert (outcome["reason"], outcome["lost_bytes"]) == ("cancelled", None)
    assert LINES.startswith(printer.output())


@pytest.mark.needs("root")
def test_a_worker_killed_on_a_full_disk_leaves_whole_records(printer: Held) -> None:
    printer.kill("worker")
    assert printer.ended()["reason"] == "lost"
    assert LINES.startswith(printer.output())


@pytest.fixture
def file_limit() -> Iterator[Callable[[int], None]]:
    """Limit how large this process may make a file, as a quota would."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


RECORD = b"2026-11-21T11:57:30.123456789Z stdout F some text\n"


def test_short_writes_are_made_up_for(tmp_path: Path, file_limit: Callable[[int], None]) -> None:
    (tmp_path / "spool").touch()
    spool = Spool(str(tmp_path / "spool"))
    for limit in (20, 60, 61, 1000):
        file_limit(limit)
        spool.retry()
        spool.write(RECORD)
    assert not spool.stalled
    assert (tmp_path / "spool").read_bytes() == RECORD * 4
    spool.close()


def test_what_is_given_up_is_counted_and_leaves_whole_records(
    tmp_path: Path, file_limit: Callable[[int], None]
) -> None:
    (tmp_path / "spool").touch()
    spool = Spool(str(tmp_path / "spool"))
    file_limit(len(RECORD) + 45)
    spool.write(RECORD + RECORD)
    assert spool.stalled
    spool.write(RECORD.replace(b" F ", b" P "))
    assert spool.abandon() == len(b"some text\n") + len(b"some text")
    assert not spool.stalled
    assert (tmp_path / "spool").read_bytes() == RECORD
    spool.close()
