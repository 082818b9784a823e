"""The WebSocket on `/ws`: subscriptions, what they may ask for, and what comes of it."""

import json

from tests.web.sockets.client import add_event, add_run, end_run, say_lines, talking, types

CALL = {"tool_call_id": "1", "tool": "Read", "input": {"path": "a"}}
RESULT = {"tool_call_id": "1", "ok": True, "content": "text", "size": 4, "duration_ms": 7}
PROGRESS = {"percentage": 50, "phase": "work", "tool_calls": 1, "elapsed_s": 2}


async def everything(runtime, run_id="r"):
    """Add one event of every type that is told, and one that is not."""
    await add_event(runtime, "tool_call", run_id, **CALL)
    await add_event(runtime, "tool_result", run_id, **RESULT)
    await say_lines(runtime, ["out"], run_id)
    await add_event(runtime, "file_changed", run_id, path="a", action="created")
    await add_event(runtime, "progress", run_id, **PROGRESS)
    await add_event(runtime, "delta", run_id, kind="text", message_id="m", text="d")
    await add_event(runtime, "usage", run_id, input_tokens=1, output_tokens=1)
    await say_lines(runtime, ["err"], run_id, "stderr")
    await end_run(runtime, run_id)


async def test_a_subscription_is_confirmed_and_gets_what_the_agent_does(live, runtime):
    async with talking(live) as talk:
        confirmed = await talk.ask(type="subscribe", workOrderId="task")
        assert confirmed.pop("timestamp").endswith("Z")
        assert confirmed == {"type": "subscription_confirmed", "workOrderId": "task"}
        await add_run(runtime, "r", "task")
        await everything(runtime)

        heard = await talk.until(seq=10)

    assert types(heard) == [
        *("run_status", "agent_tool_call", "agent_tool_result", "agent_output"),
        *("file_changed", "progress_update", "agent_error", "run_status"),
    ]
    assert {(one["workOrderId"], one["runId"]) for one in heard} == {("task", "r")}
    assert [one["seq"] for one in heard] == [1, 2, 3, 4, 5, 6, 9, 10]
    positions = [one["position"] for one in heard]
    assert positions == sorted(positions)
    call, result = heard[1:3]
    assert (call["toolUseId"], call["tool"], call["input"]) == ("1", "Read", {"path": "a"})
    assert (result["success"], result["contentPreview"], result["durationMs"]) == (True, "text", 7)
    assert heard[-1]["status"] == "completed"


PREFERENCES = [
    ("includeToolCalls", False, {"agent_tool_call"}, set()),
    ("includeToolResults", False, {"agent_tool_result"}, set()),
    ("includeOutput", False, {"agent_output"}, set()),
    ("includeFileChanges", False, {"file_changed"}, set()),
    ("includeProgress", False, {"progress_update"}, set()),
    ("includeDeltas", True, set(), {"delta"}),
    ("includeOutput", None, set(), set()),
]


async def test_each_preference_is_respected(live, runtime):
    told = {"agent_tool_call", "agent_tool_result", "agent_output", "file_changed"}
    told |= {"progress_update", "agent_error", "run_status"}
    for number, (option, value, missing, added) in enumerate(PREFERENCES):
        run_id = f"r{number}"
        await add_run(runtime, run_id)
        async with talking(live) as talk:
            await talk.ask(type="subscribe", workOrderId=run_id, **{option: value})
            await everything(runtime, run_id)
            heard = await talk.until(seq=10)

        assert set(types(heard)) == told - missing, option
        assert {one["kind"] for one in heard if "kind" in one} == added, option


async def test_preferences_merge_and_are_forgotten_with_the_subscription(live, runtime):
    await add_run(runtime)

    async def heard_now(talk):
        await add_event(runtime, "tool_call", **CALL)
        await say_lines(runtime, ["out"])
        return types(await talk.settle())

    async with talking(live) as talk:
        await talk.ask(type="subscribe", workOrderId="r", includeToolCalls=False)
        assert await heard_now(talk) == ["agent_output"]
        await talk.ask(type="subscribe", workOrderId="r", includeOutput=False)
        assert await heard_now(talk) == []
        await talk.ask(type="subscribe", workOrderId="r", includeToolCalls=True)
        assert await heard_now(talk) == ["agent_tool_call"]
        await talk.ask(type="unsubscribe", workOrderId="r")
        await talk.ask(type="subscribe", workOrderId="r")
        assert await heard_now(talk) == ["agent_tool_call", "agent_output"]


