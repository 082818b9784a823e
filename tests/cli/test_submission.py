"""What is asked of the server for each way to run something."""

import io
import sys
from typing import Any

import click
import pytest

from runcast.cli.run import run
from runcast.cli.submission import make_spec


def spec(line: str) -> dict[str, Any]:
    """Return what these words make of the body, without the folder."""
    context = run.make_context("run", line.split())
    unused = ("server", "detach", "verbose", "no_color")
    options = {name: value for name, value in context.params.items() if name not in unused}
    made = make_spec(options.pop("words"), **options)
    assert made.pop("cwd").startswith("/")
    return made


@pytest.mark.parametrize(
    ("line", "made"),
    [
        ("ls -l", {"command": ["ls", "-l"]}),
        ("--interactive -- cat", {"command": ["cat"], "stdin": "pipe"}),
        (
            "--stdin hi --dialect claude cat",
            {"command": ["cat"], "stdin": {"text": "hi"}, "dialect": "claude"},
        ),
        ("--agent claude fix the build", {"agent": "claude", "prompt": "fix the build"}),
        (
            "--agent claude -i -e A=1 go - on",
            {"agent": "claude", "prompt": "go - on", "stdin": "pipe", "env": {"A": "1"}},
        ),
        ("--tool deploy", {"tool": "deploy", "args": {}}),
        (
            "--tool t --arg a=1 --arg b=x=y --timeout 2m",
            {"tool": "t", "args": {"a": "1", "b": "x=y"}, "timeout_s": 120.0},
        ),
        ("--tool t --stdin text", {"tool": "t", "args": {}, "stdin": {"text": "text"}}),
    ],
)
def test_words_and_options_become_a_body(line: str, made: dict[str, Any]) -> None:
    assert spec(line) == made


def test_a_prompt_can_come_from_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("two\nlänes".encode()), "ascii"))
    assert spec("--agent claude -") == {"agent": "claude", "prompt": "two\nlänes"}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("", "Missing argument 'COMMAND...'"),
        ("--agent claude", "Missing argument 'PROMPT...'"),
        ("--agent claude --tool t x", "--agent and --tool do not go together"),
        ("--agent claude --dialect lines x", "--dialect goes with a command only"),
        ("--agent claude --stdin y x", "--stdin goes with a command or a tool only"),
        ("--agent claude --arg a=b x", "--arg goes with --tool only"),
        ("--arg a=b ls", "--arg goes with --tool only"),
        ("--tool t --dialect lines", "--dialect goes with a command only"),
        ("--tool t x", "--tool takes its arguments as --arg, not 'x'"),
        ("--tool t --arg x", "'x' is not NAME=VALUE"),
        ("--interactive --stdin x cat", "--interactive and --stdin do not go together"),
    ],
)
def test_what_does_not_go_together_is_a_usage_error(line: str, said: str) -> None:
    with pytest.raises(click.UsageError) as caught:
        spec(line)
    assert said in caught.value.format_message()
