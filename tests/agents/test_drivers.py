"""How each agent's CLI is started."""

import json
from collections.abc import Callable

import pytest

from runcast.agents import DRIVERS, Launch, driver, known_agents
from runcast.agents.words import ARGUMENT_BYTES
from runcast.config_agents import PERMISSION_MODES, AgentOptions, AgentSettings
from runcast.core.errors import BadRequest
from runcast.parsers import PARSERS

ON_STDIN = ("claude", "claude-subscription")
ON_THE_COMMAND_LINE = ("codex", "gemini", "opencode")
PLAIN = AgentOptions()
CHOSEN = AgentOptions(model="m-1", extra_args=["--more", "x"], env={"A": "b"})

CLAUDE = [
    *("claude", "-p", "--output-format", "stream-json", "--verbose"),
    *("--input-format", "stream-json", "--permission-prompt-tool", "stdio"),
]

COMMANDS: dict[str, tuple[str | None, list[str]]] = {
    "claude": (
        "acceptEdits",
        [*CLAUDE, "--model", "m-1", "--permission-mode", "acceptEdits", "--more", "x"],
    ),
    "claude-subscription": (None, [*CLAUDE, "--model", "m-1", "--more", "x"]),
    "codex": (
        "read-only",
        [
            *("codex", "exec", "--json", "--model", "m-1", "--sandbox", "read-only"),
            *("--more", "x", "--", "do it"),
        ],
    ),
    "gemini": (
        "yolo",
        [
            *("gemini", "--output-format", "stream-json", "--model", "m-1"),
            *("--approval-mode", "yolo", "--more", "x", "--prompt=do it"),
        ],
    ),
    "opencode": (
        "auto",
        [
            *("opencode", "run", "--format", "json", "--model", "m-1", "--auto"),
            *("--more", "x", "--", "do it"),
        ],
    ),
}


def launch(name: str, prompt: str = "do it", options: AgentOptions = PLAIN) -> Launch:
    return driver(name).launch(prompt, options, interactive=False)


@pytest.mark.parametrize("name", DRIVERS)
def test_the_command_line_says_what_was_chosen(name: str) -> None:
    mode, command = COMMANDS[name]
    options = AgentOptions(
        model=CHOSEN.model,
        permission_mode=mode,
        extra_args=CHOSEN.extra_args,
        env=CHOSEN.env,
    )
    started = launch(name, options=options)
    assert started.command == command
    assert started.env == {"A": "b"}


@pytest.mark.parametrize("name", DRIVERS)
def test_what_was_not_chosen_is_left_to_the_cli(name: str) -> None:
    command = launch(name).command
    assert not {"--model", "--permission-mode", "--sandbox", "--approval-mode", "--auto"} & {
        *command
    }


@pytest.mark.parametrize("name", DRIVERS)
def test_other_words_can_start_the_cli(name: str) -> None:
    usual = launch(name).command
    assert launch(name, options=AgentOptions(command=["npx", "cli"])).command == [
        *("npx", "cli"),
        *usual[1:],
    ]


@pytest.mark.parametrize("name", DRIVERS)
def test_every_permission_mode_that_the_settings_allow_is_passed_on(name: str) -> None:
    commands = [
        launch(name, options=AgentOptions(permission_mode=mode)).command
        for mode in PERMISSION_MODES[name]
    ]
    assert launch(name).command not in commands
    assert len({tuple(command) for command in commands}) == len(commands)


@pytest.mark.parametrize("name", DRIVERS)
def test_every_driver_prints_a_dialect_that_there_is(name: str) -> None:
    assert driver(name).dialect == launch(name).dialect
    assert driver(name).dialect in PARSERS


@pytest.mark.parametrize("name", ON_STDIN)
@pytest.mark.parametrize(("interactive", "stdin"), [(False, "agent"), (True, "pipe")])
def test_claude_is_given_its_prompt_as_the_first_line(
    name: str, interactive: bool, stdin: str
) -> None:
    prompt = '--do "it"\nwell \u2028 é 😀'
    started = driver(name).launch(prompt, PLAIN, interactive=interactive)
    assert started.stdin == stdin
    assert prompt not in started.command
    assert started.stdin_text.isascii()
    assert started.stdin_text.splitlines(keepends=True) == [started.stdin_text]
    assert started.stdin_text.endswith("\n")
    assert json.loads(started.stdin_text) == {
        "type": "user",
        "message": {"role": "user", "content": prompt},
        "parent_tool_use_id": None,
        "session_id": "",
    }


@pytest.mark.parametrize("name", ON_THE_COMMAND_LINE)
def test_a_prompt_on_the_command_line_is_one_word_and_no_flag(name: str) -> None:
    prompt = "--help\n; rm -rf '$HOME' é"
    started = launch(name, prompt)
    assert started.command[-1] == ("--prompt=" if name == "gemini" else "") + prompt
    assert name == "gemini" or started.command[-2] == "--"
    assert (started.stdin, started.stdin_text) == (None, "")


def test_only_the_subscription_must_not_see_the_key() -> None:
    unset = {name: launch(name).unset for name in DRIVERS if launch(name).unset}
    assert unset == {"claude-subscription": ("ANTHROPIC_API_KEY",)}


def refused(call: Callable[[], object]) -> tuple[str, str]:
    with pytest.raises(BadRequest) as caught:
        call()
    assert caught.value.details is not None
    return caught.value.details["field"], caught.value.message


@pytest.mark.parametrize("name", ON_THE_COMMAND_LINE)
def test_an_agent_that_reads_nothing_cannot_be_interactive(name: str) -> None:
    field, _ = refused(lambda: driver(name).launch("x", PLAIN, interactive=True))
    assert field == "stdin"


@pytest.mark.parametrize("name", DRIVERS)
@pytest.mark.parametrize("prompt", ["", " \n", "a\0b", "\ud800"])
def test_what_is_no_prompt_is_refused(name: str, prompt: str) -> None:
    field, _ = refused(lambda: launch(name, prompt))
    assert field == "prompt"


@pytest.mark.parametrize("name", ON_THE_COMMAND_LINE)
def test_a_prompt_that_no_command_line_can_carry_is_refused(name: str) -> None:
    flag = len("--prompt=") if name == "gemini" else 0
    longest = "é" * ((ARGUMENT_BYTES - flag) // 2) + "x" * ((ARGUMENT_BYTES - flag) % 2)
    assert launch(name, longest).command[-1].endswith(longest)
    field, message = refused(lambda: launch(name, longest + "x"))
    assert field == "prompt"
    assert f"{ARGUMENT_BYTES - flag} bytes; this one has {ARGUMENT_BYTES - flag + 1}" in message


@pytest.mark.parametrize("name", ON_STDIN)
def test_a_prompt_on_stdin_may_be_long(name: str) -> None:
    assert len(launch(name, "x" * 1_000_000).stdin_text) > 1_000_000


def test_every_driver_is_an_agent_unless_the_settings_say_otherwise() -> None:
    assert set(known_agents({})) == set(DRIVERS)
    mine = {"claude": AgentSettings(model="m"), "reviewer": AgentSettings(driver="codex")}
    known = known_agents(mine)
    assert set(known) == {*DRIVERS, "reviewer"}
    assert known["claude"].model == "m"


def test_there_is_no_driver_of_another_name() -> None:
    with pytest.raises(KeyError):
        driver("cursor")
