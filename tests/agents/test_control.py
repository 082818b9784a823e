"""What is said to an agent while it runs."""

import json
from typing import Any

import pytest

from runcast.agents import DRIVERS, driver
from runcast.agents.control import CONTROLS, Control, control
from runcast.parsers import PARSERS

APPROVAL: dict[str, Any] = {
    "id": "be3e22af",
    "tool": "Write",
    "input": {"file_path": "/p/néw.txt", "content": "hello\n\u2028"},
    "state": "pending",
}


@pytest.fixture
def claude() -> Control:
    found = control("claude")
    assert found is not None
    return found


def line(said: bytes) -> Any:
    assert said.isascii()
    assert said.count(b"\n") == 1
    assert said.endswith(b"\n")
    return json.loads(said)


def test_only_agents_that_listen_have_a_control() -> None:
    assert set(CONTROLS) <= set(PARSERS)
    assert [dialect for dialect in PARSERS if control(dialect)] == ["claude"]


def test_an_agent_that_is_started_with_a_pipe_has_a_control() -> None:
    for name in DRIVERS:
        dialect = driver(name).dialect
        assert (control(dialect) is not None) == name.startswith("claude")


@pytest.mark.parametrize("text", ["say hello", "", "two\nlines\r\n", "é \u2028 😀 \ud800 \0"])
def test_a_prompt_is_a_message_of_the_user(claude: Control, text: str) -> None:
    assert line(claude.prompt(text)) == {
        "type": "user",
        "message": {"role": "user", "content": text},
        "parent_tool_use_id": None,
        "session_id": "",
    }


def answer(claude: Control, *told: Any) -> Any:
    said = line(claude.answer(APPROVAL, *told))
    assert said["type"] == "control_response"
    assert said["response"].keys() == {"subtype", "request_id", "response"}
    assert said["response"]["subtype"] == "success"
    assert said["response"]["request_id"] == APPROVAL["id"]
    return said["response"]["response"]


def test_what_is_allowed_is_what_was_asked(claude: Control) -> None:
    asked = APPROVAL["input"]
    assert answer(claude, "allow", None, None) == {"behavior": "allow", "updatedInput": asked}
    assert answer(claude, "allow", "fine", None) == {"behavior": "allow", "updatedInput": asked}


def test_something_else_can_be_allowed(claude: Control) -> None:
    for other in ({"file_path": "/q"}, {}):
        expected = {"behavior": "allow", "updatedInput": other}
        assert answer(claude, "allow", None, other) == expected


def test_what_is_denied_comes_with_a_reason(claude: Control) -> None:
    assert answer(claude, "deny", "not today", None) == {
        "behavior": "deny",
        "message": "not today",
    }
    reason = answer(claude, "deny", None, None)["message"]
    assert reason


def test_an_interrupt_has_an_id_that_its_answer_can_be_known_by(claude: Control) -> None:
    assert line(claude.interrupt()) == {
        "type": "control_request",
        "request_id": "runcast-interrupt",
        "request": {"subtype": "interrupt"},
    }