async def test_an_unsubscription_is_confirmed_and_the_last_word(live, runtime):
    await add_run(runtime)
    async with talking(live) as talk:
        await talk.ask(type="subscribe", runId="r")
        for name in ("workOrderId", "runId"):
            answer = await talk.ask(type="unsubscribe", **{name: "r"})
            assert answer.pop("timestamp")
            assert answer == {"type": "unsubscription_confirmed", name: "r"}
        await say_lines(runtime, ["unheard"])

        assert await talk.settle() == []


async def test_a_ping_is_answered(live):
    async with talking(live) as talk:
        assert await talk.ask(type="ping") == {"type": "pong"}


JUNK = [
    ("junk", "bad_request", ""),
    (b"\x00", "bad_request", ""),
    ("7", "bad_request", ""),
    ("{}", "bad_request", "subscribe"),
    ({"type": "dance"}, "bad_request", "subscribe"),
    ({"type": ["subscribe"]}, "bad_request", "subscribe"),
    ({"subscribe": "r"}, "bad_request", "for /"),
    ({"unsubscribe": "r"}, "bad_request", "for /"),
    ({"type": "subscribe"}, "bad_request", "workOrderId"),
    ({"type": "unsubscribe"}, "bad_request", "workOrderId"),
    ({"type": "subscribe", "lifecycle": True, "runId": "r"}, "bad_request", "one of"),
    ({"type": "subscribe", "workOrderId": 7}, "bad_request", "workOrderId"),
    ({"type": "subscribe", "workOrderId": "*"}, "bad_id", "workOrderId"),
    ({"type": "subscribe", "runId": "a..b"}, "bad_id", "runId"),
    ({"type": "subscribe", "lifecycle": False}, "bad_request", "lifecycle"),
    ({"type": "subscribe", "workOrderId": "r", "includeOutput": "no"}, "bad_request", "include"),
    ({"type": "subscribe", "workOrderId": "r", "types": "output"}, "bad_request", "types"),
    ({"type": "subscribe", "workOrderId": "r", "types": ["dance"]}, "bad_request", "dance"),
    ({"type": "subscribe", "workOrderId": "r", "format": "xml"}, "bad_request", "native"),
    ({"type": "subscribe", "workOrderId": "r", "batch": 1}, "bad_request", "batch"),
    ({"type": "subscribe", "workOrderId": "r", "throttleMs": -1}, "bad_request", "throttleMs"),
    ({"type": "subscribe", "workOrderId": "r", "throttleMs": 5001}, "bad_request", "throttleMs"),
    ({"type": "subscribe", "workOrderId": "r", "after": "x"}, "bad_cursor", "after"),
    ({"type": "subscribe", "workOrderId": "r", "after": 10**6}, "cursor_ahead", "newest"),
]


async def test_what_cannot_be_done_is_answered_and_the_socket_stays_open(live):
    async with talking(live) as talk:
        for said, code, mentions in JUNK:
            await talk.socket.send(said if isinstance(said, str | bytes) else json.dumps(said))
            answer = await talk.hear()
            assert (answer["type"], answer["code"]) == ("error", code), said
            assert mentions in answer["message"], said
        assert await talk.ask(type="ping") == {"type": "pong"}


async def test_neighbouring_output_of_one_read_is_joined(live, runtime):
    await add_run(runtime)
    await say_lines(runtime, ["two", "three"])
    await add_event(runtime, "tool_call", **CALL)
    await say_lines(runtime, ["five"])
    await say_lines(runtime, ["six"])
    async with talking(live) as talk:
        await talk.ask(type="subscribe", runId="r", after=0)
        heard = await talk.until(seq=6)

    assert [(one["type"], one.get("firstSeq"), one["seq"]) for one in heard] == [
        ("run_status", None, 1),
        ("agent_output", 2, 3),
        ("agent_tool_call", None, 4),
        ("agent_output", 5, 6),
    ]
    assert heard[3]["content"] == "five\nsix"


async def test_only_the_types_asked_for_come(live, runtime):
    await add_run(runtime)
    await everything(runtime)
    async with talking(live) as talk:
        await talk.ask(type="subscribe", runId="r", after=0, types=["tool_call", "status"])

        assert types(await talk.settle()) == ["run_status", "agent_tool_call", "run_status"]


