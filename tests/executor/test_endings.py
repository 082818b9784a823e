"""Executions that are cancelled, time out or fail: nothing that they started goes on."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from runcast import RunCancelled, StreamingExecutor
from runcast.wires.activity import Message
from tests.support import processes


def living(run_id: str) -> set[int]:
    """Return the processes that a run started."""
    return processes.matching(
        lambda pid: processes.environment(pid).get("RUNCAST_RUN_ID") == run_id
    )


def when(text: str, act: Callable[[], object]) -> Callable[[Message], None]:
    """Make a callback that acts once the command has printed a text."""

    def on_event(one: Message) -> None:
        if one.get("content") == text:
            act()

    return on_event


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
