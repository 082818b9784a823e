"""Cancel, timeout and leftovers: the whole tree goes, and what was done is told."""

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runcast.runner.tree import descendants
from tests.runner.held import Held
from tests.support.processes import command_line, is_alive, state
from tests.support.waiting import until

StartRunner = Callable[..., Held]
# Starts a process that ignores SIGTERM, and goes on when it does.
STUBBORN = (
    """bash -c "trap '' TERM; touch deaf; sleep 100" & until [ -e deaf ]; do sleep 0.01; done"""
)
TREE = [sys.executable, "-I", "-S"]


def pids_of(processes: list[dict[str, Any]]) -> set[int]:
    return {process["pid"] for process in processes}


@pytest.mark.parametrize("order", ["cancel 0.4", "kill"])
def test_a_tree_that_refuses_to_end_is_gone_soon_after_the_grace(
    start_runner: StartRunner, children: Path, order: str
) -> None:
    held = start_runner([*TREE, str(children / "tree.py")])
    until(lambda: held.output().count(b"\n") == 7, "seven pids")
    family = set(map(int, held.output().split()))
    until(lambda: "T" in map(state, family), "one to be stopped")
    asked = time.monotonic()
    held.order(order)
    outcome = held.ended()
    assert time.monotonic() - asked < (1.4 if order != "kill" else 1)
    assert not any(map(is_alive, family))
    assert (outcome["reason"], outcome["signal"]) == ("cancelled", "SIGKILL")
    killed = outcome["killed"]
    assert len(family & pids_of(killed)) >= 6  # all but the one that ended to orphan its child
    assert all("tree.py" in process["command"] for process in killed if process["pid"])


def test_a_polite_command_ends_at_once_with_its_own_exit_code(start_runner: StartRunner) -> None:
    trap = "trap 'echo bye; exit 6' TERM; echo up; while :; do sleep 0.05; done"
    held = start_runner(["bash", "-c", trap])
    held.said(b"up\n")
    held.order("cancel 30")
    outcome = held.ended(5)
    assert (outcome["reason"], outcome["exit_code"], outcome["killed"]) == ("cancelled", 6, [])
    assert held.output() == b"up\nbye\n"


def test_a_stopped_command_can_act_on_a_cancel(start_runner: StartRunner) -> None:
    held = start_runner(["sh", "-c", "echo $$; kill -STOP $$"])
    pid = int(until(held.output, "the pid"))
    until(lambda: state(pid) == "T", "it to stop")
    held.order("cancel 30")
    outcome = held.ended(5)
    assert (outcome["reason"], outcome["signal"]) == ("cancelled", "SIGTERM")


def test_output_is_kept_while_the_grace_runs(start_runner: StartRunner) -> None:
    busy = "trap '' TERM; while :; do echo tick; sleep 0.01; done"
    held = start_runner(["bash", "-c", busy])
    held.said(b"tick\n")
    before = len(held.records())
    held.order("cancel 0.3")
    held.ended()
    assert len(held.records()) > before + 5


def test_a_second_cancel_may_shorten_the_grace(start_runner: StartRunner) -> None:
    held = start_runner(["bash", "-c", "trap '' TERM; echo up; while :; do sleep 0.05; done"])
    held.said(b"up\n")
    held.order("cancel 60")
    held.order("cancel 0.1")
    assert held.ended(5)["signal"] == "SIGKILL"


def test_a_terminated_worker_cancels_with_the_runs_own_grace(start_runner: StartRunner) -> None:
    held = start_runner(["sleep", "100"])
    until(lambda: held.folder.order("input"), "orders to be taken")
    for who, number in (("guard", signal.SIGTERM), ("guard", signal.SIGHUP)):
        os.kill(held.pid(who), number)
    os.kill(held.pid("worker"), signal.SIGINT)
    os.kill(held.pid("worker"), signal.SIGTERM)
    outcome = held.ended()
    assert (outcome["reason"], outcome["signal"]) == ("cancelled", "SIGTERM")


