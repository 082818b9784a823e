"""The WebSocket on `/`: envelopes of the tasks that a client names, and nothing else."""

import pytest

from tests.web.sockets.client import (
    add_event,
    add_run,
    delete_run,
    end_run,
    eventually,
    open_sockets,
    say_lines,
    talking,
)

ENVELOPE = {
    "type": "thought",
    "taskId": "r",
    "agentId": "someone",
    "sequenceNumber": 77,
    "timestamp": "2026-01-02T03:04:05.678901+02:00",
    "payload": {"content": "hm", "reasoning_chain": ["a"], "extra": 1},
}


def contents(messages):
    return [message["payload"]["content"] for message in messages]


async def test_a_client_gets_the_envelopes_of_its_task_and_no_acknowledgement(live, runtime):
    await add_run(runtime)
    async with talking(live, "/") as talk:
        await talk.say(subscribe="r")
        assert await talk.settle() == []
        await say_lines(runtime, ["one", "two"])

        heard = await talk.take(2)

    assert contents(heard) == ["one", "two"]
    assert set(heard[0]) == {
        *("type", "taskId", "agentId", "sequenceNumber", "timestamp", "payload")
    }
    assert (heard[0]["taskId"], heard[0]["sequenceNumber"]) == ("r", 2)


async def test_an_envelope_goes_out_as_it_came_in(live, runtime):
    await add_run(runtime)
    async with talking(live, "/") as talk:
        await talk.say(subscribe="r", after=0)
        await add_event(runtime, "thought", text="hm", envelope=ENVELOPE)

        assert await talk.hear() == ENVELOPE


async def test_no_client_sees_what_another_asked_for(live, runtime):
    await add_run(runtime, "a")
    await add_run(runtime, "b")
    async with talking(live, "/") as first, talking(live, "/") as second:
        await first.say(subscribe="a")
        await second.say(subscribe="b")
        await first.settle()
        await second.settle()
        for run_id in ("a", "b", "a", "b"):
            await say_lines(runtime, [f"of {run_id}"], run_id)

        assert contents(await first.settle()) == ["of a", "of a"]
        assert contents(await second.settle()) == ["of b", "of b"]


async def test_a_task_may_begin_later_and_have_several_runs(live, runtime):
    async with talking(live, "/") as talk:
        await talk.say(subscribe="task")
        await talk.settle()
        for run_id in ("a", "b"):
            await add_run(runtime, run_id, "task")
            await say_lines(runtime, [f"of {run_id}"], run_id)

        assert contents(await talk.take(2)) == ["of a", "of b"]


async def test_a_client_of_everything_gets_it_once(live, runtime):
    await add_run(runtime, "a")
    await add_run(runtime, "b")
    async with talking(live, "/") as talk:
        await talk.say(subscribe="a")
        await talk.say(subscribe="*")
        await talk.settle()
        await say_lines(runtime, ["of a"], "a")
        await say_lines(runtime, ["of b"], "b")
        await end_run(runtime, "a")

        assert contents(await talk.settle()) == ["of a", "of b", "completed"]


async def test_a_position_is_replayed_from_before_what_comes(live, runtime):
    await add_run(runtime)
    await say_lines(runtime, ["old 2", "old 3", "old 4"])
    at = (await runtime.store.positions()).head
    async with talking(live, "/") as talk:
        await talk.say(subscribe="r", after=at - 2)
        await say_lines(runtime, ["new"])

        assert contents(await talk.take(3)) == ["old 3", "old 4", "new"]


@pytest.mark.parametrize("after", [None, "now"])
async def test_without_a_position_a_client_begins_now(live, runtime, after):
    await add_run(runtime)
    await say_lines(runtime, ["old"])
    async with talking(live, "/") as talk:
        await talk.say(subscribe="r", after=after)
        await talk.settle()
        await say_lines(runtime, ["new"])

        assert contents(await talk.take(1)) == ["new"]


async def test_what_was_sent_already_is_not_replayed_to_the_same_socket(live, runtime):
    await add_run(runtime)
    await say_lines(runtime, ["2", "3"])
    async with talking(live, "/") as talk:
        await talk.say(subscribe="r")
        await talk.settle()
        await say_lines(runtime, ["4", "5"])
        assert contents(await talk.take(2)) == ["4", "5"]
        await talk.say(subscribe="r", after=0)
        await say_lines(runtime, ["6"])

        assert sorted(contents(await talk.settle())) == ["2", "3", "6"]  # "6" may be there first
        await talk.say(unsubscribe="r")
        await talk.say(subscribe="r", after=0)
        assert contents(await talk.settle()) == ["2", "3", "4", "5", "6"]


