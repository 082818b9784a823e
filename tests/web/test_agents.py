"""Tools and agents over HTTP: listed, and run by name."""

import json
import sys
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest

from runcast.config import Settings
from runcast.config_agents import AgentSettings, ArgSettings, ToolSettings
from runcast.web.schemas import AgentList, Problem, ToolList
from tests.web.conftest import RUNS

SECRET = "s3cret"
# An agent that ignores its flags and says, as Claude Code does, what it was asked.
ECHO = """
import json, os, sys
text = json.dumps([sys.argv[1:], os.environ.get("TOKEN")])
message = {"id": "m", "role": "assistant", "content": [{"type": "text", "text": text}]}
print(json.dumps({"type": "assistant", "message": message}))
print(json.dumps({"type": "result", "subtype": "success", "is_error": False, "result": "done"}))
"""


@pytest.fixture
def settings(settings: Settings) -> Settings:
    greet = ToolSettings(
        command=["sh", "-c", 'echo "$0 $1 $TOKEN"', "{greeting}", "{name}"],
        args={"name": ArgSettings(required=True, pattern="[a-z]+"), "greeting": ArgSettings()},
        env={"TOKEN": SECRET},
    )
    greet.args["greeting"].default = "hello"
    echo = AgentSettings(
        driver="claude", command=[sys.executable, "-c", ECHO], env={"TOKEN": SECRET}
    )
    return msgspec.structs.replace(settings, tools={"greet": greet}, agents={"echo": echo})


async def run(api: httpx2.AsyncClient, **fields: Any) -> dict[str, Any]:
    """Run it to its end."""
    answer = await api.post(RUNS, json=fields)
    assert answer.status_code == 201, answer.text
    path = f"{RUNS}/{answer.json()['run']['id']}"
    shown: dict[str, Any] = (await api.get(path, params={"wait_s": 20})).json()["run"]
    return shown


async def test_the_tools_are_listed_with_their_arguments(api: httpx2.AsyncClient) -> None:
    answer = await api.get("/api/v1/tools")
    (greet,) = ToolList.model_validate(answer.json()).tools
    assert (greet.name, greet.dialect) == ("greet", "lines")
    assert answer.json()["tools"][0]["arguments"] == {
        "name": {"required": True, "default": None, "pattern": "[a-z]+"},
        "greeting": {"required": False, "default": "hello", "pattern": None},
    }


async def test_the_agents_are_those_configured_and_those_built_in(
    api: httpx2.AsyncClient,
) -> None:
    answer = await api.get("/api/v1/agents")
    agents = {agent.name: agent for agent in AgentList.model_validate(answer.json()).agents}
    assert (agents["echo"].driver, agents["echo"].dialect) == ("claude", "claude")
    assert agents["codex"].driver == "codex"
    assert set(agents) >= {"claude", "claude-subscription", "codex", "gemini", "opencode"}


@pytest.mark.parametrize("path", ["/api/v1/tools", "/api/v1/agents"])
async def test_no_list_tells_what_is_in_an_environment(api: httpx2.AsyncClient, path: str) -> None:
    assert SECRET not in (await api.get(path)).text


async def test_a_tool_is_run_with_its_arguments(api: httpx2.AsyncClient) -> None:
    shown = await run(api, tool="greet", args={"name": "world"})
    assert (shown["status"], shown["tool"], shown["agent"]) == ("completed", "greet", None)
    assert SECRET not in json.dumps(shown)
    output = await api.get(f"{RUNS}/{shown['id']}/output")
    assert output.text == f"hello world {SECRET}\n"
    listed = (await api.get(RUNS, params={"type": "greet"})).json()["runs"]
    assert [each["id"] for each in listed] == [shown["id"]]


async def test_an_agent_is_run_with_its_prompt(api: httpx2.AsyncClient, tmp_path: Path) -> None:
    shown = await run(api, agent="echo", prompt="say ä", cwd=str(tmp_path))
    assert (shown["status"], shown["agent"], shown["dialect"]) == ("completed", "echo", "claude")
    events = (await api.get(f"{RUNS}/{shown['id']}/events")).json()["events"]
    (text,) = (event["data"]["text"] for event in events if event["type"] == "message")
    arguments, token = json.loads(text)
    assert "stream-json" in arguments
    assert token == SECRET


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"tool": "greet"}, "args"),
    ({"tool": "greet", "args": {"name": "World 1"}}, "args"),
    ({"tool": "greet", "args": {"name": "world", "nam": "x"}}, "args"),
    ({"tool": "greet", "args": {"name": 1}}, "args.name"),
    ({"tool": "greet", "args": ["world"]}, "args"),
    ({"tool": "greet", "args": {"name": "world"}, "dialect": "claude"}, "dialect"),
    ({"tool": "greet", "args": {"name": "world"}, "prompt": "x"}, "prompt"),
    ({"tool": "gret"}, "tool"),
    ({"tool": "echo"}, "tool"),
    ({"agent": "echo"}, "prompt"),
    ({"agent": "echo", "prompt": 1}, "prompt"),
    ({"agent": "echo", "prompt": "x", "dialect": "lines"}, "dialect"),
    ({"agent": "echo", "prompt": "x", "args": {"name": "world"}}, "args"),
    ({"agent": "greet", "prompt": "x"}, "agent"),
    ({"command": ["true"], "prompt": "x"}, "prompt"),
    ({"command": ["true"], "args": {"name": "world"}}, "args"),
]


@pytest.mark.parametrize(("body", "field"), REFUSED)
async def test_what_cannot_be_run_names_the_field(
    api: httpx2.AsyncClient, body: dict[str, Any], field: str
) -> None:
    answer = await api.post(RUNS, json=body)
    error = Problem.model_validate(answer.json()).error
    assert (answer.status_code, error.code) == (400, "bad_request")
    assert error.message.startswith(field)
    assert error.details is not None
    assert error.details["field"].startswith(field)
    assert (await api.get(RUNS)).json()["runs"] == []


@pytest.mark.parametrize(
    "names", [(), ("command", "tool"), ("tool", "agent"), ("command", "tool", "agent")]
)
async def test_exactly_one_thing_is_run(api: httpx2.AsyncClient, names: tuple[str, ...]) -> None:
    whole = {"command": ["true"], "tool": "greet", "agent": "echo"}
    answer = await api.post(RUNS, json={name: whole[name] for name in names})
    assert answer.status_code == 400
    assert all(name in answer.json()["error"]["message"] for name in whole)
