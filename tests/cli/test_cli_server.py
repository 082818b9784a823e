"""The commands against a real server: what is printed, what is returned, what stays."""

import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import msgspec
import pytest

from runcast.client import Client
from runcast.client.types import Run
from tests.cli.commands import runcast, start
from tests.support.server import Server
from tests.support.waiting import until


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("cli") / "data")
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture
def api(server: Server) -> Iterator[Client]:
    with Client(server.url) as client:
        yield client


def detached(server: Server, *command: str) -> str:
    ended = runcast(server.url, "run", "--detach", "--", *command)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.decode().strip()


def finished(api: Client, run_id: str) -> Run:
    run = api.get(run_id, wait_s=20)
    assert run.ended_at is not None
    return run


PRINTER = r"""
import os
os.write(1, b"one\ntwo \xc3\xbc\n\n")
os.write(1, b"\xff\xfe not text\n\x00nul\rreturn\n")
os.write(1, b"x" * 200_000 + b"\n")
os.write(1, b"no end")
"""


def test_run_prints_exactly_the_bytes_that_the_command_printed(server: Server) -> None:
    ended = runcast(server.url, "run", "--", sys.executable, "-c", PRINTER)
    expected = subprocess.run([sys.executable, "-c", PRINTER], capture_output=True, check=True)
    assert ended.stdout == expected.stdout
    assert (ended.returncode, ended.stderr) == (0, b"")


def test_run_keeps_the_two_streams_apart(server: Server) -> None:
    ended = runcast(server.url, "run", "--", "sh", "-c", "echo out; echo err >&2; printf more >&2")
    assert (ended.stdout, ended.stderr) == (b"out\n", b"err\nmore")


def test_a_hundred_thousand_lines_come_through_in_a_few_seconds(server: Server) -> None:
    started = time.monotonic()
    script = "for i in $(seq 1 100000); do echo line $i; done"
    ended = runcast(server.url, "run", "--", "bash", "-c", script)
    assert ended.stdout == b"".join(b"line %d\n" % n for n in range(1, 100_001))
    assert ended.returncode == 0
    assert time.monotonic() - started < 15


def test_a_line_is_shown_when_it_is_printed_and_not_at_the_end(server: Server) -> None:
    child = start(server.url, ["run", "--", "sh", "-c", "printf 'name? '; sleep 30"])
    assert child.stdout is not None
    assert os.read(child.stdout.fileno(), 100) == b"name? "
    interrupt_twice(child)
    assert child.wait(20) == 130
    child.communicate()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["sh", "-c", "exit 0"], 0, b""),
        (["sh", "-c", "exit 3"], 3, b""),
        (["sh", "-c", "kill -9 $$"], 137, b"SIGKILL"),
        (["sh", "-c", "kill -15 $$"], 143, b"SIGTERM"),
        (["--timeout", "0.3s", "--", "sleep", "60"], 124, b"timeout"),
        (["no-such-program"], 127, b"cannot run 'no-such-program'"),
        (["./no-such-file"], 127, b"cannot run './no-such-file'"),
        (["/etc/hostname"], 126, b"cannot run '/etc/hostname'"),
        (["--cwd", "/no/such/folder", "true"], 126, b"/no/such/folder"),
        (["--id", "../x", "true"], 125, b"(bad_id)"),
        (["--dialect", "klingon", "true"], 125, b"(bad_request)"),
    ],
)
def test_run_ends_as_the_command_ended(
    server: Server, words: list[str], code: int, said: bytes
) -> None:
    ended = runcast(server.url, "run", *words)
    assert ended.returncode == code
    assert said in ended.stderr
    assert ended.stderr.count(b"\n") <= 1


def test_run_takes_its_folder_variables_and_input(server: Server, tmp_path: Path) -> None:
    script = 'echo "$PWD $GREETING"; cat'
    options = ["--cwd", str(tmp_path), "--env", "GREETING=a=b c", "--stdin", "-"]
    ended = runcast(server.url, "run", *options, "sh", "-c", script, stdin=b"from afar\nend")
    assert ended.stdout == f"{tmp_path} a=b c\nfrom afar\nend".encode()


def test_run_works_in_the_callers_folder(server: Server, tmp_path: Path) -> None:
    child = start(server.url, ["run", "pwd"], cwd=tmp_path)
    assert child.communicate(timeout=30)[0].decode().strip() == str(tmp_path)


