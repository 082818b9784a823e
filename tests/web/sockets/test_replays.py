"""The WebSocket on `/ws`: replays and throttles lose and repeat nothing, and keep the order."""

import asyncio

import pytest

from tests.web.sockets.client import (
    add_event,
    add_run,
    delete_run,
    end_run,
    say_lines,
    talking,
    types,
)


def texts(messages):
    """The lines of what was said, whatever was joined."""
    lines = []
    for message in messages:
        lines += message["content"].split("\n")
    return lines


async def test_a_replay_follows_its_confirmation_and_goes_on_live(live, runtime):
    await add_run(runtime)
    await say_lines(runtime, [f"line {n}" for n in range(2, 12)])
    positions = await runtime.store.positions()
    async with talking(live) as talk:
        confirmed = await talk.ask(type="subscribe", runId="r", after=positions.head - 3)
        assert confirmed["type"] == "subscription_confirmed"
        await say_lines(runtime, ["line 12", "line 13"])

        assert texts(await talk.until(seq=13)) == [f"line {n}" for n in range(9, 14)]


async def test_an_overlapping_replay_fills_in_only_what_was_not_sent(live, runtime):
    await add_run(runtime, "a", "task")
    await add_run(runtime, "b", "task")
    await say_lines(runtime, ["before"], "a")
    await say_lines(runtime, ["before"], "b")
    async with talking(live) as talk:
        await talk.ask(type="subscribe", runId="a", format="native")
        await say_lines(runtime, ["live"], "a")
        await say_lines(runtime, ["live"], "b")
        first = await talk.settle()
        await talk.ask(type="subscribe", workOrderId="task", format="native", after=0)
        second = await talk.settle()
        await say_lines(runtime, ["later"], "a")
        third = await talk.settle()

    def seqs(heard):
        return [(one["runId"], one["seq"]) for one in heard]

    assert seqs(first) == [("a", 3)]
    assert seqs(second) == [("a", 1), ("b", 1), ("a", 2), ("b", 2), ("b", 3)]
    assert seqs(third) == [("a", 4)]


async def test_what_retention_took_is_said(live, runtime):
    await add_run(runtime, "kept")
    await add_run(runtime)
    await end_run(runtime)
    await delete_run(runtime)
    for name in ("workOrderId", "runId"):
        async with talking(live) as talk:
            await talk.ask(type="subscribe", **{name: "r"}, after=0)
            gap = await talk.hear()
            assert (gap["type"], gap[name], gap["after"]) == ("gap", "r", 0)
            assert gap["reason"] == "retention"

            # Of a run that is there, everything is there.
            await talk.ask(type="subscribe", runId="kept", after=0)
            assert types(await talk.settle()) == ["run_status"]


async def test_a_replay_that_begins_again_goes_on_to_leave_out_what_was_sent(live, runtime):
    await add_run(runtime)
    await say_lines(runtime, ["2", "3", "4", "5"])
    first = (await runtime.store.positions()).head - 4
    wanted = {"type": "subscribe", "runId": "r", "format": "native"}
    async with talking(live) as talk:
        await talk.ask(**wanted, after=first + 2)
        assert [one["seq"] for one in await talk.settle()] == [4, 5]
        await talk.ask(**wanted, after=first + 1)
        assert [one["seq"] for one in await talk.settle()] == [3]
        for after in (first, 0):
            await talk.say(**wanted, after=after)
        await say_lines(runtime, ["6"])
        heard = [one["seq"] for one in await talk.settle() if "seq" in one]

    assert sorted(heard) == [1, 2, 6]


async def test_a_client_that_has_everything_is_told_of_no_gap(live, runtime):
    await add_run(runtime)
    async with talking(live) as talk:
        await talk.ask(type="subscribe", workOrderId="r", format="native")
        await say_lines(runtime, ["before"])
        await talk.settle()
        await add_run(runtime, "other")
        await end_run(runtime, "other")
        await delete_run(runtime, "other")
        await say_lines(runtime, ["after"])

        assert [one["seq"] for one in await talk.settle()] == [3]


async def test_subscriptions_that_are_too_much_for_one_read_share_several(live, runtime):
    async with talking(live) as talk:
        for n in range(5):
            await add_run(runtime, f"r{n}", "task")
            await talk.ask(type="subscribe", runId=f"r{n}", format="native")
        for _ in range(5):
            for n in range(5):
                await say_lines(runtime, ["x" * 60_000] * 2, f"r{n}")
        heard = await talk.settle()

    for n in range(5):
        assert [one["seq"] for one in heard if one["runId"] == f"r{n}"] == list(range(2, 12))


async def test_a_throttled_client_gets_everything_in_order_but_seldom(live, runtime):
    await add_run(runtime)
    async with talking(live) as talk:
        await talk.ask(type="subscribe", runId="r", throttleMs=300, batch=True)
        clock = asyncio.get_running_loop().time

        async def write():
            for n in range(2, 62):
                await say_lines(runtime, [f"line {n}"])
                await asyncio.sleep(0.01)

        writing = asyncio.create_task(write())
        lines, came = [], []
        while len(lines) < 60:
            batch = await talk.hear()
            came.append(clock())
            lines += texts(batch["events"])
        await writing

    assert lines == [f"line {n}" for n in range(2, 62)]
    # One at once, then one every 300 ms; how long the writing took depends on the machine.
    assert len(came) <= 2 + (came[-1] - came[0]) / 0.3


@pytest.mark.parametrize("urgent", ["error", "approval", "stderr", "status"])
async def test_what_is_urgent_comes_at_once_and_what_lies_before_it_first(live, runtime, urgent):
    await add_run(runtime)
    say = {
        "error": lambda: add_event(runtime, "error", message="no", source="agent"),
        "approval": lambda: add_event(
            runtime, "approval", id="q", tool="Bash", input={}, state="pending"
        ),
        "stderr": lambda: say_lines(runtime, ["err"], stream="stderr"),
        "status": lambda: end_run(runtime),
    }
    async with talking(live) as talk:
        await talk.ask(type="subscribe", runId="r", throttleMs=5000, format="native")
        await say_lines(runtime, ["quiet before: at once"])
        assert (await talk.hear())["seq"] == 2
        await say_lines(runtime, ["waits"])
        await asyncio.sleep(0.1)
        async with asyncio.timeout(2):
            await say[urgent]()
            assert [one["seq"] for one in await talk.take(2)] == [3, 4]


async def test_a_replay_does_not_wait_for_the_throttle(live, runtime):
    await add_run(runtime)
    for _ in range(8):
        await say_lines(runtime, ["x" * 60_000] * 4)
    async with talking(live) as talk:
        async with asyncio.timeout(3):
            await talk.ask(type="subscribe", runId="r", after=0, throttleMs=5000)
            heard = await talk.until(seq=33)

    assert len(heard) == 33
