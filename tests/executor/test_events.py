"""What an execution tells while it runs, and what its result says afterwards."""

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import uvloop

from runcast import RunCancelled, StreamingExecutor, StreamingOptions
from runcast.wires.activity import Message

# libuv makes a pipe with its first loop and keeps it for as long as the process lives.
uvloop.new_event_loop().close()

HELLO = ("echo", ['{"type":"text","text":"Hello"}'])

AGENT = [
    {"type": "thinking", "text": "hm"},
    {"type": "tool_use", "id": "t1", "name": "Bash", "input": {"command": "ls"}},
    {"type": "tool_result", "tool_use_id": "t1", "content": "a.txt"},
    {"type": "text", "text": "done"},
]
SPEAKS = "\n".join(f"echo '{json.dumps(line)}'" for line in AGENT)


def types(messages: list[Message]) -> list[str]:
    return [one["type"] for one in messages]


def timeless(messages: list[Message]) -> list[dict[str, Any]]:
    """Leave out what differs from one run of the same command to the next."""
    return [
        {name: value for name, value in one.items() if name not in ("timestamp", "elapsedSeconds")}
        for one in messages
    ]


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

    result = await StreamingExecutor("wo", run_id).execute(sys.executable, ["-c", script])

    [told] = [one for one in result.events if one["type"] == "agent_tool_call"]
    assert told["input"] == {"text": "é" * 100_000}
    assert "inputBlob" not in told


async def test_output_that_is_not_utf8_is_readable(run_id: str) -> None:
    executor = StreamingExecutor("wo", run_id, dialect="lines")
    result = await executor.execute("printf", ["a\\377b"])
    assert result.stdout == "a\ufffdb"
