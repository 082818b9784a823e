"""The check that fails a test which leaves something behind, held to its word."""

import socket
import subprocess

import pytest

from tests.support.leaks import Watch
from tests.support.processes import is_alive
from tests.support.waiting import until


@pytest.fixture
def watch() -> Watch:
    return Watch(settle=0.1)


def test_a_child_process_is_found_and_killed(watch: Watch) -> None:
    child = subprocess.Popen(["sleep", "100"])
    with pytest.raises(AssertionError, match=r"process \d+ .*sleep 100"):
        watch.check()
    assert child.wait() == -9


def test_an_orphan_that_left_the_session_is_found_and_killed(watch: Watch) -> None:
    command = "setsid sleep 101 >/dev/null 2>&1 & echo $!"
    subprocess.run(["bash", "-c", command], check=True, stdout=subprocess.PIPE)
    with pytest.raises(AssertionError, match="sleep 101") as complaint:
        watch.check()
    pid = int(str(complaint.value).split("process ")[1].split()[0])
    until(lambda: not is_alive(pid), "the orphan to be gone")


def test_an_open_socket_is_found(watch: Watch) -> None:
    with socket.socket(), pytest.raises(AssertionError, match="socket:"):
        watch.check()


def test_a_tidy_test_passes(watch: Watch) -> None:
    with socket.socket():
        subprocess.run(["true"], check=True)
    watch.check()
