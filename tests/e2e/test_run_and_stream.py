"""A command run from the command line: its output, its stream, its end come through exactly."""

import subprocess
import sys
from collections.abc import Callable, Sequence

import httpx2
import pytest

from tests.support.runs import get, output, submit
from tests.support.server import RUNCAST, Server, clean_environment
from tests.support.sse import printed, read_stream, stream_path
from tests.support.waiting import until

LINES = 100_000
COUNTING = ["bash", "-c", f"for i in $(seq 1 {LINES}); do echo line $i; done"]
COUNTED = "".join(f"line {i}\n" for i in range(1, LINES + 1)).encode()

# Shell script -> exit code of `runcast run`: the one a shell would have reported.
ENDS = {
    "exit 0": 0,
    "exit 7": 7,
    "exit 255": 255,
    "kill -TERM $$": 143,
    "kill -KILL $$": 137,
}


@pytest.fixture
def server(shared_server: Server) -> Server:
    return shared_server


def runcast_run(server: Server, *words: str) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(
        [RUNCAST, "run", *words],
        capture_output=True,
        env=clean_environment({"RUNCAST_SERVER": server.url}),
        timeout=60,
        check=False,
    )


def exists(client: httpx2.Client, run_id: str) -> bool:
    return client.get(f"/api/v1/runs/{run_id}").status_code == 200


def curl(server: Server, run_id: str) -> Sequence[tuple[str, int]]:
    """Return the event names and ids that `curl -N` shows of a run's stream."""
    shown = subprocess.run(
        ["curl", "-sSN", "--max-time", "60", server.url + stream_path(run_id)],
        stdout=subprocess.PIPE,
        check=True,
    ).stdout.decode()
    lines = shown.splitlines()
    names = [line.removeprefix("event: ") for line in lines if line.startswith("event: ")]
    ids = [int(line.removeprefix("id: ")) for line in lines if line.startswith("id: ")]
    return list(zip(names, ids, strict=True))


@pytest.mark.needs("curl")
def test_a_hundred_thousand_lines_are_printed_and_streamed_live_exactly(
    server: Server, client: httpx2.Client
) -> None:
    command = [RUNCAST, "run", "--server", server.url, "--id", "count", "--", *COUNTING]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as running:
        until(lambda: exists(client, "count"), "the run to be submitted")
        live = curl(server, "count")
        assert running.stdout is not None
        assert running.stdout.read() == COUNTED
    assert running.returncode == 0

    last_seq = get(client, "count")["last_seq"]
    assert [number for _, number in live] == [*range(1, last_seq + 1), last_seq + 1]
    assert [name for name, _ in live[-2:]] == ["status", "end"]
    assert [name for name, _ in live].count("log") == LINES


def test_the_log_lines_of_a_stream_are_the_output(server: Server, client: httpx2.Client) -> None:
    run_id = submit(client, COUNTING)
    frames = read_stream(server.port, run_id)
    lines = [frame.data["line"] for frame in frames if frame.event == "log"]
    assert lines == [f"line {i}" for i in range(1, LINES + 1)]
    assert output(client, run_id) == COUNTED


def test_exit_codes_and_signals_come_through(server: Server) -> None:
    ends = {script: runcast_run(server, "--", "bash", "-c", script).returncode for script in ENDS}
    assert ends == ENDS


def test_what_cannot_be_run_ends_as_in_a_shell(server: Server) -> None:
    missing = runcast_run(server, "--", "no-such-program-anywhere")
    assert (missing.returncode, missing.stdout) == (127, b"")
    assert b"no-such-program-anywhere" in missing.stderr
    assert runcast_run(server, "--", "/etc/passwd").returncode == 126


def test_stdout_and_stderr_stay_apart(server: Server) -> None:
    script = "echo to stdout; echo to stderr >&2; printf 'no newline'"
    done = runcast_run(server, "--", "bash", "-c", script)
    assert (done.stdout, done.stderr) == (b"to stdout\nno newline", b"to stderr\n")


def test_the_stream_of_a_run_that_waits_begins_at_once_and_ends_with_it(
    make_server: Callable[..., Server],
) -> None:
    server = make_server(RUNCAST__QUEUE__MAX_CONCURRENT_RUNS="1")
    with server.client() as client:
        first = submit(client, ["sleep", "1"])
        second = submit(client, ["echo", "my turn"])
        frames = read_stream(server.port, second)
        assert get(client, first)["status"] == "completed"
    states = [frame.data["status"] for frame in frames if frame.event == "status"]
    assert states == ["queued", "running", "completed"]
    assert printed(frames) == b"my turn\n"


def test_every_byte_that_is_no_text_comes_through(server: Server, client: httpx2.Client) -> None:
    expression = r"bytes(range(256)) * 300 + b'\xff\xfe no newline at the end'"
    program = f"import sys; sys.stdout.buffer.write({expression})"
    run_id = submit(client, [sys.executable, "-c", program])
    data = eval(expression)
    assert printed(read_stream(server.port, run_id)) == data
    assert output(client, run_id) == data
