"""Sockets that want the same are written to together, and get what each alone would get."""

import asyncio
import contextlib

import pytest

from tests.web.sockets.client import (
    add_run,
    delete_run,
    end_run,
    eventually,
    say_lines,
    talking,
)
from tests.web.sockets.singers.choir import NATIVE, choirs, crowd, seqs


@pytest.mark.parametrize("batch", [False, True])
async def test_sockets_that_want_the_same_are_one_chorus_and_all_get_everything(
    live, runtime, batch
):
    await add_run(runtime)
    async with crowd(live, 50, batch=batch) as talks:
        await eventually(lambda: choirs(runtime) == [50])
        for n in range(2, 202):
            await say_lines(runtime, [f"line {n}"])
        assert choirs(runtime) == [50]
        for talk in talks:
            found = []
            while len(found) < 200:
                found += seqs([await talk.hear()])
            assert found == list(range(2, 202))


async def test_only_what_is_wanted_alike_is_sung_together(live, runtime):
    await add_run(runtime)
    wishes = [
        {},
        {},
        {"batch": True},
        {"throttleMs": 40},
        {"types": ["output"]},
        {"format": "activity"},
    ]
    async with contextlib.AsyncExitStack() as stack:
        for wish in wishes:
            talk = await stack.enter_async_context(talking(live))
            await talk.ask(**NATIVE | wish)
        await eventually(lambda: choirs(runtime) == [1, 1, 1, 1, 2])


async def test_who_follows_two_things_or_is_told_of_runs_too_is_read_for_alone(live, runtime):
    await add_run(runtime)
    await add_run(runtime, "s")
    async with talking(live) as two, talking(live, "/ws") as told:
        await two.ask(**NATIVE)
        await eventually(lambda: choirs(runtime) == [1])
        await two.ask(**NATIVE | {"runId": "s"})
        await told.ask(**NATIVE)
        await say_lines(runtime, ["on"])
        assert seqs([await two.hear(), await told.hear()]) == [2, 2]
        assert choirs(runtime) == choirs(runtime, run_id="s") == []
        await two.ask(type="unsubscribe", runId="s")
        await say_lines(runtime, ["on"])
        assert seqs([await two.hear()]) == [3]
        await eventually(lambda: choirs(runtime) == [1])


async def test_a_subscription_that_widens_sends_nothing_twice(live, runtime):
    """What was sung is known to have been sent."""
    await add_run(runtime, "r", "task")
    async with talking(live) as talk:
        await talk.ask(**NATIVE)
        await eventually(lambda: choirs(runtime) == [1])
        await say_lines(runtime, ["sung"])
        assert seqs([await talk.hear()]) == [2]
        await talk.ask(type="subscribe", workOrderId="task", format="native", after=0)

        assert seqs(await talk.settle()) == [1]


async def test_an_answer_neither_loses_nor_hurries_anything(live, runtime):
    await add_run(runtime)
    async with talking(live) as talk:
        await talk.ask(**NATIVE, throttleMs=300)
        await say_lines(runtime, ["at once"])
        assert (await talk.hear())["seq"] == 2
        await eventually(lambda: choirs(runtime) == [1])
        clock = asyncio.get_running_loop().time
        began = clock()
        await say_lines(runtime, ["waits"])
        for _ in range(5):
            assert await talk.ask(type="ping") == {"type": "pong"}
        assert (await talk.hear())["seq"] == 3
        assert clock() - began > 0.15
        await eventually(lambda: choirs(runtime) == [1])


@pytest.mark.parametrize("urgent", ["stderr", "end"])
async def test_what_is_urgent_comes_at_once_to_all(live, runtime, urgent):
    await add_run(runtime)
    say = {
        "stderr": lambda: say_lines(runtime, ["err"], stream="stderr"),
        "end": lambda: end_run(runtime),
    }
    async with crowd(live, 5, throttleMs=5000) as talks:
        await eventually(lambda: choirs(runtime) == [5])
        await say_lines(runtime, ["at once"])
        await say_lines(runtime, ["waits"])
        await say[urgent]()
        async with asyncio.timeout(2):
            for talk in talks:
                assert seqs([await talk.hear() for _ in range(3)]) == [2, 3, 4]
        assert choirs(runtime) == [5]


async def test_what_is_too_long_to_be_sung_comes_all_the_same(live, runtime):
    await add_run(runtime)
    async with crowd(live, 5) as talks:
        await eventually(lambda: choirs(runtime) == [5])
        await say_lines(runtime, ["x" * 60_000] * 4)
        await say_lines(runtime, ["short"])
        for talk in talks:
            assert seqs([await talk.hear() for _ in range(5)]) == [2, 3, 4, 5, 6]
        await eventually(lambda: choirs(runtime) == [5])


async def test_what_is_removed_before_it_is_sung_is_said(live, runtime):
    await add_run(runtime, "r", "task")
    await add_run(runtime, "s", "task")
    async with talking(live) as talk:
        await talk.ask(type="subscribe", workOrderId="task", format="native", throttleMs=5000)
        await eventually(lambda: choirs(runtime, task_id="task") == [1])
        await say_lines(runtime, ["at once"])
        assert (await talk.hear())["seq"] == 2
        await say_lines(runtime, ["removed"])
        await delete_run(runtime)
        await say_lines(runtime, ["urgent"], "s", "stderr")
        gap, urgent = await talk.take(2)

    assert (gap["type"], gap["reason"], gap["workOrderId"]) == ("gap", "retention", "task")
    assert (urgent["runId"], urgent["data"]["text"]) == ("s", "urgent")
