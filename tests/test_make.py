"""`make run`, as somebody's first command."""

import os
import signal
import subprocess
from pathlib import Path

import httpx2
import pytest

from tests.support import processes
from tests.support.server import clean_environment, free_port
from tests.support.waiting import until

ROOT = Path(__file__).parents[1]


@pytest.mark.needs("make")
@pytest.mark.timeout(300)  # it may have to make .venv first
def test_make_run_shows_a_demo_and_the_address_and_stops_cleanly(tmp_path: Path) -> None:
    port = free_port()
    env = clean_environment({"RUNCAST__STREAMING__PORT": str(port)})
    output = tmp_path / "output"
    with output.open("wb") as printed:
        make = subprocess.Popen(
            ["make", "run", f"STATE={tmp_path / 'state'}"],
            cwd=ROOT,
            env=env,
            stdout=printed,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        until(lambda: b"Ctrl-C stops it" in output.read_bytes(), "make run to be ready", 240)
        assert f"runcast is at http://127.0.0.1:{port} ".encode() in output.read_bytes()
        assert b"step 10 of ten" in output.read_bytes()
        runs = httpx2.get(f"http://127.0.0.1:{port}/api/v1/runs", trust_env=False).json()["runs"]
        assert [run["status"] for run in runs] == ["completed"]
    finally:
        os.killpg(make.pid, signal.SIGINT)
        make.wait(10)
        processes.kill_all(lambda: processes.of_folder(tmp_path / "state"))
    assert b"Traceback" not in output.read_bytes()
