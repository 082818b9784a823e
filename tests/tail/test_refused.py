"""Paths that cannot be read: the tail says why, never hangs, and loses nothing meanwhile."""

import os
import resource
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from runcast.tail.generations import standing
from tests.tail.following import Reader, append

REPOSITORY = Path(__file__).parents[2]
NOBODY = 65_534


def in_a_process(scenario: Callable[[], None]) -> None:
    """Run a function of this module where it may drop its rights or use up its limits."""
    script = f"import {__name__} as module; module.{scenario.__name__}()"
    ran = subprocess.run(
        [sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, timeout=60
    )
    assert ran.returncode == 0, ran.stderr


def drop_rights() -> None:
    """Be somebody whom permissions mean something to."""
    if os.getuid() == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)


def scenario_permission_lost() -> None:
    drop_rights()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "logs"
        folder.mkdir()
        log = folder / "app.log"
        append(log, "first\n")
        reader = Reader(log).look()
        log.chmod(0)
        reader.tail.close()
        assert reader.taken() == [b"first"]
        assert reader.tail.trouble == "Permission denied"
        log.chmod(0o600)
        append(log, "second\n")
        assert reader.taken() == [b"second"]
        assert reader.tail.trouble is None
        folder.chmod(0)
        for _ in range(2):
            assert reader.taken() == []
            assert reader.tail.trouble == "Permission denied"
            reader.restart()
        folder.chmod(0o700)
        log.rename(folder / "app.log.1")
        append(log, "third\n")
        assert reader.taken() == [b"third"]
        assert reader.tail.trouble is None


def scenario_new_file_unreadable() -> None:
    drop_rights()
    with tempfile.TemporaryDirectory() as name:
        log = Path(name) / "app.log"
        append(log, "first\n")
        reader = Reader(log).look()
        log.rename(Path(name) / "app.log.1")
        append(log, "second\n")
        log.chmod(0)
        assert reader.taken() == [b"first"]
        assert reader.tail.trouble == "Permission denied"
        append(log.with_name("app.log.1"), "late\n")
        assert reader.taken() == [b"late"]
        log.chmod(0o600)
        assert reader.taken() == [b"second"]


def scenario_generation_unreadable() -> None:
    drop_rights()
    with tempfile.TemporaryDirectory() as name:
        log = Path(name) / "app.log"
        append(log, "first\n" + "x" * 200_000 + "\n")
        reader = Reader(log)
        reader.tail.look()
        log.rename(Path(name) / "app.log.2")
        append(log, "unreadable\n")
        log.chmod(0)
        log.rename(Path(name) / "app.log.1")
        append(log, "last\n")
        while reader.lines[-1:] != [b"last"]:
            before = len(reader.lines)
            reader.keep(reader.tail.look().items)
            if len(reader.lines) == before:
                break
        reader.look()
        assert reader.lines[-2:] == ["rotated", b"last"]


def scenario_unopenable_at_first() -> None:
    drop_rights()
    with tempfile.TemporaryDirectory() as name:
        log = Path(name) / "app.log"
        append(log, "first\n")
        log.chmod(0)
        beginning, end = Reader(log), Reader(log, from_end=True)
        for reader in (beginning, end):
            assert reader.taken() == []
            assert reader.tail.trouble == "Permission denied"
        log.chmod(0o600)
        append(log, "second\n")
        assert beginning.taken() == [b"first", b"second"]
        assert end.taken() == [b"second"]


def scenario_no_descriptors() -> None:
    with tempfile.TemporaryDirectory() as name:
        log = Path(name) / "app.log"
        append(log, "first\n")
        fresh = Path(name) / "fresh.log"
        append(fresh, "fresh\n")
        reader = Reader(log).look()
        stopped = Reader(log).look().restart()
        append(log, "second\n")
        log.rename(Path(name) / "app.log.2")
        append(log, "third\n")
        log.rename(Path(name) / "app.log.1")
        append(log, "fourth\n")
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        for spare in range(8):  # it fails at each of the files in turn
            held = exhaust(hard, spare)
            for one in (reader, stopped):
                one.look()
                one.tail.close()
            for fd in held:
                os.close(fd)
            if spare == 0:
                assert reader.tail.trouble == "Too many open files"
                assert reader.tail.starved
                newcomer = Reader(fresh)
        for one in (reader, stopped):
            assert one.taken() == [b"first", b"second", b"third", b"fourth"]
            assert one.tail.trouble is None
            assert not one.tail.starved
        assert newcomer.taken() == [b"fresh"]
        held = exhaust(hard, 0)
        os.close(held.pop())
        before = len(os.listdir("/proc/self/fd"))
        for fd in held:
            os.close(fd)
        reader.tail.close()
        assert len(os.listdir("/proc/self/fd")) < before


