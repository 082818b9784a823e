"""What is wrong is said plainly: in the answer, in the run, or in one line with exit code 2."""

import subprocess
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.support.runs import submit, wait_ended
from tests.support.server import RUNCAST, Server, clean_environment, free_port

# What is asked -> method, path, options of the request, and the status and code of the answer.
REFUSED: dict[str, tuple[str, str, dict[str, Any], int, str]] = {
    "unknown run": ("GET", "/runs/nobody", {}, 404, "not_found"),
    "unknown run's stream": ("GET", "/runs/nobody/stream", {}, 404, "not_found"),
    "unknown run's events": ("GET", "/runs/nobody/events", {}, 404, "not_found"),
    "unknown run's output": ("GET", "/runs/nobody/output", {}, 404, "not_found"),
    "unknown run cancelled": ("POST", "/runs/nobody/cancel", {}, 404, "not_found"),
    "unknown run deleted": ("DELETE", "/runs/nobody", {}, 404, "not_found"),
    "id that cannot be one": ("GET", "/runs/a..b", {}, 400, "bad_id"),
    "body that is not JSON": (
        "POST",
        "/runs",
        {"content": "{", "headers": {"Content-Type": "application/json"}},
        400,
        "bad_request",
    ),
    "JSON that is no object": ("POST", "/runs", {"json": ["ls"]}, 400, "bad_request"),
    "no command": ("POST", "/runs", {"json": {}}, 400, "bad_request"),
    "empty command": ("POST", "/runs", {"json": {"command": []}}, 400, "bad_request"),
    "command as a text": ("POST", "/runs", {"json": {"command": "ls"}}, 400, "bad_request"),
    "unknown field": (
        "POST",
        "/runs",
        {"json": {"command": ["ls"], "nice": 1}},
        400,
        "bad_request",
    ),
    "unknown workspace": (
        "POST",
        "/runs",
        {"json": {"command": ["ls"], "workspace_id": "nowhere"}},
        400,
        "unknown_workspace",
    ),
    "body of another type": ("POST", "/runs", {"content": "command=ls"}, 415, "not_json"),
    "other method": ("PUT", "/runs", {"json": {}}, 405, "method_not_allowed"),
}


@pytest.fixture
def server(shared_server: Server) -> Server:
    return shared_server


@pytest.mark.parametrize("what", REFUSED)
def test_a_request_that_cannot_be_done_is_refused(client: httpx2.Client, what: str) -> None:
    method, path, options, status, code = REFUSED[what]
    answer = client.request(method, f"/api/v1{path}", **options)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert answer.json()["error"]["message"]


@pytest.mark.parametrize("program", ["no-such-program", "/no/such/program"])
def test_a_program_that_does_not_exist_fails_the_run_and_is_named(
    client: httpx2.Client, program: str
) -> None:
    run = wait_ended(client, submit(client, [program, "x"]))
    assert (run["status"], run["reason"], run["exit_code"]) == ("failed", "spawn", None)
    assert program in run["error"]


def test_a_working_folder_that_does_not_exist_fails_the_run_and_is_named(
    client: httpx2.Client,
) -> None:
    run = wait_ended(client, submit(client, ["ls"], cwd="/no/such/folder"))
    assert (run["status"], run["reason"]) == ("failed", "spawn")
    assert "/no/such/folder" in run["error"]


def serve(data_dir: Path, port: int) -> str:
    """Start a server that cannot start; return the one line that it says."""
    command = [RUNCAST, "serve", "--port", str(port), "--data-dir", str(data_dir)]
    refused = subprocess.run(
        command, capture_output=True, text=True, env=clean_environment(), timeout=30, check=False
    )
    assert (refused.returncode, refused.stdout) == (2, "")
    (line,) = refused.stderr.splitlines()
    return line


def test_a_data_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    below_a_file = tmp_path / "file" / "data"
    assert str(below_a_file) in serve(below_a_file, free_port())


def test_a_read_only_file_system_is_named() -> None:
    assert "/proc/runcast" in serve(Path("/proc/runcast"), free_port())


def test_a_port_that_is_taken_is_named(server: Server, tmp_path: Path) -> None:
    line = serve(tmp_path / "data", server.port)
    assert f"127.0.0.1:{server.port}" in line
    assert "--port" in line


def test_a_second_server_on_a_data_folder_is_refused(server: Server) -> None:
    line = serve(server.data_dir, free_port())
    assert str(server.data_dir) in line
    assert "another runcast server" in line


def runcast(server: Server, *words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [RUNCAST, *words],
        capture_output=True,
        text=True,
        env=clean_environment({"RUNCAST_SERVER": server.url}),
        timeout=30,
        check=False,
    )


@pytest.mark.parametrize("words", [["logs", "nobody"], ["cancel", "nobody"]])
def test_the_command_line_says_that_a_run_is_unknown(server: Server, words: list[str]) -> None:
    refused = runcast(server, *words)
    assert (refused.returncode, refused.stdout) == (1, "")
    (line,) = refused.stderr.splitlines()
    assert "nobody" in line


def test_the_command_line_says_that_an_id_is_taken(server: Server) -> None:
    assert runcast(server, "run", "--id", "once", "--", "true").returncode == 0
    again = runcast(server, "run", "--id", "once", "--", "true")
    assert again.returncode == 125
    assert "(id_taken)" in again.stderr
