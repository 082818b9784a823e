"""Which commands and agents can be executed, and with what arguments, environment and options."""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from runcast import BadRequest, StreamingExecutor, StreamingOptions
from tests.support.runs import child


async def test_a_command_that_cannot_be_started_has_a_result_that_says_why(run_id: str) -> None:
    result = await StreamingExecutor("wo", run_id).execute("there-is-no-such-program")

    assert (result.status, result.reason, result.exit_code) == ("failed", "spawn", None)
    assert "there-is-no-such-program" in (result.error or "")
    assert result.events[-1]["error"] == result.error


@pytest.mark.parametrize(
    ("ids", "more", "named"),
    [
        (("wo 1", "r"), {}, "work_order_id"),
        (("wo", "../r"), {}, "run_id"),
        (("wo", "r"), {"dialect": "klingon"}, "dialect: must be one of lines, claude"),
        *(
            (("wo", "r"), {"options": StreamingOptions(progress_interval_ms=ms)}, "progress_inter")
            for ms in (0, -1, float("nan"), float("inf"), "5")
        ),
    ],
)
def test_an_executor_that_cannot_be_is_refused(
    ids: tuple[str, str], more: dict[str, Any], named: str
) -> None:
    with pytest.raises(BadRequest, match=named):
        StreamingExecutor(*ids, **more)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"args": "abc"}, "args: expected list, got text"),
        ({"args": 5}, "args: expected list, got whole number"),
        ({"args": ["-n", 5]}, "args[1]: expected text, got whole number"),
        ({"command": ["echo", "a"]}, "command: expected text, got list"),
        ({"command": "true\0"}, "command: a word has a character that no command line can carry"),
        ({"cwd": 5}, "cwd: expected text or null, got whole number"),
        ({"cwd": b"/tmp"}, "cwd: expected text or null, got bytes"),
        ({"env": ["A=1"]}, "env: expected mapping, got list"),
        ({"env": {"A": 1}}, "env[...]: expected text, got whole number"),
        ({"env": {1: "A"}}, "env: expected text, got whole number"),
        ({"timeout": "5"}, "timeout: expected number or null, got text"),
        ({"timeout": 0}, "timeout: expected number > 0.0"),
        ({"timeout": float("nan")}, "timeout: expected number > 0.0"),
    ],
)
async def test_what_cannot_be_run_at_all_is_refused(
    given: dict[str, Any], problem: str, run_id: str, temporary: Path
) -> None:
    with pytest.raises(BadRequest) as refused:
        await StreamingExecutor("wo", run_id).execute(**{"command": "true", **given})
    assert refused.value.message == problem
    assert not list(temporary.iterdir())


async def test_arguments_may_be_of_any_kind_that_gives_words(run_id: str, tmp_path: Path) -> None:
    executor = StreamingExecutor("wo", run_id, dialect="lines")
    result = await executor.execute("echo", iter(["a", "b c"]), tmp_path, os.environ)
    assert result.stdout == "a b c\n"


async def test_a_child_sees_our_environment_what_is_added_and_its_run(
    run_id: str, tmp_path: Path
) -> None:
    script = "import json, os; print(json.dumps([dict(os.environ), os.getcwd()]))"
    executor = StreamingExecutor("wo", run_id, dialect="lines")

    result = await executor.execute(sys.executable, ["-c", script], tmp_path, {"ADDED": "1"})

    seen, cwd = json.loads(result.stdout)
    key = seen.pop("RUNCAST_RUN_KEY")
    ours = {"ADDED": "1", "PWD": cwd, "RUNCAST_RUN_ID": run_id, "RUNCAST_TASK_ID": "wo"}
    ours |= {name: seen[name] for name in ("LC_CTYPE",) if name in seen}  # Python's own
    assert seen == dict(os.environ) | ours
    assert cwd == str(tmp_path)
    assert key != run_id


async def test_executions_may_overlap(temporary: Path) -> None:
    executor = StreamingExecutor("wo", "the-same", dialect="lines")
    results = await asyncio.gather(*(executor.execute("echo", [str(n)]) for n in range(5)))
    assert [result.stdout for result in results] == [f"{n}\n" for n in range(5)]
    assert not list(temporary.iterdir())


def stand_in(*lines: dict[str, Any]) -> list[str]:
    """Return a program that says its arguments to stderr, and then these lines."""
    said = "\n".join(f"echo '{json.dumps(line)}'" for line in lines)
    return ["sh", "-c", f'echo "$@" >&2\n{said}', "stand-in"]


async def test_an_agent_runs_by_its_driver(run_id: str) -> None:
    program = stand_in(
        {"type": "assistant", "message": {"content": [{"type": "text", "text": "fixed"}]}},
        {"type": "result", "subtype": "success", "is_error": False, "result": "fixed"},
    )
    executor = StreamingExecutor("wo", run_id)

    result = await executor.execute_agent("claude", "Fix it", command=program, model="opus")

    assert (result.status, result.result) == ("completed", "fixed"), result.error
    assert "--model opus" in result.stderr
    assert [one["content"] for one in result.events if one.get("kind") == "message"] == ["fixed"]


async def test_an_agent_that_says_it_failed_has_failed_whatever_its_exit_code(run_id: str) -> None:
    said = {"type": "result", "subtype": "success", "is_error": True, "result": "API Error: 529"}
    executor = StreamingExecutor("wo", run_id)

    result = await executor.execute_agent("mine", "Hi", driver="claude", command=stand_in(said))

    assert (result.status, result.reason, result.exit_code) == ("failed", "agent", 0)
    assert "529" in (result.error or "")


async def test_what_an_agent_needs_leave_for_is_denied_at_once(run_id: str) -> None:
    executor = StreamingExecutor("wo", run_id)

    result = await executor.execute_agent("claude", "Hi", command=child("claude_stand_in"))

    assert (result.status, result.result) == ("completed", "I left it."), result.error
    [refused] = [one for one in result.events if one.get("success") is False]
    assert refused["contentPreview"] == (
        "nobody can be asked here; choose a permission mode that allows it"
    )


@pytest.mark.parametrize(
    ("agent", "choices", "named"),
    [
        ("nobody", {}, "driver"),
        ("claude", {"permission_mode": "anything-goes"}, "permission_mode"),
        ("claude", {"extra_args": "--verbose"}, "extra_args: expected list, got text"),
        ("claude", {"bad": 1}, "bad: .* driver, model, permission_mode, extra_args, command$"),
        ("claude", {"prompt": 5}, "prompt: expected text"),
        ("mine", {"driver": "clade"}, "'clade'; one of claude, claude-subscription, codex"),
    ],
)
async def test_an_agent_that_cannot_be_is_refused(
    run_id: str, agent: str, choices: dict[str, Any], named: str
) -> None:
    with pytest.raises(BadRequest, match=named):
        await StreamingExecutor("wo", run_id).execute_agent(agent, **{"prompt": "Hi", **choices})
