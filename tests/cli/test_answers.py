"""Sending text, answering approvals and listing what can be run, against a scripted server."""

import os
import pty
import subprocess
from typing import Any

import msgspec
import pytest

from tests.cli.commands import RUNCAST, Ended, runcast
from tests.client.scripted import Request, ScriptedServer, answer, frame, run, stream
from tests.support.server import clean_environment

RUN = {"run": run(stdin="agent", last_seq=9)}


def sent(words: list[str], stdin: bytes = b"", terminal: int | None = None) -> tuple[Ended, Any]:
    """Return how `runcast send` ended and the body it sent."""
    with ScriptedServer(lambda _: answer(202, RUN)) as server:
        ended = subprocess.run(
            [*RUNCAST, "send", *words],
            capture_output=True,
            **({"input": stdin} if terminal is None else {"stdin": terminal}),
            env=clean_environment({"RUNCAST_SERVER": server.url}),
            timeout=30,
            check=False,
        )
        bodies = [msgspec.json.decode(request.body) for request in server.requests]
        assert [request.path for request in server.requests] == ["/api/v1/runs/r/input"] * len(
            bodies
        )
    return ended, bodies[0] if bodies else None


def body(text: str, *, newline: bool = False, eof: bool = False) -> dict[str, object]:
    return {"text": text, "newline": newline, "eof": eof}


@pytest.mark.parametrize(
    ("words", "stdin", "expected"),
    [
        (["r", "go", "on"], b"unread", body("go on", newline=True)),
        (["--no-newline", "r", "y"], b"", body("y")),
        (["r", ""], b"", body("\n")),
        (["r"], "two\nlänes\n".encode(), body("two\nlänes\n")),
        (["r", "--eof"], b"last", body("last", eof=True)),
        (["r", "--eof"], b"", body("", eof=True)),
        (["r", "--eof", "bye"], b"", body("bye", newline=True, eof=True)),
    ],
)
def test_what_is_sent_is_the_words_or_standard_input(
    words: list[str], stdin: bytes, expected: dict[str, object]
) -> None:
    ended, given = sent(words, stdin)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"", b"")
    assert given == expected


def test_nothing_to_send_is_a_usage_error() -> None:
    ended, given = sent(["r"])
    assert (ended.returncode, given) == (2, None)
    assert b"there is nothing to send" in ended.stderr


def test_ending_the_input_at_a_terminal_reads_nothing_from_it() -> None:
    leader, follower = pty.openpty()
    try:
        ended, given = sent(["r", "--eof"], terminal=follower)
    finally:
        os.close(leader)
        os.close(follower)
    assert (ended.returncode, given) == (0, body("", eof=True))


def approval(name: str, state: str = "pending") -> dict[str, Any]:
    asked = {"command": f"rm {name}"}
    return {
        "id": name,
        "tool": "Bash",
        "input": asked,
        "state": state,
        "asked_at": "2026-11-21T08:57:30Z",
    }


class Approvals:
    """Answers like a server whose run has asked these questions."""

    def __init__(self, *asked: dict[str, Any]) -> None:
        self.asked = asked
        self.answered: list[tuple[str, Any]] = []

    def __call__(self, request: Request) -> bytes:
        if request.method == "GET":
            return answer(200, {"approvals": self.asked})
        self.answered.append((request.path, msgspec.json.decode(request.body)))
        return answer(202, RUN)


def approve(script: Approvals, *words: str) -> Ended:
    with ScriptedServer(script) as server:
        return runcast(server.url, "approve", "r", *words)


@pytest.mark.parametrize(
    ("words", "body", "said"),
    [
        ([], {"decision": "allow"}, b"b allowed\n"),
        (["--deny", "--message", "no"], {"decision": "deny", "message": "no"}, b"b denied\n"),
        (["b"], {"decision": "allow"}, b"b allowed\n"),
    ],
)
def test_the_only_open_question_needs_no_name(
    words: list[str], body: dict[str, str], said: bytes
) -> None:
    script = Approvals(approval("a", "denied"), approval("b"))
    ended = approve(script, *words)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, said, b"")
    assert script.answered == [("/api/v1/runs/r/approvals/b", body)]


def test_several_open_questions_are_listed_and_none_is_answered() -> None:
    script = Approvals(approval("a"), approval("x y"))
    ended = approve(script)
    assert (ended.returncode, ended.stdout, script.answered) == (2, b"", [])
    said = ended.stderr.decode()
    assert said.startswith("runcast: run r asks 2 questions; choose one:\n")
    assert "runcast approve r a  # Bash\n" in said
    assert "runcast approve r 'x y'  # Bash\n" in said
    assert '"command": "rm x y"' in said


def test_a_run_that_asks_nothing_says_so() -> None:
    ended = approve(Approvals(approval("a", "expired")))
    assert (ended.returncode, ended.stdout) == (1, b"")
    assert ended.stderr == b"runcast: run r asks nothing\n"