async def test_the_native_format_is_every_event_with_its_run(live, runtime):
    await add_run(runtime)
    await everything(runtime)
    async with talking(live) as talk:
        await talk.ask(type="subscribe", runId="r", after=0, format="native")
        heard = await talk.until(seq=10)

    assert [one["seq"] for one in heard] == list(range(1, 11))
    assert set(heard[1]) == {"runId", "seq", "position", "time", "type", "data"}
    assert (heard[1]["runId"], heard[1]["type"], heard[1]["data"]) == ("r", "tool_call", CALL)


WIRES = {
    "runs": lambda told: told["event"] == "log" and told["data"]["line"],
    "ndjson": lambda told: told["type"] == "output" and told["data"]["text"],
    "envelopes": lambda told: told["payload"]["source"] == "stdout" and content_of(told),
    "jobs": lambda told: told["event"] == "output" and told["data"]["line"],
    "processes": lambda told: told["event"] == "chunk" and told["data"]["content"],
}


async def test_every_wire_is_a_format(live, runtime):
    await add_run(runtime)
    for name, line_of in WIRES.items():
        async with talking(live) as talk:
            await talk.ask(type="subscribe", runId="r", format=name)
            await say_lines(runtime, ["a\nb: c", "\u2028 ü"])
            heard = await talk.take(2)

        assert [line_of(told).rstrip("\n") for told in heard] == ["a\nb: c", "\u2028 ü"], name
        if "event" in heard[0]:
            head = (await runtime.store.positions()).head
            assert [told["id"] for told in heard] == [head - 1, head]


def content_of(told):
    return told["payload"]["content"]


async def test_a_batch_is_one_message_for_one_read(live, runtime):
    await add_run(runtime)
    await everything(runtime)
    async with talking(live) as talk:
        await talk.ask(type="subscribe", runId="r", after=0, batch=True)
        batch = await talk.hear()
        assert set(batch) == {"type", "events"}
        assert batch["type"] == "batch"
        assert [one["seq"] for one in batch["events"]] == [1, 2, 3, 4, 5, 6, 9, 10]

        await talk.ask(type="subscribe", runId="r", batch=False)
        await add_run(runtime, "s")
        await talk.ask(type="subscribe", runId="s", after=0)
        assert (await talk.hear())["type"] == "run_status"


async def test_long_batches_are_cut_where_clients_would_refuse_them(live, runtime):
    await add_run(runtime)
    await say_lines(runtime, ["x" * 1000] * 1000)
    async with talking(live) as talk:
        await talk.ask(type="subscribe", runId="r", after=0, batch=True, format="native")
        events = []
        while len(events) < 1001:
            events += (await talk.hear())["events"]

    assert [one["seq"] for one in events] == list(range(1, 1002))


async def test_an_event_of_several_subscriptions_is_sent_once_in_each_format(live, runtime):
    await add_run(runtime, "a", "task")
    await add_run(runtime, "b", "task")
    async with talking(live) as talk:
        await talk.ask(type="subscribe", workOrderId="task", includeOutput=False)
        await talk.ask(type="subscribe", runId="a", includeToolCalls=False)
        await talk.ask(type="subscribe", runId="b", format="native")
        for run_id in ("a", "b"):
            await say_lines(runtime, ["out"], run_id)
            await add_event(runtime, "tool_call", run_id, **CALL)
            await add_event(runtime, "error", run_id, message="no", source="agent")
        heard = await talk.settle()

    of_a = [one for one in heard if one["runId"] == "a"]
    assert types(of_a) == ["agent_output", "agent_tool_call", "agent_error"]
    of_b = [one for one in heard if one["runId"] == "b"]
    assert sorted(types(of_b)) == [
        *("agent_error", "agent_tool_call", "error", "output", "tool_call")
    ]
    positions = [one["position"] for one in heard]
    assert positions == sorted(positions)


async def test_a_run_may_be_named_with_its_work_order(live, runtime):
    await add_run(runtime, "r", "task")
    await add_run(runtime, "other", "task")
    both = {"workOrderId": "task", "runId": "r"}
    async with talking(live) as talk:
        confirmed = await talk.ask(type="subscribe", **both, after=0)
        assert {name: confirmed[name] for name in both} == both
        heard = await talk.settle()

    assert {one["runId"] for one in heard} == {"r"}
