"""The commands with standard streams, folders and words that programs rarely get."""

import shlex
import subprocess
from pathlib import Path

import pytest

from runcast.client import Client
from tests.cli.commands import RUNCAST, runcast
from tests.client.scripted import Request, ScriptedServer, answer, frame, run, stream
from tests.support.server import Server, clean_environment, free_port
from tests.support.waiting import until

Said = subprocess.CompletedProcess[str]


@pytest.fixture
def server(shared_server: Server) -> Server:
    return shared_server


def shell(url: str, script: str, cwd: Path | None = None) -> Said:
    """Run a script in which `runcast` is the command line."""
    return subprocess.run(
        ["bash", "-c", f'runcast() {{ {shlex.join(RUNCAST)} "$@"; }}; {script}'],
        capture_output=True,
        stdin=subprocess.DEVNULL,
        text=True,
        env=clean_environment({"RUNCAST_SERVER": url}),
        cwd=cwd,
        timeout=60,
        check=False,
    )


def assert_one_line(said: Said, code: int, text: str) -> None:
    assert (said.returncode, said.stdout) == (code, ""), said.stderr
    assert text in said.stderr
    assert said.stderr.startswith("runcast: ")
    assert said.stderr.count("\n") == 1


def end(client: Client, run_id: str) -> None:
    client.cancel(run_id)
    assert client.get(run_id, wait_s=20).status == "cancelled"


NOWHERE = f"http://127.0.0.1:{free_port()}"


@pytest.mark.parametrize(
    ("script", "code", "rule"),
    [
        (r"runcast run -- true $'\xff'", 125, "must be UTF-8 text"),
        (r"printf '\xff\xfe' | runcast run --stdin - -- cat", 125, "must be UTF-8 text"),
        (r"runcast run --env X=$'\xff' -- true", 125, "must be UTF-8 text"),
        (r"runcast logs $'\xff'", 1, "id must be 1 to 128 letters"),
    ],
)
@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
def test_what_is_not_utf_8_is_refused_in_one_line(
    script: str, code: int, rule: str, locale: str
) -> None:
    said = shell(NOWHERE, f"export LC_ALL={locale}; {script}")
    assert_one_line(said, code, rule)


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("run true", 125),
        ("run --cwd folder true", 125),
        ("serve --port 0 --data-dir {data}", 2),
        ("serve --port 0 --data-dir data", 2),
        ("prune --server http://127.0.0.1:1 --max-count 1 --data-dir data", 1),
        ("doctor --data-dir data", 2),
    ],
)
def test_a_deleted_current_folder_is_said_in_one_line(
    command: str, code: int, tmp_path: Path
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    words = command.format(data=tmp_path / "data")
    said = shell(NOWHERE, f"rmdir {shlex.quote(str(gone))}; runcast {words}", cwd=gone)
    assert_one_line(said, code, "the current folder has been deleted" if code != 1 else "no server")


def test_a_deleted_current_folder_does_not_keep_a_run_from_another_one(
    server: Server, tmp_path: Path
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    script = f"rmdir {shlex.quote(str(gone))}; runcast run --cwd /tmp pwd"
    said = shell(server.url, script, cwd=gone)
    assert (said.returncode, said.stdout, said.stderr) == (0, "/tmp\n", "")


@pytest.mark.parametrize(
    ("script", "code", "error"),
    [
        ("runcast ps >&-", 0, ""),
        ("runcast ps --json >&- 2>&-", 0, ""),
        ("runcast doctor >&-", 0, ""),
        ("runcast run -- sh -c 'echo hi; exit 3' >&-", 3, ""),
        ("runcast run no-such-program 2>&-", 127, ""),
        ("runcast run no-such-program 2>/dev/full", 127, ""),
        ("runcast run --stdin - -- cat <&-", 0, ""),
        ("runcast logs nobody 2>&-", 1, ""),
        ("runcast ps >/dev/full", 1, "runcast: No space left on device\n"),
        ("runcast --help >/dev/full", 1, "runcast: No space left on device\n"),
    ],
)
def test_closed_and_full_streams_do_not_change_what_a_command_does(
    server: Server, script: str, code: int, error: str
) -> None:
    said = shell(server.url, script)
    assert (said.returncode, said.stdout, said.stderr) == (code, "", error)


@pytest.mark.parametrize(("option", "run_id"), [("", "full"), ("--detach", "detached")])
def test_a_run_whose_output_finds_no_room_goes_on_and_is_named(
    server: Server, option: str, run_id: str
) -> None:
    words = f"run --id {run_id} {option} -- sh -c 'echo hi; exec sleep 60'"
    said = shell(server.url, f"runcast {words} >/dev/full")
    left = f"run {run_id} goes on, end it with: runcast cancel {run_id}"
    assert_one_line(said, 125, f"No space left on device; {left}")
    with Client(server.url) as client:
        until(lambda: client.get(run_id).status == "running", "the run to start")
        end(client, run_id)


def test_the_input_of_a_run_is_utf_8_in_every_locale(server: Server) -> None:
    text = "ünï\r\nb\rc\n".encode()
    words = ["run", "--stdin", "-", "--", "cat"]
    ended = runcast(server.url, *words, stdin=text, variables={"PYTHONIOENCODING": "latin-1"})
    assert ended.stdout == text


def test_commands_to_go_on_with_name_the_server_that_was_given(server: Server) -> None:
    with Client(server.url) as client:
        said = shell(NOWHERE, f"runcast demo --server {server.url}").stdout
        follow = said.splitlines()[-1].removeprefix("follow   ")
        assert follow.endswith(f" --server {server.url}")
        assert shell(NOWHERE, follow).stdout.endswith("without an end")
        said = shell(server.url, "runcast demo").stdout
        assert "--server" not in said
        end(client, said.splitlines()[0].split()[-1])


def test_logs_say_where_output_is_missing() -> None:
    frames = [
        frame(2, "log", stream="stdout", line="before"),
        frame(3, "gap", reason="truncated"),
        frame(4, "log", stream="stdout", line="after"),
        frame(6, "end"),
    ]

    def script(request: Request) -> bytes:
        if request.path.endswith("/stream"):
            return stream(b"".join(frames))
        return answer(200, {"run": run(id="torn", last_seq=5)})

    with ScriptedServer(script) as server:
        said = shell(server.url, "runcast logs -f torn 2>&1")
    assert said.stdout == "before\nruncast: output is missing: truncated\nafter\n"