def test_a_timeout_is_enforced(start_runner: StartRunner) -> None:
    held = start_runner(["bash", "-c", "trap '' TERM; while :; do sleep 1; done"], timeout_s=0.3)
    outcome = held.ended()
    took = (outcome["ended_at"] - outcome["started_at"]) / 1e6
    assert 0.5 < took < 1.6
    assert (outcome["reason"], outcome["signal"]) == ("timeout", "SIGKILL")
    assert outcome["killed"]


def test_a_command_that_ends_in_time_meets_no_timeout(start_runner: StartRunner) -> None:
    outcome = start_runner(["sh", "-c", "sleep 0.3 & exit 2"], timeout_s=0.2).ended()
    assert (outcome["reason"], outcome["exit_code"]) == ("exit", 2)


def test_leftovers_are_ended_and_reported(start_runner: StartRunner) -> None:
    held = start_runner(["bash", "-c", f"setsid sleep 101 & (sleep 102 &); {STUBBORN}; exit 9"])
    outcome = held.ended()
    assert (outcome["reason"], outcome["exit_code"]) == ("exit", 9)
    left = {process["command"] for process in outcome["leftovers"]}
    assert left >= {"sleep 101", "sleep 102"}
    assert pids_of(outcome["killed"]) <= pids_of(outcome["leftovers"])
    assert len(outcome["killed"]) >= 1
    assert not any(map(is_alive, pids_of(outcome["leftovers"])))


def test_a_cancel_after_the_commands_end_hastens_but_changes_no_outcome(
    start_runner: StartRunner,
) -> None:
    held = start_runner(["bash", "-c", f"{STUBBORN}; echo $$; exit 3"], grace_s=60)
    pid = int(until(held.output, "the pid"))
    until(lambda: state(pid) == "", "the command to be reaped")
    held.order("cancel 0.1")
    outcome = held.ended(5)
    assert (outcome["reason"], outcome["exit_code"]) == ("exit", 3)
    assert outcome["killed"]


@pytest.mark.needs("root", "unshare")
def test_what_may_not_be_killed_is_reported_and_does_not_keep_the_run_open(
    start_runner: StartRunner,
) -> None:
    unable = ["setpriv", "--bounding-set", "-kill"]
    held = start_runner(["setpriv", "--reuid", "65534", "sleep", "100"], wrap=unable)
    worker = held.pid("worker")
    until(lambda: "sleep 100" in map(command_line, descendants(worker)), "the command")
    asked = time.monotonic()
    held.order("kill")
    outcome = held.ended()
    assert time.monotonic() - asked < 3
    assert (outcome["reason"], outcome["exit_code"], outcome["signal"]) == ("cancelled", None, None)
    assert [process["command"] for process in outcome["leftovers"]] == ["sleep 100"]
    assert outcome["killed"] == []


def test_background_processes_may_be_kept(start_runner: StartRunner) -> None:
    held = start_runner(["bash", "-c", "sleep 100 & echo $!; exit 0"], keep_background=True)
    outcome = held.ended()
    pid = int(held.output())
    assert is_alive(pid)
    assert (outcome["leftovers"], outcome["killed"]) == ([], [])
    os.kill(pid, signal.SIGKILL)


def test_a_cancel_ends_background_processes_too(start_runner: StartRunner) -> None:
    held = start_runner(["bash", "-c", "sleep 100 & echo $!; wait"], keep_background=True)
    pid = int(until(held.output, "the pid"))
    held.order("cancel 5")
    assert held.ended()["reason"] == "cancelled"
    assert not is_alive(pid)


def test_orphans_are_reaped_while_the_command_runs(start_runner: StartRunner) -> None:
    held = start_runner(["sh", "-c", "(sh -c 'echo $$' &); exec sleep 100"])
    pid = int(until(held.output, "the orphan's pid"))
    until(lambda: state(pid) == "", "the orphan to be reaped")


def test_nonsense_orders_are_complained_about_and_ignored(start_runner: StartRunner) -> None:
    held = start_runner(["sleep", "100"])
    for order in ("dance", "cancel", "cancel soon", "", "kill"):
        held.order(order)
    held.process.wait(5)
    outcome = held.folder.exit()
    assert outcome is not None
    assert outcome["reason"] == "cancelled"
    assert held.complaints().count("this is no order") == 3
