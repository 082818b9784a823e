"""How a command is started: once, with the right surroundings, or with a reason why not."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import runcast
from runcast.spool.folder import RunFolder
from tests.runner.held import RUNNER, Held
from tests.support import processes
from tests.support.waiting import until

StartRunner = Callable[..., Held]
MakeFolder = Callable[..., RunFolder]

# 32 and 33 are the C library's own, and its posix_spawn leaves them ignored.
LIBC_SIGNALS = 0b11 << 31


@pytest.mark.parametrize("code", [0, 1, 3, 255])
def test_the_exit_code_is_recorded(start_runner: StartRunner, code: int) -> None:
    outcome = start_runner(["sh", "-c", f"exit {code}"]).ended()
    assert (outcome["reason"], outcome["exit_code"], outcome["signal"]) == ("exit", code, None)


@pytest.mark.parametrize("name", ["KILL", "SEGV", "TERM"])
def test_the_signal_is_recorded(start_runner: StartRunner, name: str) -> None:
    outcome = start_runner(["sh", "-c", f"kill -{name} $$"]).ended()
    assert (outcome["reason"], outcome["exit_code"]) == ("signal", None)
    assert outcome["signal"] == f"SIG{name}"
    assert outcome["killed"] == []


@pytest.mark.parametrize(
    ("argv", "complaint"),
    [
        (["no-such-program"], "cannot run 'no-such-program': there is no such program in PATH"),
        (["./missing"], "cannot run './missing': No such file or directory"),
        (["/etc/passwd"], "cannot run '/etc/passwd': Permission denied"),
        (["./no-interpreter"], "the interpreter in its first line does not exist"),
        (["./no-program"], "cannot run './no-program': Exec format error"),
        (["echo", "a\0b"], "cannot run 'echo': embedded null byte"),
    ],
)
def test_a_command_that_cannot_run_is_named_with_the_reason(
    start_runner: StartRunner, tmp_path: Path, argv: list[str], complaint: str
) -> None:
    for name, text in (("no-interpreter", "#!/no/such\n"), ("no-program", "\0\1")):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    held = start_runner(argv, env={"SECRET": "x"})
    outcome = held.ended()
    assert outcome["reason"] == "spawn"
    assert complaint in outcome["error"]
    assert (outcome["exit_code"], outcome["signal"]) == (None, None)
    assert not os.path.exists(held.folder.env_path)


def test_a_bad_working_directory_is_named(start_runner: StartRunner) -> None:
    outcome = start_runner(["true"], cwd="/no/such/place").ended()
    assert outcome["reason"] == "spawn"
    assert "'/no/such/place': No such file or directory" in outcome["error"]


def test_a_folder_without_a_readable_run_ends_with_a_reason(
    start_runner: StartRunner, make_folder: MakeFolder
) -> None:
    folder = make_folder(["true"])
    Path(folder.run_path).write_text("{")
    assert start_runner(folder).ended()["reason"] == "spawn"
    assert folder.started() is None


def test_the_environment_is_the_servers_then_the_runs_then_the_requests(
    start_runner: StartRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNCAST_TOKEN", "secret")
    monkeypatch.setenv("FROM_SERVER", "yes")
    monkeypatch.setenv("REPLACED", "old")
    env = {"REPLACED": "é", "RUNCAST_TASK_ID": "mine", "RUNCAST_RUN_KEY": "another"}
    held = start_runner(["env", "-0"], env=env)
    held.ended()
    found = dict(pair.split("=", 1) for pair in held.output().decode().split("\0") if pair)
    ours = {name: text for name, text in found.items() if name.startswith("RUNCAST_")}
    assert ours == {
        "RUNCAST_RUN_ID": "the-run",
        "RUNCAST_TASK_ID": "mine",
        "RUNCAST_RUN_KEY": held.key,
    }
    assert (found["FROM_SERVER"], found["REPLACED"]) == ("yes", "é")
    assert found["PWD"] == str(tmp_path)


@pytest.mark.parametrize("unset", [["KEY"], ["KEY", "ABSENT", "RUNCAST_RUN_KEY"]])
def test_a_variable_that_is_to_be_unset_is_in_nobodys_part_of_the_environment(
    start_runner: StartRunner, monkeypatch: pytest.MonkeyPatch, unset: list[str]
) -> None:
    monkeypatch.setenv("KEY", "from the server")
    held = start_runner(["env"], env={"KEY": "from the request", "KEY_2": "kept"}, unset=unset)
    held.ended()
    lines = held.output().splitlines()
    assert not [line for line in lines if line.startswith(b"KEY=")]
    assert b"KEY_2=kept" in lines
    assert f"RUNCAST_RUN_KEY={held.key}".encode() in lines


def test_the_requests_environment_is_gone_once_the_command_runs(
    start_runner: StartRunner, make_folder: MakeFolder
) -> None:
    folder = make_folder(["sh", "-c", "echo $TOKEN; sleep 100"], {"TOKEN": "s3cret"})
    assert os.stat(folder.env_path).st_mode & 0o777 == 0o600
    held = start_runner(folder)
    held.said(b"s3cret\n")
    until(lambda: not os.path.exists(folder.env_path), "the environment to be removed")
    assert held.process.poll() is None


def test_the_program_is_looked_up_in_the_path_of_the_command(
    start_runner: StartRunner, tmp_path: Path
) -> None:
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "greet"
    program.write_text("#!/bin/sh\necho hello from $PWD\n")
    program.chmod(0o755)
    held = start_runner(["greet"], env={"PATH": f"/no/such:{tmp_path}/bin:/bin"})
    held.ended()
    assert held.output() == f"hello from {tmp_path}\n".encode()


def test_a_working_directory_that_is_a_link_keeps_its_name(
    start_runner: StartRunner, tmp_path: Path
) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    held = start_runner(["sh", "-c", "pwd"], cwd=str(tmp_path / "link"))
    held.ended()
    assert held.output() == f"{tmp_path}/link\n".encode()


def test_the_command_has_its_three_streams_and_nothing_else(
    start_runner: StartRunner, python: list[str]
) -> None:
    code = "import os; print(sorted(os.listdir('/proc/self/fd')))"
    held = start_runner([*python, code], stdin="pipe")
    held.ended()
    assert held.output() == b"['0', '1', '2', '3']\n"  # 3 is the listing itself


def test_the_command_starts_with_usual_signals_in_a_group_of_its_own(
    start_runner: StartRunner, python: list[str]
) -> None:
    held = start_runner(
        ["grep", "-E", "SigIgn|SigBlk", "/proc/self/status"],
        wrap=["sh", "-c", "trap '' INT QUIT USR1 PIPE; \"$@\"", ""],
    )
    held.ended()
    found = held.output().split()
    assert found[::2] == [b"SigBlk:", b"SigIgn:"]
    blocked, ignored = (int(mask, 16) & ~LIBC_SIGNALS for mask in found[1::2])
    assert (blocked, ignored) == (0, 0)
    held = start_runner([*python, "import os; print(os.getpid() == os.getpgrp())"])
    held.ended()
    assert held.output() == b"True\n"


def test_an_inherited_deaf_ear_for_children_loses_no_exit_code(
    start_runner: StartRunner, python: list[str]
) -> None:
    deaf = "import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN)\n"
    wrap = [*python, deaf + "os.execv(sys.argv[1], sys.argv[1:])"]
    outcome = start_runner(["sh", "-c", "exit 5"], wrap=wrap).ended()
    assert (outcome["reason"], outcome["exit_code"]) == ("exit", 5)


def test_a_second_runner_leaves_without_starting_the_command(
    start_runner: StartRunner, tmp_path: Path
) -> None:
    held = start_runner(["sh", "-c", "echo once >> count"])
    outcome = held.ended()
    second = start_runner(held.folder)
    assert second.process.wait(5) == 3
    assert held.folder.exit() == outcome
    assert (tmp_path / "count").read_text() == "once\n"


def test_a_start_whose_end_was_never_recorded_is_not_repeated(
    start_runner: StartRunner, make_folder: MakeFolder, tmp_path: Path
) -> None:
    folder = make_folder(["sh", "-c", "echo ran > ran"])
    Path(folder.started_path).touch()
    assert start_runner(folder).process.wait(5) == 3
    assert folder.exit() is None
    assert not (tmp_path / "ran").exists()


def test_a_runner_without_the_lock_leaves(make_folder: MakeFolder, tmp_path: Path) -> None:
    folder = make_folder(["sh", "-c", "echo ran > ran"])
    lock = folder.take_lock()
    assert lock is not None
    other = os.open(folder.lock_path, os.O_RDWR)
    command = [sys.executable, "-I", "-S", str(RUNNER), folder.path, str(other)]
    assert subprocess.run(command, pass_fds=[other]).returncode == 3
    os.close(other)
    os.close(lock)
    assert not (tmp_path / "ran").exists()


def test_the_start_names_guard_and_worker(start_runner: StartRunner) -> None:
    held = start_runner(["sleep", "100"])
    worker = until(lambda: processes.command_line(held.pid("worker")), "the worker")
    assert held.pid("guard") == held.process.pid
    assert held.folder.path in worker


@pytest.mark.parametrize("end", ["cancelled", "lost"])
def test_a_runner_needs_no_file_of_its_program_once_the_command_runs(
    make_folder: MakeFolder, tmp_path: Path, end: str
) -> None:
    copy = shutil.copytree(Path(runcast.__file__).parent, tmp_path / "lib" / "runcast")
    held = Held(make_folder(["sleep", "100"]), [], copy / "runner" / "__main__.py")
    try:
        held.order("input")
        shutil.rmtree(copy)
        if end == "cancelled":
            held.order("kill")
        else:
            held.kill("worker")
        assert held.ended()["reason"] == end
    finally:
        held.close()


def test_the_command_gets_the_limit_of_open_files_that_is_asked_for(
    start_runner: StartRunner,
) -> None:
    held = start_runner(["sh", "-c", "ulimit -n"], open_files=99)
    held.ended()
    assert held.output() == b"99\n"