def test_ids_can_be_chosen_once(server: Server, api: Client) -> None:
    assert runcast(server.url, "run", "--id", "mine", "--task-id", "t", "true").returncode == 0
    assert api.get("mine").task_id == "t"
    again = runcast(server.url, "run", "--id", "mine", "true")
    assert again.returncode == 125
    assert b"(id_taken)" in again.stderr


def interrupt_twice(child: "subprocess.Popen[bytes]") -> None:
    """Press Ctrl-C, and again once the command has answered, so that two are not taken for one."""
    assert child.stderr is not None
    child.send_signal(signal.SIGINT)
    assert b"Ctrl-C again within 2 s" in child.stderr.readline()
    child.send_signal(signal.SIGINT)


def running(api: Client, task: str) -> Run:
    return until(lambda: api.list(1, task_id=task, status="running"), "the run to start")[0]


def test_one_interrupt_detaches_and_leaves_the_run_running(server: Server, api: Client) -> None:
    child = start(server.url, ["run", "--task-id", "left", "sh", "-c", "echo up; sleep 60"])
    assert child.stdout is not None
    assert os.read(child.stdout.fileno(), 100) == b"up\n"
    child.send_signal(signal.SIGINT)
    _, said = child.communicate(timeout=20)
    run = running(api, "left")
    assert child.returncode == 0
    assert f"run {run.id} goes on; Ctrl-C again within 2 s to cancel it" in said.decode()
    assert f"detached; follow it with: runcast logs -f {run.id}" in said.decode()
    assert runcast(server.url, "cancel", run.id).returncode == 0
    assert finished(api, run.id).status == "cancelled"


def test_two_interrupts_cancel_and_show_the_last_words(server: Server, api: Client) -> None:
    script = "trap 'echo last words; exit' TERM; echo up; while :; do sleep 0.1; done"
    child = start(server.url, ["run", "--id", "twice", "bash", "-c", script])
    assert child.stdout is not None
    assert os.read(child.stdout.fileno(), 100) == b"up\n"
    interrupt_twice(child)
    out, _ = child.communicate(timeout=20)
    assert (child.returncode, out) == (130, b"last words\n")
    assert api.get("twice").status == "cancelled"


def test_a_reader_that_leaves_is_told_that_the_run_goes_on(server: Server, api: Client) -> None:
    script = "seq 1 200000; sleep 1; echo survived"
    child = start(server.url, ["run", "--id", "piped", "sh", "-c", script])
    assert child.stdout is not None
    assert child.stdout.read(6) == b"1\n2\n3\n"
    child.stdout.close()
    assert child.stderr is not None
    assert child.wait(20) == 141
    assert child.stderr.read() == (
        b"runcast: nobody reads on; run piped goes on, end it with: runcast cancel piped\n"
    )
    child.stderr.close()
    assert finished(api, "piped").exit_code == 0
    assert runcast(server.url, "logs", "piped").stdout.endswith(b"200000\nsurvived\n")


def test_logs_show_what_was_said_from_where_it_is_asked(server: Server, api: Client) -> None:
    run_id = detached(server, "sh", "-c", "echo 1; echo 2; sleep 0.3; echo 3 >&2")
    finished(api, run_id)
    both = runcast(server.url, "logs", run_id)
    assert (both.stdout, both.stderr) == (b"1\n2\n", b"3\n")
    assert runcast(server.url, "logs", "--stderr", run_id).stdout == b"3\n"
    assert runcast(server.url, "logs", "--stdout", run_id).stdout == b"1\n2\n"
    assert runcast(server.url, "logs", "--stdout", "--since-seq", "3", run_id).stdout == b"2\n"
    last = str(api.get(run_id).last_seq)
    assert runcast(server.url, "logs", "--since-seq", last, run_id).stdout == b""
    assert runcast(server.url, "logs", "-f", run_id).stdout == b"1\n2\n"


def test_logs_of_a_living_run_end_now_and_followed_logs_at_its_end(
    server: Server, api: Client
) -> None:
    run_id = detached(server, "sh", "-c", "echo begin; sleep 1.5; echo end")
    until(lambda: api.get(run_id).last_seq >= 3, "the first line")
    assert runcast(server.url, "logs", run_id).stdout == b"begin\n"
    assert api.get(run_id).status == "running"
    assert runcast(server.url, "logs", "-f", run_id).stdout == b"begin\nend\n"


