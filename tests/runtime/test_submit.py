"""What a request to run something becomes: a run in the store and a folder for the runner."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from runcast.config_agents import AgentSettings, ArgSettings, ToolSettings
from runcast.core.errors import BadRequest
from runcast.core.runs import Run
from runcast.runtime.submit import Defaults, RunSpec, submit
from runcast.spool.folder import RunFolder
from runcast.stores import RunFilter, Store, open_store
from tests.runner.held import Held

Submit = Callable[..., Awaitable[tuple[Run, RunFolder]]]

AGENTS = {
    "reviewer": AgentSettings(driver="codex", model="m", env={"A": "agent", "B": "agent"}),
    "printer": AgentSettings(
        driver="claude-subscription",
        command=["sh", "-c", "env; cat"],
        env={"ANTHROPIC_API_KEY": "from the settings"},
    ),
    "nameless": AgentSettings(),
    "bold": AgentSettings(driver="opencode", permission_mode="yolo"),
}
TOOLS = {
    "deploy": ToolSettings(
        command=["deploy", "--to={to}", "{how}"],
        args={"to": ArgSettings(required=True), "how": ArgSettings()},
        env={"A": "tool", "B": "tool"},
        dialect="jsonl",
        timeout_s=60,
    ),
    "broken": ToolSettings(command=["{what}"], args={"what": ArgSettings()}),
}


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    opened = await open_store("memory:")
    yield opened
    await opened.close()


@pytest.fixture
def submit_(store: Store, tmp_path: Path) -> Submit:
    defaults = Defaults(str(tmp_path), 5, agents=AGENTS, tools=TOOLS)

    async def call(**fields: object) -> tuple[Run, RunFolder]:
        run = await submit(store, tmp_path, RunSpec(**fields), defaults)
        return run, RunFolder(tmp_path / run.key)

    return call


async def test_a_command_is_run_as_it_is(submit_: Submit) -> None:
    run, folder = await submit_(command=["echo", "{x}"])
    assert (run.command, run.dialect, run.tool, run.agent) == (["echo", "{x}"], "lines", None, None)
    assert (run.stdin, run.stdin_bytes, run.stdin_ended) == (None, 0, False)
    spec = folder.spec()
    assert (spec["argv"], spec["stdin"], spec["unset"]) == (["echo", "{x}"], None, [])


async def test_a_tool_becomes_its_command(submit_: Submit) -> None:
    run, folder = await submit_(tool="deploy", args={"to": "a; b"}, env={"B": "request"})
    assert folder.spec()["argv"] == run.command == ["deploy", "--to=a; b"]
    assert (run.tool, run.agent, run.dialect, run.timeout_s) == ("deploy", None, "jsonl", 60)
    assert folder.env() == {"A": "tool", "B": "request"}


async def test_a_request_may_set_another_timeout_than_the_tool(submit_: Submit) -> None:
    run, _ = await submit_(tool="deploy", args={"to": "x"}, timeout_s=1)
    assert run.timeout_s == 1


@pytest.mark.parametrize("what", [{"command": ["cat"]}, {"tool": "deploy", "args": {"to": "x"}}])
@pytest.mark.parametrize("stdin", ["text", "pipe"])
async def test_the_first_input_is_counted_and_only_text_is_all_of_it(
    submit_: Submit, what: dict[str, object], stdin: str
) -> None:
    run, folder = await submit_(**what, stdin=stdin, stdin_text="héllo")
    assert (run.stdin, run.stdin_bytes, run.stdin_ended) == (stdin, 6, stdin == "text")
    assert Path(folder.input_path).read_text("utf-8") == "héllo"
    assert Path(folder.eof_path).exists() == (stdin == "text")


async def test_an_agent_on_the_command_line_becomes_its_command(submit_: Submit) -> None:
    run, folder = await submit_(agent="reviewer", prompt="look", env={"B": "request"})
    assert run.command == ["codex", "exec", "--json", "--model", "m", "--", "look"]
    assert (run.agent, run.tool, run.dialect) == ("reviewer", None, "codex")
    assert (run.stdin, run.stdin_bytes) == (None, 0)
    assert folder.env() == {"A": "agent", "B": "request"}


@pytest.mark.parametrize(("asked", "stdin"), [(None, "agent"), ("pipe", "pipe")])
async def test_an_agent_on_stdin_finds_its_prompt_there(
    submit_: Submit, asked: str | None, stdin: str
) -> None:
    run, folder = await submit_(agent="claude", prompt="look", stdin=asked)
    text = Path(folder.input_path).read_text("utf-8")
    assert json.loads(text)["message"]["content"] == "look"
    assert (run.agent, run.dialect) == ("claude", "claude")
    assert (run.stdin, run.stdin_bytes, run.stdin_ended) == (stdin, len(text), False)
    assert not Path(folder.eof_path).exists()


async def test_every_driver_is_an_agent_without_any_settings(store: Store, tmp_path: Path) -> None:
    for name in ("claude", "claude-subscription", "codex", "gemini", "opencode"):
        spec = RunSpec(agent=name, prompt="x")
        run = await submit(store, tmp_path, spec, Defaults(str(tmp_path), 5))
        assert run.agent == name


async def test_a_subscription_never_sees_a_key(
    submit_: Submit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "from the server")
    _, folder = await submit_(
        agent="printer", prompt="look", env={"ANTHROPIC_API_KEY": "from the request", "SEEN": "yes"}
    )
    folder.end_input()
    held = Held(folder, [])
    try:
        held.ended()
        said = held.output()
    finally:
        held.close()
    assert b"ANTHROPIC_API_KEY" not in said
    assert b"SEEN=yes\n" in said
    assert said.endswith(Path(folder.input_path).read_bytes())
    assert b'"content":"look"' in said


@pytest.mark.parametrize(
    ("fields", "field", "message"),
    [
        ({}, "command", "give exactly one of command, tool, agent"),
        ({"command": ["ls"], "tool": "deploy"}, "tool", "give exactly one of"),
        ({"command": ["ls"], "agent": "claude", "prompt": "x"}, "agent", "give exactly one of"),
        ({"command": []}, "command", "must be a list of at least one word"),
        ({"command": ["ls"], "args": {"a": "b"}}, "args", "goes with tool, not with command"),
        ({"command": ["ls"], "prompt": ""}, "prompt", "goes with agent, not with command"),
        ({"tool": "deploy", "args": {"to": "x"}, "prompt": "x"}, "prompt", "goes with agent"),
        ({"tool": "deploy", "args": {"to": "x"}, "dialect": "lines"}, "dialect", "with command"),
        ({"agent": "claude", "prompt": "x", "args": {"a": "b"}}, "args", "goes with tool"),
        ({"agent": "claude", "prompt": "x", "dialect": "claude"}, "dialect", "goes with command"),
        ({"command": ["ls"], "dialect": "json"}, "dialect", "must be one of lines, "),
        ({"command": ["ls"], "stdin_text": "x"}, "stdin", "must be text or pipe"),
        ({"command": ["ls"], "stdin": "text", "stdin_text": "\ud800"}, "stdin", "as UTF-8"),
        ({"tool": "x"}, "tool", "there is no tool 'x'; known are: deploy, broken"),
        ({"tool": "deploy"}, "args.to", "is missing"),
        ({"tool": "broken"}, "tool", "broken: command: {what} cannot be in the first word"),
        ({"agent": "x", "prompt": "x"}, "agent", "there is no agent 'x'; known are: claude, "),
        ({"agent": "nameless", "prompt": "x"}, "agent", "nameless: driver: is missing"),
        ({"agent": "bold", "prompt": "x"}, "agent", "bold: permission_mode: opencode knows no"),
        ({"agent": "claude"}, "prompt", "must not be empty"),
        ({"agent": "claude", "prompt": "a\0"}, "prompt", "has a character"),
        ({"agent": "codex", "prompt": "x" * 131_072}, "prompt", "131071 bytes"),
        ({"agent": "codex", "prompt": "x", "stdin": "pipe"}, "stdin", "reads no other"),
        ({"agent": "claude", "prompt": "x", "stdin": "text"}, "stdin", "by its prompt"),
        ({"agent": "claude", "prompt": "x", "stdin": "pipe", "stdin_text": ""}, "stdin", "prompt"),
    ],
)
async def test_what_is_no_run_is_refused_with_the_field_and_leaves_nothing(
    submit_: Submit,
    store: Store,
    tmp_path: Path,
    fields: dict[str, object],
    field: str,
    message: str,
) -> None:
    with pytest.raises(BadRequest) as caught:
        await submit_(**fields)
    assert caught.value.details == {"field": field}
    assert message in caught.value.message
    assert await store.runs(RunFilter(), 10) == []
    assert list(tmp_path.iterdir()) == []
