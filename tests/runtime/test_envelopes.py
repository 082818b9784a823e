"""Envelopes on their way into the log, with everything else that happens meanwhile."""

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from runcast.config import Settings, StoreSettings
from runcast.core.errors import NotFound, Unavailable
from runcast.core.events import Batch, run_log
from runcast.core.runs import Run
from runcast.runtime.envelopes import REMEMBERED
from runcast.runtime.external import Report
from runcast.runtime.runtime import Runtime
from runcast.stores import RunFilter
from tests.support import envelopes


@pytest.fixture(params=["memory:", None], ids=["memory", "sqlite"])
async def runtime(request: pytest.FixtureRequest, data_dir: Path) -> AsyncIterator[Runtime]:
    settings = Settings(data_dir=str(data_dir), store=StoreSettings(url=request.param))
    runtime = await Runtime.open(settings)
    yield runtime
    await runtime.close()


def thought(number: int, task_id: str = "t") -> dict[str, Any]:
    return envelopes.thought(task_id=task_id, number=number)


async def numbers(runtime: Runtime, run: Run) -> list[int]:
    """Return the sequence numbers of a run's envelopes."""
    batches = await runtime.store.read(run_log(run.id), 0, 2**30)
    events = [event for batch in batches for event in batch.events()]
    return [event.data["envelope"]["sequenceNumber"] for event in events if event.type == "thought"]


async def end_again_and_again(runtime: Runtime) -> None:
    while True:
        await asyncio.sleep(0)
        for run in await runtime.list(RunFilter(statuses=["running"]), 10):
            try:
                await runtime.external.append(run.id, [Report("status", {"status": "completed"})])
            except NotFound:
                continue


async def test_each_is_kept_once_whoever_ends_its_run_meanwhile(runtime: Runtime) -> None:
    async def send(sender: int) -> None:
        for number in range(40):
            await runtime.envelopes.record([thought(sender * 1000 + number)])
            await asyncio.sleep(0)  # in memory, nothing else would ever get a turn

    ending = asyncio.create_task(end_again_and_again(runtime))
    await asyncio.gather(*[send(sender) for sender in range(4)])
    ending.cancel()
    runs = (await runtime.list(RunFilter(task_id="t"), 500))[::-1]
    kept = [number for run in runs for number in await numbers(runtime, run)]
    assert sorted(kept) == [sender * 1000 + number for sender in range(4) for number in range(40)]
    assert len(runs) > 1
    for sender in range(4):
        of_sender = [number for number in kept if number // 1000 == sender]
        assert all(one < next_ for one, next_ in pairwise(of_sender))


async def test_calls_at_one_time_share_the_run_that_the_first_makes(runtime: Runtime) -> None:
    await asyncio.gather(*[runtime.envelopes.record([thought(number)]) for number in range(50)])
    (run,) = await runtime.list(RunFilter(task_id="t"), 10)
    assert await numbers(runtime, run) == list(range(50))


async def test_more_tasks_than_are_remembered_have_one_run_each(runtime: Runtime) -> None:
    tasks = [f"t{number}" for number in range(REMEMBERED + 50)]
    for number in range(2):
        await runtime.envelopes.record([thought(number, task) for task in tasks])
    runs = await runtime.list(RunFilter(), 2 * len(tasks))
    assert sorted(run.task_id for run in runs) == sorted(tasks)
    assert all([await numbers(runtime, run) == [0, 1] for run in runs[:10]])


async def test_who_gives_up_waiting_leaves_no_second_run(runtime: Runtime) -> None:
    for number in range(10):
        waiting = asyncio.create_task(runtime.envelopes.record([thought(number)]))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await runtime.envelopes.record([thought(100 + number)])
    (run,) = await runtime.list(RunFilter(task_id="t"), 10)
    assert [number for number in await numbers(runtime, run) if number >= 100] == list(
        range(100, 110)
    )


async def test_a_store_that_refuses_has_taken_nothing(data_dir: Path) -> None:
    runtime = await Runtime.open(Settings(data_dir=str(data_dir)))
    await runtime.close()
    with pytest.raises(Unavailable):
        await runtime.envelopes.record([thought(1)])


async def test_the_order_of_a_list_is_kept_over_tasks_in_one_commit(runtime: Runtime) -> None:
    heard: list[list[Batch]] = []
    runtime.store.listen(lambda batches: heard.append(list(batches)))
    await runtime.envelopes.record([thought(number, f"t{number % 3}") for number in range(30)])
    (batches,) = heard
    events = [event for batch in batches for event in batch.events() if event.type == "thought"]
    assert [event.data["envelope"]["sequenceNumber"] for event in events] == list(range(30))
    await runtime.envelopes.record([thought(number, f"t{number % 3}") for number in range(30, 60)])
    for number, run in enumerate((await runtime.list(RunFilter(), 10))[::-1]):
        assert await numbers(runtime, run) == list(range(number, 60, 3))
        assert (await runtime.store.checkpoint(run.id)).offset == 20
