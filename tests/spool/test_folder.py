"""The run folder as the server uses it."""

import errno
import os
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runcast.spool import light
from runcast.spool.folder import RunFolder, write_file
from runcast.spool.processes import identity

SPEC = {"run_id": "r", "task_id": "t", "argv": ["true"], "cwd": "/", "stdin": None}


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path, "key", SPEC, {"TOKEN": "s3cret"})


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "100"]) as process:
        yield process
        process.kill()


def test_a_new_folder_holds_what_to_run(folder: RunFolder) -> None:
    assert folder.spec() == {"format": 1, "key": "key", **SPEC}
    assert folder.env() == {"TOKEN": "s3cret"}
    assert folder.started() is None
    assert folder.exit() is None
    assert not folder.alive()
    assert not os.path.exists(folder.eof_path)


def test_nobody_else_may_read_it(folder: RunFolder) -> None:
    assert stat.S_IMODE(os.stat(folder.path).st_mode) == 0o700
    for name in os.listdir(folder.path):
        assert stat.S_IMODE(os.stat(os.path.join(folder.path, name)).st_mode) == 0o600, name


def test_input_known_from_the_start_is_complete(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, "key", SPEC, {}, b"all of it")
    assert Path(folder.input_path).read_bytes() == b"all of it"
    assert os.path.exists(folder.eof_path)
    assert folder.env() == {}


def test_a_folder_that_cannot_be_made_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        RunFolder.create(tmp_path, "key", {"argv": object()}, {})
    assert os.listdir(tmp_path) == []


def test_the_folder_of_another_run_is_left_alone(folder: RunFolder, tmp_path: Path) -> None:
    with pytest.raises(FileExistsError):
        RunFolder.create(tmp_path, "key", SPEC, {})
    assert folder.env() == {"TOKEN": "s3cret"}


def test_the_lock_is_held_by_one_and_free_once_all_copies_are_closed(folder: RunFolder) -> None:
    lock = folder.take_lock()
    assert lock is not None
    copy = os.dup(lock)
    assert folder.take_lock() is None
    os.close(lock)
    assert folder.alive()
    os.close(copy)
    assert not folder.alive()


def test_orders_need_a_runner(folder: RunFolder) -> None:
    assert not folder.order("kill")
    reader = os.open(folder.control_path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        assert folder.order("cancel 5")
        assert os.read(reader, 100) == b"cancel 5\n"
        while folder.order("input"):
            pass
    finally:
        os.close(reader)


def test_input_is_appended_until_it_ends(folder: RunFolder) -> None:
    folder.write_input(0, b"one")
    folder.write_input(3, b"two")
    folder.end_input()
    assert Path(folder.input_path).read_bytes() == b"onetwo"
    assert os.path.exists(folder.eof_path)


def test_the_worker_is_killed_if_it_is_still_the_same_process(
    folder: RunFolder, sleeper: subprocess.Popen[bytes]
) -> None:
    stranger = identity(sleeper.pid) | {"ticks": 1}
    _start(folder, stranger)
    assert not folder.kill_worker()
    _start(folder, identity(sleeper.pid))
    folder.resume()
    assert sleeper.poll() is None
    assert folder.kill_worker()
    assert sleeper.wait() == -9
    assert not folder.kill_worker()


def _start(folder: RunFolder, worker: dict[str, int]) -> None:
    record = {"format": 1, "guard": worker, "worker": worker, "time": 1}
    write_file(folder.started_path, light.encode(record).encode())


def test_an_unreadable_start_still_counts_as_a_start(folder: RunFolder) -> None:
    Path(folder.started_path).write_bytes(b"\0\0")
    assert folder.started() == {}
    assert not folder.kill_worker()


def test_an_unreadable_end_counts_as_none(folder: RunFolder) -> None:
    Path(folder.exit_path).write_bytes(b"")
    assert folder.exit() is None


def test_a_removed_folder_is_gone_and_may_be_removed_again(folder: RunFolder) -> None:
    folder.remove()
    assert not os.path.exists(folder.path)
    folder.remove()
    assert not folder.alive()
    folder.drop_env()


def _mistakes() -> list[Callable[[], object]]:
    return [lambda: light.decode(b""), lambda: light.decode(b"{"), lambda: light.decode(b"\xff")]


@pytest.mark.parametrize("mistake", _mistakes())
def test_what_is_not_json_is_refused(mistake: Callable[[], object]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the kinds of it differ
        mistake()


def test_json_comes_back_as_it_went() -> None:
    value: dict[str, object] = {"a": [1, -2.5, True, False, None, 'é\n"\udcff', {}], "b": []}
    assert light.decode(light.encode(value).encode("ascii")) == value


def test_signals_have_their_usual_names() -> None:
    assert [light.signal_name(number) for number in (6, 9, 17, 29)] == [
        *("SIGABRT", "SIGKILL", "SIGCHLD", "SIGIO"),
    ]
    assert light.signal_name(40) == "SIG40"


def test_a_blob_that_cannot_be_written_leaves_nothing_behind(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no space left")

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", full)
        with pytest.raises(OSError, match="no space"):
            folder.keep_blobs({"ab": b"text"})
    assert not [name for name in os.listdir(folder.path) if name.startswith("blob.")]

    folder.keep_blobs({"ab": b"text"})
    folder.keep_blobs({"ab": b"text"})
    assert Path(folder.blob_path("ab")).read_bytes() == b"text"