def on_a_terminal(server: Server, *words: str) -> bytes:
    leader, follower = pty.openpty()
    shown = b""
    with os.fdopen(follower, "wb") as terminal:
        child = start(server.url, words, stdout=terminal)
    try:
        while piece := os.read(leader, 65_536):
            shown += piece
    except OSError:  # the terminal's other side is closed
        pass
    finally:
        os.close(leader)
        child.communicate(timeout=20)
    return shown.replace(b"\r\n", b"\n")


def test_on_a_terminal_logs_keep_colours_and_nothing_else_that_acts(
    server: Server, api: Client
) -> None:
    run_id = detached(server, "printf", r"\033[31mred\033[0m \033[2J\033]0;title\007safe\n")
    finished(api, run_id)
    raw = b"\x1b[31mred\x1b[0m \x1b[2J\x1b]0;title\x07safe\n"
    assert on_a_terminal(server, "logs", run_id) == b"\x1b[31mred\x1b[0m safe\n"
    assert on_a_terminal(server, "logs", "--raw", run_id) == raw
    assert runcast(server.url, "logs", run_id).stdout == raw


def test_an_unknown_run_is_one_line(server: Server) -> None:
    for words in (["logs", "nobody"], ["logs", "-f", "nobody"], ["cancel", "nobody"]):
        ended = runcast(server.url, *words)
        assert ended.returncode == 1
        assert re.fullmatch(rb"runcast: .*nobody.* \(not_found\)\n", ended.stderr)


def test_cancel_goes_on_after_a_refusal(server: Server, api: Client) -> None:
    living = detached(server, "sleep", "60")
    ended = runcast(server.url, "cancel", "nobody", living)
    assert ended.returncode == 1
    assert living.encode() in ended.stdout
    assert finished(api, living).status == "cancelled"
    again = runcast(server.url, "cancel", living)
    assert (again.returncode, again.stdout) == (1, b"")
    assert b"(run_ended)" in again.stderr


def test_ps_lists_what_lives_and_on_request_what_has_ended(server: Server, api: Client) -> None:
    done = detached(server, "sh", "-c", "exit 4 # \033[2J\n# " + "long " * 100)
    finished(api, done)
    living = detached(server, "sleep", "60")
    shown = runcast(server.url, "ps").stdout.decode()
    assert living in shown
    assert done not in shown
    everything = runcast(server.url, "ps", "--all").stdout.decode()
    line = next(line for line in everything.splitlines() if done in line)
    assert line.split()[1:3] == ["failed", "4"]
    assert "\033" not in everything
    newest = msgspec.json.decode(runcast(server.url, "ps", "--all", "-n", "1", "--json").stdout)
    assert [run["id"] for run in newest] == [living]
    runcast(server.url, "cancel", living)
    finished(api, living)


def test_doctor_is_content_with_a_server_and_its_database(server: Server) -> None:
    ended = runcast(server.url, "doctor", "--data-dir", str(server.data_dir))
    assert ended.returncode == 0, ended.stdout
    rows = {line.split("  ")[0]: line for line in ended.stdout.decode().splitlines()}
    assert "ok" in rows["database"]
    assert "schema version" in rows["database"]
    assert server.url in rows["server"]


def test_the_demo_says_where_to_watch_it(server: Server, api: Client) -> None:
    ended = runcast(server.url, "demo")
    shown = dict(line.split(None, 1) for line in ended.stdout.decode().splitlines())
    run_id = shown["demo"].removeprefix("run ")
    assert shown["stream"] == f"{server.url}/api/v1/runs/{run_id}/stream"
    with httpx2.stream("GET", shown["stream"], trust_env=False) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
    api.cancel(run_id)
    finished(api, run_id)


def test_prune_removes_ended_runs(server: Server, api: Client) -> None:
    run_id = detached(server, "true")
    finished(api, run_id)
    ended = runcast(server.url, "prune", "--max-count", "0")
    assert re.fullmatch(rb"removed \d+ runs?\n", ended.stdout)
    assert b"(not_found)" in runcast(server.url, "logs", run_id).stderr
