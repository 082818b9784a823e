"""Guard and worker killed, together and one by one, and a worker that was stopped."""

import os
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from runcast.runner.guard import mend
from runcast.runner.sweep import sweep
from runcast.runner.tree import descendants
from tests.runner.held import HEADER, Held
from tests.support.processes import is_alive
from tests.support.waiting import until

StartRunner = Callable[..., Held]
# A command, a child in a session of its own, and one that also has an empty environment.
FAMILY = "setsid sleep 100 & echo $!; env -i setsid sleep 100 & echo $!; echo $$; sleep 100"


def family(held: Held) -> set[int]:
    until(lambda: held.output().count(b"\n") == 3, "three pids")
    return set(map(int, held.output().split()))


def test_a_killed_worker_takes_the_whole_tree_along(start_runner: StartRunner) -> None:
    held = start_runner(["bash", "-c", FAMILY])
    pids = family(held)
    held.kill("worker")
    killed_at = time.monotonic()
    outcome = held.ended()
    assert time.monotonic() - killed_at < 1
    assert not any(map(is_alive, pids))
    assert (outcome["reason"], outcome["exit_code"], outcome["signal"]) == ("lost", None, None)
    assert outcome["error"] == "the runner's worker was ended by SIGKILL"
    assert pids <= {process["pid"] for process in outcome["killed"]}
    assert outcome["started_at"] == (held.folder.started() or {})["time"]
    assert outcome["spool_bytes"] == os.path.getsize(held.folder.output_path)


def test_a_worker_killed_while_it_writes_leaves_whole_records(
    start_runner: StartRunner, python: list[str]
) -> None:
    code = "import os\nwhile True: os.write(1, b'x' * 3000 + b'\\n')"
    for _ in range(4):
        held = start_runner([*python, code])
        spool = Path(held.folder.output_path)
        until(partial(_is_larger, spool), "output")
        held.kill("worker")
        assert held.ended()["spool_bytes"] == spool.stat().st_size
        assert spool.read_bytes().endswith(b"\n")
        assert all(set(record[HEADER:]) == {ord("x")} for record in held.records())


def _is_larger(spool: Path) -> bool:
    return spool.stat().st_size > 500_000


def test_a_worker_killed_before_the_start_is_lost_and_its_secrets_too(
    start_runner: StartRunner, make_folder: Callable[..., Any], tmp_path: Path
) -> None:
    folder = make_folder(["sh", "-c", "echo ran > ran"], {"TOKEN": "s3cret"})
    os.unlink(folder.env_path)
    os.mkfifo(folder.env_path)  # the worker waits here, just before the start
    held = start_runner(folder)
    worker = until(lambda: _child_of(held.process.pid), "the worker")
    os.kill(worker, signal.SIGKILL)
    outcome = held.ended()
    assert (outcome["reason"], outcome["started_at"]) == ("lost", None)
    assert folder.started() is None
    assert not os.path.exists(folder.env_path)
    assert not (tmp_path / "ran").exists()


def _child_of(pid: int) -> int:
    return next(iter(descendants(pid)), 0)


def test_a_killed_guard_is_not_missed(start_runner: StartRunner) -> None:
    held = start_runner(["sh", "-c", "echo up; read line; echo $line; exit 8"], stdin="pipe")
    held.said(b"up\n")
    held.kill("guard")
    held.process.wait(5)
    assert held.folder.alive()
    held.folder.write_input(0, b"still here\n")
    held.order("input")
    outcome = held.ended()
    assert (outcome["reason"], outcome["exit_code"]) == ("exit", 8)
    assert held.output() == b"up\nstill here\n"


def test_a_run_without_its_guard_can_be_cancelled(start_runner: StartRunner) -> None:
    held = start_runner(["bash", "-c", FAMILY])
    pids = family(held)
    held.kill("guard")
    held.process.wait(5)
    held.order("cancel 0.2")
    assert held.ended()["reason"] == "cancelled"
    assert not any(map(is_alive, pids))


def test_what_survives_guard_and_worker_is_swept(start_runner: StartRunner) -> None:
    other = start_runner(["sleep", "100"])
    held = start_runner(["bash", "-c", "setsid sleep 100 & echo $!; sleep 99"])
    survivor = int(until(held.output, "the pid"))
    said = Path(f"/proc/{survivor}/cmdline")
    until(lambda: said.read_bytes() == b"sleep\x00100\x00", "the survivor to be what it will be")
    held.kill("guard")
    held.kill("worker")
    until(lambda: not held.folder.alive(), "the lock to be free")
    assert held.folder.exit() is None
    swept = dict(sweep(held.key))
    assert swept[survivor] == "sleep 100"
    until(lambda: not is_alive(survivor), "the survivor to be gone")
    assert sweep(held.key) == []
    assert other.folder.alive()


def test_a_stopped_worker_obeys_once_it_is_resumed(start_runner: StartRunner) -> None:
    held = start_runner(["sleep", "100"])
    held.order("input")
    for who in ("guard", "worker"):
        os.kill(held.pid(who), signal.SIGSTOP)
    assert held.folder.order("cancel 1")
    assert held.folder.alive()
    held.folder.resume()
    assert held.ended()["reason"] == "cancelled"


def test_a_worker_that_obeys_no_more_can_be_killed_with_its_run(
    start_runner: StartRunner,
) -> None:
    held = start_runner(["bash", "-c", FAMILY])
    pids = family(held)
    os.kill(held.pid("worker"), signal.SIGSTOP)
    assert held.folder.kill_worker()
    assert held.ended()["reason"] == "lost"
    assert not any(map(is_alive, pids))


def test_a_worker_stopped_over_the_commands_end_loses_no_output(
    start_runner: StartRunner, tmp_path: Path
) -> None:
    script = "echo up; read go < go; echo last words; sleep 100 & exit 0"
    os.mkfifo(tmp_path / "go")
    held = start_runner(["bash", "-c", script])
    held.said(b"up\n")
    os.kill(held.pid("worker"), signal.SIGSTOP)
    (tmp_path / "go").write_text("go\n")
    held.folder.resume()
    held.ended()
    assert held.output() == b"up\nlast words\n"


def test_a_torn_record_is_mended_on_disk(tmp_path: Path) -> None:
    spool = tmp_path / "output.log"
    header = b"2026-11-21T11:57:30.123456789Z stdout "
    whole = header + b"F one\n"
    cases = {
        b"": b"",
        header + b"F tw": header + b"P tw\n",
        header + b"P " + b"x" * 65_536: header + b"P " + b"x" * 65_536 + b"\n",
        header + b"F ": b"",
        header[:20]: b"",
    }
    for torn, mended in cases.items():
        for before in (b"", whole, whole * 5000):
            spool.write_bytes(before + torn)
            assert mend(str(spool)) == len(before + mended)
            assert spool.read_bytes() == before + mended
