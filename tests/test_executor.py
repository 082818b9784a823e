"""Running a command or an agent from a program."""

import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import uvloop

from runcast import BadRequest, RunCancelled, StreamingExecutor, StreamingOptions
from runcast.core.ids import uuid7
from runcast.wires.activity import Message
from tests.support import processes
from tests.support.runs import child

# libuv makes a pipe with its first loop and keeps it for as long as the process lives.
uvloop.new_event_loop().close()

HELLO = ("echo", ['{"type":"text","text":"Hello"}'])
PYTHON = sys.executable

AGENT = [
    {"type": "thinking", "text": "hm"},
    {"type": "tool_use", "id": "t1", "name": "Bash", "input": {"command": "ls"}},
    {"type": "tool_result", "tool_use_id": "t1", "content": "a.txt"},
    {"type": "text", "text": "done"},
]
SPEAKS = "\n".join(f"echo '{json.dumps(line)}'" for line in AGENT)


@pytest.fixture
def run_id() -> str:
    return uuid7()


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The system's folder for temporary files, as far as this process knows."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def living(run_id: str) -> set[int]:
    """Return the processes that a run started."""
    return processes.matching(
        lambda pid: processes.environment(pid).get("RUNCAST_RUN_ID") == run_id
    )


def types(messages: list[Message]) -> list[str]:
    return [one["type"] for one in messages]


def timeless(messages: list[Message]) -> list[dict[str, Any]]:
    """Leave out what differs from one run of the same command to the next."""
    return [
        {name: value for name, value in one.items() if name not in ("timestamp", "elapsedSeconds")}
        for one in messages
    ]


def when(text: str, act: Callable[[], object]) -> Callable[[Message], None]:
    """Make a callback that acts once the command has printed a text."""

    def on_event(one: Message) -> None:
        if one.get("content") == text:
            act()

    return on_event


async def test_what_an_agent_says_is_told_as_events(run_id: str) -> None:
    seen: list[Message] = []

    result = await StreamingExecutor("wo-1", run_id, seen.append).execute(*HELLO)

    assert result.events == seen
    [hello] = [one for one in seen if one["type"] == "agent_output"]
    assert (hello["content"], hello["kind"]) == ("Hello", "message")
    assert all((one["workOrderId"], one["runId"]) == ("wo-1", run_id) for one in seen)
    assert (seen[-1]["type"], seen[-1]["status"]) == ("run_status", "completed")
    assert (result.exit_code, result.stdout, result.stderr) == (0, HELLO[1][0] + "\n", "")
    assert 0 <= result.duration < 30


async def test_stderr_is_told_as_errors_and_is_in_the_result(run_id: str) -> None:
    script = "echo out; echo one >&2; echo two >&2; exit 3"

    result = await StreamingExecutor("wo", run_id).execute("sh", ["-c", script])

    errors = [one for one in result.events if one["type"] == "agent_error"]
    assert [(one["content"], one["source"]) for one in errors] == [
        ("one", "stderr"),
        ("two", "stderr"),
    ]
    assert (result.exit_code, result.stdout, result.stderr) == (3, "out\n", "one\ntwo\n")
    assert (result.status, result.reason) == ("failed", "exit")


async def test_events_come_in_the_order_of_execution(run_id: str) -> None:
    seen: list[Message] = []

    result = await StreamingExecutor("wo", run_id, seen.append).execute("sh", ["-c", SPEAKS])

    assert [one for one in types(seen) if one != "progress_update"] == [
        "run_status",
        "run_status",
        "agent_output",
        "agent_tool_call",
        "agent_tool_result",
        "agent_output",
        "run_status",
    ]
    assert [one["seq"] for one in result.events] == list(range(1, len(result.events) + 1))


async def test_options_leave_out_what_nobody_wants(run_id: str) -> None:
    options = StreamingOptions(emit_tool_calls=False, emit_tool_results=False, emit_output=False)
    seen: list[Message] = []
    executor = StreamingExecutor("wo", run_id, seen.append, options)

    result = await executor.execute("sh", ["-c", SPEAKS + "\necho oh >&2"])

    assert set(types(seen)) == {"run_status", "progress_update", "agent_error"}
    assert result.events == seen
    assert len(result.stdout.splitlines()) == len(AGENT)


async def test_progress_comes_as_often_as_asked(run_id: str) -> None:
    enough = asyncio.Event()

    def on_event(one: Message) -> None:
        if one["type"] == "progress_update" and one["elapsedSeconds"] > 0.05:
            enough.set()

    executor = StreamingExecutor("wo", run_id, on_event, StreamingOptions(progress_interval_ms=10))
    with pytest.raises(RunCancelled):
        await executor.execute("sleep", ["30"], cancel=enough)


async def test_a_coroutine_is_awaited_for_each_event_before_the_next(run_id: str) -> None:
    steps: list[tuple[str, int]] = []

    async def on_event(one: Message) -> None:
        steps.append(("begin", one["seq"]))
        await asyncio.sleep(0)
        steps.append(("end", one["seq"]))

    result = await StreamingExecutor("wo", run_id, on_event).execute("sh", ["-c", SPEAKS])

    expected = [(step, one["seq"]) for one in result.events for step in ("begin", "end")]
    assert steps == expected


async def test_the_result_is_the_same_without_a_callback(run_id: str) -> None:
    def meddle(one: Message) -> None:
        one.clear()

    told = await StreamingExecutor("wo", run_id, meddle, None, "lines").execute(
        "sh", ["-c", SPEAKS]
    )
    quiet = await StreamingExecutor("wo", run_id, None, None, "lines").execute("sh", ["-c", SPEAKS])

    assert timeless(told.events) == timeless(quiet.events)
    assert (told.stdout, told.exit_code) == (quiet.stdout, quiet.exit_code)


