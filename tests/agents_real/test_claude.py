"""Claude Code itself, from its prompt to its end: what it says, asks, and does when it is told."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.support.model_api import (
    INPUT_TOKENS,
    OUTPUT_TOKENS,
    Message,
    ModelApi,
    Text,
    Thinking,
    ToolUse,
)
from tests.support.runs import cancel, events, folder_of, get, members, wait_ended
from tests.support.server import Server
from tests.support.waiting import until

pytestmark = pytest.mark.needs("claude")

Start = Callable[[str], str]

RUN_ECHO = ToolUse("toolu_echo", "Bash", {"command": "echo hello", "description": "Say hello"})


def writing(path: Path) -> ToolUse:
    return ToolUse("toolu_write", "Write", {"file_path": str(path), "content": "hello\n"})


@pytest.fixture
def wanted(project: Path) -> Path:
    """The file that the agent wants to write, for which it must ask."""
    return project / "hello.txt"


@pytest.fixture
def model(wanted: Path) -> Iterator[ModelApi]:
    script: list[Message] = [
        (Thinking("A command first."), Text("Running a command."), RUN_ECHO),
        (writing(wanted),),
        (Text("That is all."),),
    ]
    with ModelApi(script) as api:
        yield api
    assert api.strangers == []


def wait_asked(client: httpx2.Client, run_id: str) -> dict[str, Any]:
    """Wait until the agent has a question, and return it."""

    def asked() -> list[dict[str, Any]]:
        run = get(client, run_id)
        assert run["ended_at"] is None, f"it ended without asking: {run}"
        approvals = client.get(f"/api/v1/runs/{run_id}/approvals").json()["approvals"]
        return [approval for approval in approvals if approval["state"] == "pending"]

    return until(asked, "the agent to ask", timeout=30)[0]


def decide(client: httpx2.Client, run_id: str, decision: str, **more: Any) -> None:
    path = f"/api/v1/runs/{run_id}/approvals/{wait_asked(client, run_id)['id']}"
    answer = client.post(path, json={"decision": decision, **more})
    assert answer.status_code == 202, answer.text


def of_type(client: httpx2.Client, run_id: str, kind: str) -> list[dict[str, Any]]:
    return [event["data"] for event in events(client, run_id) if event["type"] == kind]


def test_its_session_is_told_in_typed_events(
    client: httpx2.Client, start: Start, wanted: Path, model: ModelApi
) -> None:
    run_id = start("say hello")
    asked = wait_asked(client, run_id)
    assert (asked["tool"], asked["input"]["file_path"]) == ("Write", str(wanted))
    assert not wanted.exists()
    decide(client, run_id, "allow")
    run = wait_ended(client, run_id)
    assert (run["status"], run["exit_code"], run["result"]) == ("completed", 0, "That is all.")
    assert wanted.read_text() == "hello\n"
    kinds = [event["type"] for event in events(client, run_id)]
    assert [kind for kind in kinds if kind not in ("custom", "progress")] == [
        *("status", "status", "thought", "message", "tool_call", "tool_result"),
        *("tool_call", "approval", "approval", "tool_result", "file_changed"),
        *("message", "usage", "status"),
    ]
    echoed, written = of_type(client, run_id, "tool_result")
    assert (echoed["ok"], echoed["content"], written["ok"]) == (True, "hello", True)
    changed = {"path": str(wanted), "action": "created", "size": 6}
    assert of_type(client, run_id, "file_changed") == [changed]
    (usage,) = of_type(client, run_id, "usage")
    assert usage["input_tokens"] == len(model.script) * INPUT_TOKENS
    assert usage["output_tokens"] == len(model.script) * OUTPUT_TOKENS


def test_its_model_is_told_why_it_may_not(
    client: httpx2.Client, start: Start, wanted: Path, model: ModelApi
) -> None:
    run_id = start("say hello")
    decide(client, run_id, "deny", message="Not in this folder.")
    assert wait_ended(client, run_id)["status"] == "completed"
    assert model.told("toolu_write")["content"] == "Not in this folder."
    assert of_type(client, run_id, "tool_result")[-1]["ok"] is False
    assert not wanted.exists()


def test_it_does_what_was_allowed_in_place_of_what_it_asked_for(
    client: httpx2.Client, start: Start, wanted: Path
) -> None:
    other = wanted.with_name("other.txt")
    run_id = start("say hello")
    decide(client, run_id, "allow", input={"file_path": str(other), "content": "changed\n"})
    assert wait_ended(client, run_id)["status"] == "completed"
    assert (other.read_text(), wanted.exists()) == ("changed\n", False)


def test_it_says_its_last_word_when_it_is_cancelled(
    client: httpx2.Client, start: Start, server: Server
) -> None:
    run_id = start("say hello")
    wait_asked(client, run_id)
    cancel(client, run_id)
    run = wait_ended(client, run_id)
    assert (run["status"], run["exit_code"], run["signal"]) == ("cancelled", 1, None)
    states = [data["state"] for data in of_type(client, run_id, "approval")]
    assert states == ["pending", "withdrawn"]
    assert of_type(client, run_id, "usage")
    assert not members(folder_of(server.data_dir, run_id))


def test_it_may_still_ask_when_work_in_its_background_is_done(
    client: httpx2.Client, start: Start, wanted: Path, model: ModelApi
) -> None:
    command = {"command": "sleep 1 && touch done", "description": "Wait", "run_in_background": True}
    model.script = [
        (ToolUse("toolu_sleep", "Bash", command),),
        (Text("It runs."),),
        (writing(wanted),),
        (Text("That is all."),),
    ]
    run_id = start("say hello")
    decide(client, run_id, "allow")
    until(lambda: of_type(client, run_id, "usage"), "its first turn to end")
    decide(client, run_id, "allow")
    run = wait_ended(client, run_id)
    assert (run["status"], run["result"]) == ("completed", "That is all.")
    assert wanted.exists()