def exhaust(hard: int, spare: int) -> list[int]:
    """Open files until only so many more can be opened."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
    held: list[int] = []
    while True:
        try:
            held.append(os.open("/dev/null", os.O_RDONLY))
        except OSError:
            break
    for _ in range(spare):
        os.close(held.pop())
    return held


@pytest.mark.parametrize(
    "scenario",
    [
        scenario_permission_lost,
        scenario_new_file_unreadable,
        scenario_generation_unreadable,
        scenario_unopenable_at_first,
        scenario_no_descriptors,
    ],
)
def test_nothing_is_lost_while_a_file_cannot_be_opened(scenario: Callable[[], None]) -> None:
    if os.name == "nt":
        pytest.skip("permissions mean something else there")
    in_a_process(scenario)


@pytest.mark.parametrize("kind", ["fifo", "folder", "device", "socket"])
@pytest.mark.parametrize("is_first", [True, False])
def test_what_is_no_file_is_said_and_never_waited_for(
    tmp_path: Path, kind: str, is_first: bool
) -> None:
    log = tmp_path / "app.log"
    listening = socket.socket(socket.AF_UNIX)
    if not is_first:
        append(log, "first\n")
    reader = Reader(log).look()
    log.unlink(missing_ok=True)
    match kind:
        case "fifo":
            os.mkfifo(log)
        case "folder":
            log.mkdir()
        case "device":
            log.symlink_to("/dev/zero")
        case "socket":
            listening.bind(os.path.relpath(log))
    for _ in range(2):
        assert reader.look().lines == ([] if is_first else [b"first"])
        assert reader.tail.trouble is not None
        reader.restart()
    standing(str(log))
    listening.close()
    log.rmdir() if kind == "folder" else log.unlink()
    append(log, "second\n")
    assert reader.taken()[-1] == b"second"
    assert reader.tail.trouble is None


def test_a_link_may_not_lead_out_of_the_folder_that_is_watched(tmp_path: Path) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    append(outside / "secret.log", "secret\n")
    append(inside / "real.log", "first\n")
    link = inside / "app.log"
    link.symlink_to(outside / "secret.log")
    reader = Reader(link, within=str(inside.resolve()))
    assert reader.taken() == []
    assert reader.tail.trouble is not None
    assert "symbolic link leads out" in reader.tail.trouble
    link.unlink()
    link.symlink_to("real.log")
    assert reader.taken() == [b"first"]
    link.unlink()
    link.symlink_to("../outside/secret.log")
    assert reader.taken() == []
    assert reader.tail.trouble is not None


def test_a_folder_on_the_way_may_not_be_a_link_out_either(tmp_path: Path) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "inside-too"
    inside.mkdir()
    outside.mkdir()
    append(outside / "app.log", "secret\n")
    (inside / "folder").symlink_to(outside)
    reader = Reader(inside / "folder" / "app.log", within=str(inside.resolve()))
    assert reader.taken() == []
    assert reader.tail.trouble is not None


def test_a_link_that_leads_nowhere_is_a_path_that_is_not_there_yet(tmp_path: Path) -> None:
    link = tmp_path / "app.log"
    link.symlink_to("later.log")
    reader = Reader(link)
    assert reader.taken() == []
    assert (reader.tail.present, reader.tail.trouble) == (False, None)
    append(tmp_path / "later.log", "first\n")
    assert reader.taken() == [b"first"]


def test_a_link_to_itself_is_said(tmp_path: Path) -> None:
    link = tmp_path / "app.log"
    link.symlink_to("app.log")
    reader = Reader(link)
    assert reader.taken() == []
    assert reader.tail.trouble == "Too many levels of symbolic links"


def test_a_file_in_the_place_of_a_folder_is_a_path_that_is_not_there(tmp_path: Path) -> None:
    append(tmp_path / "folder", "not a folder\n")
    reader = Reader(tmp_path / "folder" / "app.log")
    assert reader.taken() == []
    assert not reader.tail.present


def test_a_name_that_is_too_long_is_said(tmp_path: Path) -> None:
    reader = Reader(tmp_path / ("x" * 300))
    assert reader.taken() == []
    assert reader.tail.trouble == "File name too long"
