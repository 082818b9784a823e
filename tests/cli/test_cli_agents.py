"""Agents, tools and dialects on the command line, against a real server."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from runcast.client import Client
from tests.cli.commands import Ended, runcast, start
from tests.support.runs import child
from tests.support.server import Server
from tests.support.waiting import until

TRANSCRIPTS = Path(__file__).parents[1] / "fixtures/transcripts"
ASKED = "be3e22af-e5dc-406b-aec4-092afe48d708"  # in the session that the stand-in repeats
TOOL = {"command": ["echo", "to", "{target}"], "args": {"target": {"required": True}}}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    settings = {
        "RUNCAST__AGENTS__CLAUDE__COMMAND": json.dumps(child("claude_stand_in")),
        "RUNCAST__TOOLS": json.dumps({"deploy": TOOL}),
    }
    server = Server(tmp_path_factory.mktemp("agents") / "data", settings)
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture
def api(server: Server) -> Iterator[Client]:
    with Client(server.url) as client:
        yield client


def replay(server: Server, dialect: str, name: str, *options: str) -> Ended:
    words = ["--dialect", dialect, *options, "--", "cat", str(TRANSCRIPTS / name)]
    return runcast(server.url, "run", *words)


def test_a_transcript_in_a_pipe_is_text_to_read(server: Server) -> None:
    ended = replay(server, "claude", "claude-2.1.329_partial-messages.jsonl")
    lines = ended.stdout.decode().splitlines()
    begin = lines.index("· I should run a command first.")
    assert lines[begin + 1] == "Running a command."
    assert lines[begin + 2].startswith('▶ Bash {"command":"echo hello"')
    assert lines[begin + 3].startswith("  ✓ ")
    assert lines[begin + 3].endswith("  hello")
    assert any(line.startswith("+ created /home/dev/project/new.txt (") for line in lines)
    assert lines[-1].startswith("tokens: ")
    assert not any(line.startswith(("{", "system.")) for line in lines)
    assert (ended.returncode, ended.stderr) == (0, b"")


@pytest.mark.parametrize(
    ("dialect", "name", "error"),
    [
        ("claude", "claude-2.1.329_api-error.jsonl", "error: API Error: 400 mock says no"),
        ("codex", "codex-0.169.0_api-error.jsonl", "error: mock says no"),
        ("opencode", "opencode-1.18.33_api-error.jsonl", "error: mock says no"),
    ],
)
def test_an_agents_error_is_on_standard_error_and_in_the_exit_code(
    server: Server, dialect: str, name: str, error: str
) -> None:
    ended = replay(server, dialect, name)
    assert ended.returncode == 1
    lines = ended.stderr.decode().splitlines()
    assert lines[-1] == error
    assert not any(line.startswith("runcast: ") for line in lines)
    assert error.encode() not in ended.stdout


def test_a_failure_that_no_event_told_is_explained_at_the_end(server: Server) -> None:
    ended = replay(server, "claude", "claude-2.1.329_sigterm.jsonl")
    said = b"runcast: the agent exited without saying how it ended\n"
    assert (ended.returncode, ended.stderr) == (1, said)


def test_a_question_that_nobody_can_answer_is_shown_without_the_commands(server: Server) -> None:
    ran = replay(server, "claude", "claude-2.1.329_stdio-permission.dialog", "--id", "deaf")
    read = runcast(server.url, "logs", "deaf")
    for said in (ran.stderr.decode(), read.stderr.decode()):
        assert "? May it use Write?\n" in said
        assert "  nobody can answer: the run takes no input\n" in said
        assert "approve" not in said
    refused = runcast(server.url, "approve", "deaf", ASKED)
    assert refused.returncode == 1


def test_a_question_is_shown_where_it_is_read_and_answered_by_what_it_says(
    server: Server, api: Client
) -> None:
    words = ["run", "--id", "asks", "--agent", "claude", "say", "hello"]
    running = start(server.url, words)
    until(lambda: api.list(1, status="running"), "the run to start")
    until(lambda: api.get("asks").pending_approvals, "the agent to ask")
    listed = runcast(server.url, "ps").stdout.decode().splitlines()
    [asks] = [line for line in listed if line.startswith("asks ")]
    assert "running (asks)" in asks
    assert asks.endswith("  claude: say hello")

    answered = runcast(server.url, "approve", "asks")
    assert (answered.returncode, answered.stdout) == (0, f"{ASKED} allowed\n".encode())

    out, err = running.communicate(timeout=30)
    assert running.returncode == 0
    assert "Done. I said hello and wrote new.txt.\n" in out.decode()
    said = err.decode()
    assert "? May it use Write?\n" in said
    assert '"file_path": "/home/dev/project/new.txt"' in said
    assert f"  yes: runcast approve asks {ASKED}\n" in said
    assert f"  no:  runcast approve asks {ASKED} --deny\n" in said
    assert said.endswith("? Write: allowed\n")
    late = runcast(server.url, "approve", "asks", ASKED)
    assert late.returncode == 1
    assert late.stderr.count(b"\n") == 1
    assert runcast(server.url, "approve", "asks").stderr == b"runcast: run asks asks nothing\n"


def test_a_denial_tells_the_agent_why(server: Server, api: Client) -> None:
    running = start(server.url, ["run", "--id", "denied", "--agent", "claude", "say hello"])
    until(lambda: api.list(1, status="running"), "the run to start")
    until(lambda: api.get("denied").pending_approvals, "the agent to ask")
    words = ["approve", "denied", ASKED, "--deny", "--message", "Not here."]
    assert runcast(server.url, *words).stdout == f"{ASKED} denied\n".encode()
    out, err = running.communicate(timeout=30)
    assert "✗" in out.decode()
    assert "Not here." in out.decode()
    assert "? Write: denied: Not here.\n" in err.decode()


def test_what_is_sent_reaches_the_command_and_is_shown_beside_its_output(
    server: Server, api: Client
) -> None:
    running = start(server.url, ["run", "--id", "cat", "--interactive", "--", "cat"])
    until(lambda: api.list(1, status="running"), "the run to start")
    assert runcast(server.url, "send", "cat", "one", "two").returncode == 0
    assert runcast(server.url, "send", "cat", "--eof", stdin=b"three\nfour").returncode == 0
    out, err = running.communicate(timeout=30)
    assert (running.returncode, out) == (0, b"one two\nthree\nfour")
    said = err.decode()
    assert said.startswith("runcast: send it text with: runcast send cat TEXT\n")
    assert said.endswith("\u203a one two\n\u203a three\n  four\n")
    closed = runcast(server.url, "send", "cat", "more")
    assert (closed.returncode, closed.stderr.count(b"\n")) == (1, 1)


def test_a_tool_runs_with_its_arguments(server: Server) -> None:
    ended = runcast(server.url, "run", "--tool", "deploy", "--arg", "target=the moon")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"to the moon\n", b"")
    missing = runcast(server.url, "run", "--tool", "deploy")
    assert missing.returncode == 125
    assert b"target" in missing.stderr
    assert b"claude-subscription" in runcast(server.url, "agents").stdout
    assert b"deploy  lines    target\n" in runcast(server.url, "tools").stdout


def test_an_unknown_name_is_refused_with_the_known_ones(server: Server) -> None:
    ended = runcast(server.url, "run", "--agent", "klaus", "hi")
    assert (ended.returncode, ended.stdout) == (125, b"")
    assert b"'klaus'" in ended.stderr
    assert b"claude" in ended.stderr