def test_a_name_needs_no_list_and_a_late_answer_is_refused_in_one_line() -> None:
    problem = {"error": {"code": "approval_settled", "message": "a is denied"}}
    with ScriptedServer(lambda _: answer(409, problem)) as server:
        ended = runcast(server.url, "approve", "r", "a")
        assert [request.method for request in server.requests] == ["POST"]
    assert (ended.returncode, ended.stdout) == (1, b"")
    assert ended.stderr == b"runcast: a is denied (approval_settled)\n"


def test_agents_and_tools_are_listed() -> None:
    agents = [
        {"name": "claude", "driver": "claude", "dialect": "claude", "arguments": {}},
        {"name": "careful", "driver": "codex", "dialect": "codex", "arguments": {}},
    ]
    arguments = {
        "target": {"required": True, "default": None, "pattern": None},
        "branch": {"required": False, "default": "main", "pattern": None},
        "note": {"required": False, "default": None, "pattern": None},
    }
    tools = [{"name": "deploy", "dialect": "lines", "arguments": arguments}]

    def script(request: Request) -> bytes:
        return answer(200, {"agents": agents, "tools": tools})

    with ScriptedServer(script) as server:
        assert runcast(server.url, "agents").stdout == (
            b"NAME     DRIVER  DIALECT\nclaude   claude  claude\ncareful  codex   codex\n"
        )
        assert runcast(server.url, "tools").stdout == (
            b"NAME    DIALECT  ARGUMENTS\ndeploy  lines    target [branch=main] [note]\n"
        )
        assert [request.path for request in server.requests] == ["/api/v1/agents", "/api/v1/tools"]


FRAMES = b"".join(
    [
        frame(2, "message", run_id="r", role="assistant", text="\x1b[2Jhello"),
        frame(3, "tool_call", run_id="r", tool="Bash", input={"command": "x" * 300}),
        frame(4, "error", run_id="r", message="oh", source="agent"),
        frame(5, "approval", run_id="r", **approval("q")),
        frame(6, "log", stream="stdout", line="half", partial=True),
        frame(7, "custom", run_id="r", name="todo", value=1),
        frame(8, "delta", run_id="r", text="never"),
        frame(9, "message", run_id="r", role="assistant", text="bye"),
        frame(10, "end", run_id="r", last_seq=9),
    ]
)


def logs(*words: str) -> Ended:
    def script(request: Request) -> bytes:
        return stream(FRAMES) if request.path.endswith("/stream") else answer(200, RUN)

    with ScriptedServer(script) as server:
        return runcast(server.url, "logs", *words, "r")


def test_in_a_pipe_the_text_is_on_one_stream_and_what_concerns_people_on_the_other() -> None:
    ended = logs()
    call = '▶ Bash {"command":"' + "x" * 180 + "…"
    assert ended.stdout.decode() == f"\x1b[2Jhello\n{call}\nhalf\nbye\n"
    assert ended.stderr.decode().startswith("error: oh\n? May it use Bash?\n")
    assert ended.stderr.endswith(b"runcast approve r q --deny\n")


def test_a_chosen_stream_leaves_the_other_out() -> None:
    assert logs("--stderr").stdout.startswith(b"error: oh\n")
    only = logs("--stdout")
    assert (only.stderr, only.stdout) == (b"", logs().stdout)


def test_more_is_shown_on_demand() -> None:
    assert b"half\ntodo 1\nbye\n" in logs("-v").stdout


@pytest.mark.parametrize(
    ("words", "variables", "shown"),
    [
        ([], {}, "\x1b[36m▶ Bash"),
        (["--no-color"], {}, "\n▶ Bash"),
        ([], {"NO_COLOR": "yes"}, "\n▶ Bash"),
        ([], {"NO_COLOR": ""}, "\x1b[36m▶ Bash"),
    ],
)
def test_a_terminal_gets_colours_unless_they_are_unwanted(
    words: list[str], variables: dict[str, str], shown: str
) -> None:
    def script(request: Request) -> bytes:
        return stream(FRAMES) if request.path.endswith("/stream") else answer(200, RUN)

    leader, follower = pty.openpty()
    with os.fdopen(follower, "wb") as terminal, ScriptedServer(script) as server:
        variables = {"RUNCAST_SERVER": server.url, "COLUMNS": "30", **variables}
        subprocess.run(
            [*RUNCAST, "logs", "r", *words],
            stdout=terminal,
            stderr=subprocess.DEVNULL,
            env=clean_environment(variables),
            timeout=30,
            check=True,
        )
        said = os.read(leader, 65_536).decode().replace("\r\n", "\n")
    os.close(leader)
    assert said.startswith("hello\n")
    assert shown in said
    assert f'▶ Bash {{"command":"{"x" * 10}…' in said