async def test_setting_cancel_ends_the_run_and_raises(run_id: str, temporary: Path) -> None:
    seen: list[Message] = []
    cancel = asyncio.Event()
    asyncio.get_running_loop().call_later(0.1, cancel.set)
    begun = time.monotonic()

    with pytest.raises(RunCancelled, match="cancelled") as caught:
        await StreamingExecutor("wo", run_id, seen.append).execute("sleep", ["10"], cancel=cancel)

    assert time.monotonic() - begun < 8
    assert not living(run_id)
    assert (seen[-1]["type"], seen[-1]["status"]) == ("run_status", "cancelled")
    assert caught.value.result.events == seen
    assert not list(temporary.iterdir())


async def test_a_run_that_is_cancelled_beforehand_never_prints(run_id: str) -> None:
    cancel = asyncio.Event()
    cancel.set()
    with pytest.raises(RunCancelled) as caught:
        await StreamingExecutor("wo", run_id).execute("sleep", ["30"], cancel=cancel)
    assert caught.value.result.status == "cancelled"
    assert not living(run_id)


async def test_cancelling_reaches_the_whole_tree(run_id: str) -> None:
    cancel = asyncio.Event()
    script = "sleep 30 & setsid sleep 30 & (echo up; sleep 30) & wait"
    executor = StreamingExecutor("wo", run_id, when("up", cancel.set))

    with pytest.raises(RunCancelled):
        await executor.execute("sh", ["-c", script], cancel=cancel)

    assert not living(run_id)


async def test_cancelling_the_task_ends_the_run_first(run_id: str, temporary: Path) -> None:
    seen: list[Message] = []
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await StreamingExecutor("wo", run_id, seen.append).execute("sleep", ["30"])

    assert not living(run_id)
    assert (seen[-1]["type"], seen[-1]["status"]) == ("run_status", "cancelled")
    assert not list(temporary.iterdir())


async def test_cancelling_the_task_again_and_again_leaves_nothing(run_id: str) -> None:
    executor = StreamingExecutor("wo", run_id)
    task = asyncio.create_task(executor.execute("sleep", ["30"]))
    while not living(run_id):
        await asyncio.sleep(0.01)
    while not task.done():
        task.cancel()
        await asyncio.sleep(0.01)

    assert task.cancelled()
    assert not living(run_id)


async def test_a_callback_that_hangs_cannot_hold_up_a_cancellation(run_id: str) -> None:
    async def hang(one: Message) -> None:
        await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await StreamingExecutor("wo", run_id, hang).execute("sleep", ["30"])

    assert not living(run_id)


@pytest.mark.parametrize("kind", ["function", "coroutine"])
async def test_an_exception_of_the_callback_ends_the_run(run_id: str, kind: str) -> None:
    def fail() -> None:
        raise LookupError("no such page")

    async def on_event(one: Message) -> None:
        when("up", fail)(one)

    callback = when("up", fail) if kind == "function" else on_event
    with pytest.raises(LookupError, match="no such page"):
        await StreamingExecutor("wo", run_id, callback).execute("sh", ["-c", "echo up; sleep 30"])

    assert not living(run_id)


def test_a_program_that_ends_without_waiting_leaves_no_process(run_id: str) -> None:
    tasks = []

    async def forget() -> None:
        executor = StreamingExecutor("wo", run_id)
        tasks.append(asyncio.create_task(executor.execute("sleep", ["30"])))
        while not living(run_id):
            await asyncio.sleep(0.01)

    asyncio.run(forget())

    assert tasks[0].cancelled()
    assert not living(run_id)


async def test_a_timeout_ends_the_run_with_a_result(run_id: str) -> None:
    result = await StreamingExecutor("wo", run_id).execute("sleep", ["30"], timeout=0.1)

    assert (result.status, result.reason, result.exit_code) == ("failed", "timeout", None)
    assert result.error == "the command ran longer than its timeout"
    assert not living(run_id)


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

    result = await executor.execute(PYTHON, ["-c", script], tmp_path, {"ADDED": "1"})

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


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_any_event_loop_will_do(run: Callable[..., Any], run_id: str) -> None:
    assert run(StreamingExecutor("wo", run_id).execute(*HELLO)).exit_code == 0


async def test_a_folder_keeps_the_raw_output(run_id: str, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    for _ in range(2):
        await StreamingExecutor("wo", run_id, folder=kept).execute("echo", ["hello"])

    spools = list(kept.glob(f"{run_id}-*/runs/*/output.log"))
    assert len(spools) == 2
    assert all(spool.read_text().endswith(" stdout F hello\n") for spool in spools)


async def test_long_texts_come_whole(run_id: str) -> None:
    call = "{'type': 'tool_use', 'id': 't1', 'name': 'Write', 'input': {'text': 'é' * 100_000}}"
    script = f"import json; print(json.dumps({call}))"

    result = await StreamingExecutor("wo", run_id).execute(PYTHON, ["-c", script])

    [told] = [one for one in result.events if one["type"] == "agent_tool_call"]
    assert told["input"] == {"text": "é" * 100_000}
    assert "inputBlob" not in told


async def test_output_that_is_not_utf8_is_readable(run_id: str) -> None:
    executor = StreamingExecutor("wo", run_id, dialect="lines")
    result = await executor.execute("printf", ["a\\377b"])
    assert result.stdout == "a\ufffdb"


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
