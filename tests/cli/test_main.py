"""The command line as a whole: help, errors in one line, exit codes, a quick start."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from runcast import __version__
from runcast.cli.main import COMMANDS
from tests.cli.commands import RUNCAST, runcast
from tests.support.server import clean_environment, free_port

NOWHERE = f"http://127.0.0.1:{free_port()}"


class Said(NamedTuple):
    code: int
    out: str
    err: str


def runcast_text(*words: str, variables: Mapping[str, str] = {}) -> Said:
    ended = runcast(NOWHERE, *words, variables=variables)
    return Said(ended.returncode, ended.stdout.decode(), ended.stderr.decode())


def test_starting_imports_nothing_heavy() -> None:
    program = "import sys, runcast.cli.main; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.split()
    heavy = {"apsw", "asyncio", "fastapi", "httpx2", "msgspec", "psutil", "rich", "uvicorn", "yaml"}
    assert heavy.isdisjoint(loaded)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_with_an_example(command: str) -> None:
    shown = runcast_text(command, "--help")
    assert shown.code == 0
    assert f"Usage: runcast {command}" in shown.out
    assert f"Example:\n    runcast {command}" in shown.out


def test_the_list_of_commands_shows_each_with_a_whole_sentence() -> None:
    lines = runcast_text("--help").out.partition("Commands:\n")[2].splitlines()
    assert [line.split()[0] for line in lines] == list(COMMANDS)
    assert all(line.endswith(".") and not line.endswith("...") for line in lines)


def test_the_version_is_shown() -> None:
    assert runcast_text("--version").out == f"runcast, version {__version__}\n"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["ps"], 1),
        (["logs", "x"], 1),
        (["cancel", "x"], 1),
        (["demo"], 1),
        (["prune", "--max-age", "1d"], 1),
        (["run", "true"], 125),
        (["run", "--detach", "--", "true"], 125),
    ],
)
def test_without_a_server_one_line_says_how_to_start_one(words: list[str], code: int) -> None:
    ended = runcast_text(*words)
    assert ended.code == code
    assert ended.out == ""
    assert ended.err.startswith("runcast: no server at http://127.0.0.1:")
    assert ended.err.endswith("; start one with: runcast serve (no_server)\n")
    assert ended.err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["serve", "--port", "x"], 2, "'x' is not a valid integer"),
        (["serv"], 2, "No such command 'serv'"),
        (["prune"], 2, "say what to remove"),
        (["prune", "--max-age", "soon"], 2, "max_age is not a duration such as 90s"),
        (["cancel"], 2, "Missing argument"),
        (["run"], 125, "Missing argument"),
        (["run", "--nope", "true"], 125, "No such option"),
        (["run", "--env", "NAME", "true"], 125, "'NAME' is not NAME=VALUE"),
        (["run", "--env", "=x", "true"], 125, "'=x' is not NAME=VALUE"),
        (["run", "--timeout", "soon", "true"], 125, "timeout is not a duration such as 90s"),
    ],
)
def test_wrong_usage_is_explained(words: list[str], code: int, said: str) -> None:
    ended = runcast_text(*words)
    assert ended.code == code
    assert said in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--host", "0.0.0.0"], "command line: streaming: host '0.0.0.0': only loopback"),
        (["--port", "70000"], "command line: streaming.port: expected whole number <= 65535"),
        (["--config", "/nowhere.yaml"], "/nowhere.yaml: No such file or directory"),
    ],
)
def test_a_wrong_setting_ends_serve_with_one_line_and_2(words: list[str], said: str) -> None:
    ended = runcast_text("serve", *words)
    assert ended.code == 2
    assert ended.err.startswith(f"runcast: {said}")
    assert ended.err.count("\n") == 1


def test_a_wrong_variable_ends_serve_with_2() -> None:
    ended = runcast_text("serve", variables={"RUNCAST__STREAMING__PORT": "http"})
    assert ended.code == 2
    assert ended.err.startswith("runcast: RUNCAST__STREAMING__PORT: streaming.port: expected")


@pytest.mark.parametrize("address", ["foo", "localhost:7890", "http://a:b", "http://", "http://.."])
def test_an_address_that_is_none_is_one_line_without_a_hint(address: str) -> None:
    for words, code in ((["ps"], 1), (["run", "true"], 125), (["prune", "--max-count", "1"], 1)):
        said = runcast_text(words[0], "--server", address, *words[1:])
        line = f"runcast: '{address}' is not an address; write http://HOST:PORT (bad_address)\n"
        assert said == (code, "", line)


def test_the_help_tells_what_numbers_and_ends_mean() -> None:
    shown = {name: " ".join(runcast_text(name, "--help").out.split()) for name in COMMANDS}
    assert not [name for name, text in shown.items() if "INTEGER" in text or "RANGE" in text]
    for code in ("124", "125", "126", "127", "130", "141"):
        assert f" {code} " in shown["run"]
    assert "Without --stdin and --interactive, a command reads nothing" in shown["run"]
    assert "TIME is how long" in shown["ps"]
    assert "-n, --limit N Show at most this many." in shown["ps"]


def test_a_reader_that_leaves_ends_the_command_quietly() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as nobody:
        ended = subprocess.run(
            [*RUNCAST, "doctor"],
            stdout=nobody,
            stderr=subprocess.PIPE,
            env=clean_environment(),
            check=False,
        )
    assert (ended.returncode, ended.stderr) == (141, b"")


def test_doctor_finds_a_machine_without_a_server_in_order(tmp_path: Path) -> None:
    command = [*RUNCAST, "doctor", "--data-dir", str(tmp_path / "new")]
    ended = subprocess.run(command, stdout=subprocess.PIPE, env=clean_environment(), check=False)
    assert ended.returncode == 0, ended.stdout
    assert b"not made yet" in ended.stdout
    assert not (tmp_path / "new").exists()


def test_doctor_misses_a_server_that_was_named() -> None:
    ended = runcast_text("doctor")
    assert ended.code == 1
    assert "wrong  no server at" in ended.out


def test_doctor_says_what_is_wrong_with_a_folder_and_an_address() -> None:
    ended = runcast_text("doctor", "--data-dir", "/proc/x", "--server", "foo")
    assert ended.code == 1
    assert "wrong  cannot use /proc/x: /proc takes no new files\n" in ended.out
    assert "wrong  'foo' is not an address" in ended.out


def test_doctor_looks_at_no_database_of_another_engine(tmp_path: Path) -> None:
    (tmp_path / "runcast.yaml").write_text("store: {url: 'memory:'}")
    ended = runcast_text("doctor", "--config", str(tmp_path / "runcast.yaml"))
    assert "note   not looked at: memory" in ended.out


def test_doctor_sees_a_database_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "runcast.db").write_text("this is no database" * 100)
    ended = runcast_text("doctor", "--data-dir", str(tmp_path))
    assert ended.code == 1
    assert "file is not a database" in ended.out