async def test_who_unsubscribes_gets_nothing_more(live, runtime):
    await add_run(runtime)
    async with talking(live, "/") as talk:
        await talk.say(subscribe="r")
        await talk.say(subscribe="other")
        await talk.say(unsubscribe="r")
        await talk.say(unsubscribe="never")
        await talk.settle()
        await say_lines(runtime, ["unheard"])

        assert await talk.settle() == []


async def test_what_retention_took_is_said_once(live, runtime):
    await add_run(runtime, "gone", "task")
    await say_lines(runtime, ["gone"] * 3, "gone")
    await end_run(runtime, "gone")
    await add_run(runtime, "kept", "task")
    await say_lines(runtime, ["kept"], "kept")
    floor = (await runtime.store.read_all(0, 1 << 20))[-2].first_position - 1
    await delete_run(runtime, "gone")
    async with talking(live, "/") as talk:
        await talk.say(subscribe="task", after=1)

        gap, kept = await talk.take(2)
        assert gap == {
            "type": "gap",
            "taskId": "task",
            "after": 1,
            "first": floor + 1,
            "reason": "retention",
        }
        assert contents([kept]) == ["kept"]
        await say_lines(runtime, ["more"], "kept")
        assert contents(await talk.settle()) == ["more"]


async def test_a_task_of_which_nothing_is_left_has_a_gap(live, runtime):
    await add_run(runtime)
    await end_run(runtime)
    await delete_run(runtime)
    floor = (await runtime.store.positions()).floor
    async with talking(live, "/") as talk:
        await talk.say(subscribe="r", after=0)
        gap = await talk.hear()

    assert (gap["type"], gap["after"]) == ("gap", 0)
    assert gap["first"] > floor


JUNK = [
    ("junk", "bad_request"),
    ("", "bad_request"),
    ("[" * 60_000, "bad_request"),
    ("[]", "bad_request"),
    ("null", "bad_request"),
    ("{}", "bad_request"),
    (b'{"subscribe": "r"}', "bad_request"),
    ('{"type": "subscribe", "workOrderId": "r"}', "bad_request"),
    ('{"subscribe": 5}', "bad_request"),
    ('{"subscribe": {"r": 1}}', "bad_request"),
    ('{"subscribe": ""}', "bad_id"),
    ('{"subscribe": "../etc"}', "bad_id"),
    ('{"unsubscribe": "**"}', "bad_id"),
    ('{"subscribe": "\\ud800"}', "bad_request"),
    ('{"subscribe": "r", "after": -1}', "bad_cursor"),
    ('{"subscribe": "r", "after": 1.5}', "bad_cursor"),
    ('{"subscribe": "r", "after": true}', "bad_cursor"),
    ('{"subscribe": "r", "after": [0]}', "bad_cursor"),
    ('{"subscribe": "r", "after": "01"}', "bad_cursor"),
    ('{"subscribe": "r", "after": 99999999999999999999}', "bad_cursor"),
    ('{"subscribe": "r", "after": 1000}', "cursor_ahead"),
]


async def test_junk_is_answered_and_the_socket_stays_open(live, runtime):
    await add_run(runtime)
    async with talking(live, "/") as talk:
        for said, code in JUNK:
            await talk.socket.send(said)
            answer = await talk.hear()
            assert (answer["type"], answer["code"]) == ("error", code), said
            assert answer["message"]

        await talk.say(subscribe="r")
        await talk.settle()
        await say_lines(runtime, ["still here"])
        assert contents(await talk.take(1)) == ["still here"]


async def test_open_sockets_are_counted_once_each_and_no_more_when_closed(live, runtime):
    def open_here():
        return open_sockets(live)["/"]

    async with talking(live, "/") as first, talking(live, "/ws"):
        await first.say(subscribe="a")
        await first.say(subscribe="b")
        await first.settle()
        async with talking(live, "/"):
            assert open_here() == 2
        await eventually(lambda: open_here() == 1)
        first.socket.transport.abort()
        await eventually(lambda: open_here() == 0)
