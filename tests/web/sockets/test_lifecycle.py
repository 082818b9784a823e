"""Changes of runs on `/ws`: every client is told, and can resume."""

import pytest

from tests.web.sockets.client import add_run, delete_run, end_run, say_lines, talking


def changes(messages):
    return [(one["type"], one["process"]["id"], one["process"]["status"]) for one in messages]


ALL = [
    ("process-added", "r", "running"),
    ("process-updated", "r", "completed"),
    ("process-removed", "r", "completed"),
]


async def live_through(runtime, run_id="r", **fields):
    await add_run(runtime, run_id, **fields)
    await say_lines(runtime, ["not a change"], run_id)
    await end_run(runtime, run_id)
    await delete_run(runtime, run_id)


async def test_every_client_is_told_of_every_change_once(live, runtime):
    async with talking(live, "/ws") as first, talking(live, "/ws") as second:
        await live_through(runtime)

        heard = await first.take(3)
        assert changes(heard) == ALL
        assert set(heard[0]) == {"type", "process", "timestamp", "position"}
        assert await second.settle() == heard
        assert await first.settle() == []


async def test_a_client_may_want_one_workspace_or_none(live, runtime):
    await runtime.workspaces.put("w", "W", "/tmp", None)
    async with (
        talking(live, "/ws?workspace=w") as one,
        talking(live, "/ws?lifecycle=false") as none,
    ):
        await live_through(runtime, "r", workspace_id="w")
        await live_through(runtime, "s")

        assert changes(await one.settle()) == ALL
        assert await none.settle() == []


async def test_a_client_resumes_behind_a_position_and_gets_nothing_twice(live, runtime):
    await live_through(runtime)
    async with talking(live, "/ws") as talk:
        await live_through(runtime, "s")
        seen = await talk.take(3)
        confirmed = await talk.ask(type="subscribe", lifecycle=True, after=0)
        assert confirmed.pop("timestamp")
        assert confirmed == {"type": "subscription_confirmed", "lifecycle": True}
        assert changes(await talk.settle()) == ALL
    async with talking(live, "/ws?lifecycle=false") as talk:
        await talk.ask(type="subscribe", lifecycle=True, after=seen[0]["position"])
        assert await talk.settle() == seen[1:]


async def test_what_retention_took_of_the_changes_is_said(live, runtime):
    await live_through(runtime)
    await live_through(runtime, "s")
    async with talking(live, "/ws?lifecycle=false") as talk:
        await talk.ask(type="subscribe", lifecycle=True, after=0)
        assert len(await talk.settle()) == 6
    assert await runtime.store.trim("lifecycle", 2) == 1
    async with talking(live, "/ws?lifecycle=false") as talk:
        await talk.ask(type="subscribe", lifecycle=True, after=0)
        gap, *rest = await talk.settle()

    assert (gap["type"], gap["lifecycle"], gap["after"]) == ("gap", True, 0)
    assert gap["first"] == rest[0]["position"]
    assert len(rest) == 5


async def test_a_client_may_stop_to_be_told(live, runtime):
    async with talking(live, "/ws") as talk:
        answer = await talk.ask(type="unsubscribe", lifecycle=True)
        assert answer["type"] == "unsubscription_confirmed"
        await live_through(runtime)

        assert await talk.settle() == []


@pytest.mark.parametrize("batch", [True, False])
async def test_changes_and_activity_come_in_one_order(live, runtime, batch):
    async with talking(live, "/ws") as talk:
        await talk.ask(type="subscribe", runId="r", batch=batch)
        await live_through(runtime)
        heard = await talk.settle()

    events = [event for one in heard for event in one["events"]] if batch else heard
    positions = [event["position"] for event in events]
    assert positions == sorted(positions)
    assert len(events) == 6
