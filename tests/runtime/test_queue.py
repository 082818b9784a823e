"""The queue: whatever runs is looked at once in an interval."""

from pathlib import Path
from typing import Any

import pytest

from runcast.config import Api, Settings, Sse
from runcast.core.errors import Unavailable
from runcast.core.runs import Run
from runcast.runtime.execution import Execution
from runcast.runtime.runners import Runners
from runcast.runtime.runtime import Runtime
from runcast.runtime.submit import RunSpec
from runcast.runtime.watch import Watch
from tests.runtime.watched import until


async def test_a_run_that_is_adopted_within_an_interval_is_looked_at_in_the_same(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running: list[int] = []  # at each moment that something is looked at
    looked: list[int] = []
    poll, look = Runners.poll, Execution.look_behind

    def polls(runners: Runners) -> None:
        poll(runners)
        running.append(len(runtime._queue.executions))
        looked.append(0)

    def looks(execution: Execution) -> None:
        look(execution)
        if looked:
            looked[-1] += 1

    monkeypatch.setattr(Watch, "add", lambda *_: None)  # no hint makes anybody look
    monkeypatch.setattr(Runners, "poll", polls)
    monkeypatch.setattr(Execution, "look_behind", looks)
    often = Sse(discovery_interval_ms=100, poll_interval_ms=100)
    runtime = await Runtime.open(Settings(data_dir=str(data_dir), api=Api(sse=often)))
    await runtime.submit(RunSpec(command=["sleep", "60"], id="r"))
    await until(lambda: any(running))
    first = looked[running.index(1)]
    await runtime.cancel("r")
    await runtime.wait("r", 20)
    await runtime.close()

    assert first == 1


@pytest.mark.parametrize("storage", [True, False])
async def test_a_run_that_is_cancelled_while_it_is_taken_up_again_ends(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch, storage: bool
) -> None:
    finish, said = Execution.finish, list[str]()

    async def fails_once(execution: Execution) -> Run:
        if not said:
            said.append("failed")
            raise OSError("cannot be read")
        return await finish(execution)

    runtime = await Runtime.open(Settings(data_dir=str(data_dir)))
    get, update = runtime.store.get, runtime.store.update

    async def cancels_first(run_id: str) -> Run:
        if said == ["failed"]:
            said.append("cancelled")
            await runtime.cancel(run_id)
        return await get(run_id)

    async def refuses(*args: Any, **more: Any) -> Run:
        if storage:
            return await update(*args, **more)
        raise Unavailable("storage", "disk full")

    monkeypatch.setattr(Execution, "finish", fails_once)
    monkeypatch.setattr(runtime.store, "get", cancels_first)
    monkeypatch.setattr(runtime.store, "update", refuses)
    await runtime.submit(RunSpec(command=["sleep", "60"], id="r"))
    await until(lambda: "cancelled" in said)
    run = await runtime.wait("r", 20)
    await runtime.close()

    assert run.reason == "cancelled"
