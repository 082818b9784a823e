"""What holds for every WebSocket: who gets in, how much it may ask for, and how it ends."""

import asyncio
import contextlib
import json
import random

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from runcast.config import Settings
from runcast.runtime.runtime import Runtime
from runcast.web.sockets.protocol import MAX_FRAGMENTS
from tests.web.live import serving
from tests.web.sockets.client import (
    add_run,
    end_run,
    eventually,
    open_sockets,
    say_lines,
    talking,
)

PATHS = ("/", "/ws")


async def refused(live, path, **options):
    with pytest.raises(InvalidStatus) as error:
        async with talking(live, path, **options):
            pass
    response = error.value.response
    return response.status_code, json.loads(response.body)["error"]["code"]


@pytest.mark.parametrize("path", PATHS)
async def test_a_page_of_another_origin_is_refused_before_the_upgrade(live, path):
    foreign = {"origin": "https://evil.example"}
    assert await refused(live, path, **foreign) == (403, "forbidden_origin")
    rebound = {"additional_headers": {"Host": "evil.example"}}
    assert (await refused(live, path, **rebound))[0] in {400, 403}
    own = str(live.client.base_url).rstrip("/")
    async with talking(live, path, origin=own) as talk:
        await talk.settle()


@pytest.mark.parametrize("path", ["/nowhere", "/ws/", "/api/v1/runs", "/stream"])
async def test_other_paths_have_no_socket(live, path):
    assert await refused(live, path) == (404, "not_found")


async def test_the_path_of_a_socket_is_no_page(live):
    assert (await live.client.get("/ws")).status_code == 404


async def test_the_echo_is_for_tests_only(data_dir):
    runtime = await Runtime.open(Settings(data_dir=str(data_dir)))
    async with serving(runtime) as live:
        assert await refused(live, "/__echo") == (404, "not_found")
    await runtime.close()


async def test_the_echo_sends_back_what_it_gets(live):
    async with talking(live, "/__echo") as talk:
        for said in ("text", b"\x00bytes", "ü" * 30_000):
            await talk.socket.send(said)
            assert await talk.socket.recv() == said
        assert talk.socket.protocol.extensions == []


@pytest.mark.parametrize("path", [*PATHS, "/__echo"])
async def test_a_message_over_the_limit_closes_the_socket_with_1009(live, path):
    async with talking(live, path) as talk:
        await talk.socket.send(" " * 65_536)
        await talk.socket.recv()
        await talk.socket.send(" " * 65_537)
        assert await talk.closed() == 1009


@pytest.mark.parametrize("fragments", [(b"\xc3", b"("), (b"ok\xff", b"")])
async def test_text_that_is_no_utf8_closes_the_socket_with_1007(live, fragments, caplog):
    async with talking(live) as talk:
        with contextlib.suppress(ConnectionClosed):
            await talk.socket.send(fragments, text=True)
        assert await talk.closed() == 1007
    assert not [record for record in caplog.records if record.exc_info]


async def test_a_draining_server_closes_its_sockets_with_1012(runtime):
    await add_run(runtime)
    async with contextlib.AsyncExitStack() as stack:
        async with serving(runtime) as live:
            talks = [await stack.enter_async_context(talking(live, path)) for path in PATHS * 3]
            await talks[1].ask(type="subscribe", runId="r", after=0)
            began = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - began < 1
        for talk in talks:
            assert await talk.closed() == 1012


async def test_one_more_than_max_clients_per_run_is_told_so(live, runtime):
    await add_run(runtime)
    async with talking(live) as first, talking(live, "/") as second:
        await first.ask(type="subscribe", workOrderId="r")
        await first.ask(type="subscribe", runId="r")
        await first.ask(type="subscribe", runId="r", includeOutput=False)
        await second.say(subscribe="*")
        await second.say(subscribe="r")
        assert await second.settle() == []
        async with talking(live) as third:
            answer = await third.ask(type="subscribe", workOrderId="r")
            assert (answer["type"], answer["code"]) == ("error", "too_many_clients")
            answer = await live.client.get("/api/v1/runs/r/stream")
            assert answer.status_code == 429
            await first.ask(type="unsubscribe", runId="r")
            answer = await third.ask(type="subscribe", workOrderId="r")
            assert answer["type"] == "subscription_confirmed"
    async with live.stream("/api/v1/runs/r/stream"):
        pass  # what closed sockets held is free again


async def test_a_client_resumes_by_position_wherever_it_was_cut(live, runtime):
    await add_run(runtime)

    async def write():
        for n in range(2, 402):
            await say_lines(runtime, [f"line {n}"])
            if not n % 10:
                await asyncio.sleep(0.005)
        await end_run(runtime)

    writing = asyncio.create_task(write())
    heard, cuts = [], 0
    wanted = {"type": "subscribe", "runId": "r", "format": "native", "throttleMs": 5}
    while not heard or heard[-1]["seq"] < 402:
        async with talking(live) as talk:
            after = heard[-1]["position"] if heard else 0
            await talk.ask(**wanted, after=after, batch=True)
            heard += (await talk.hear())["events"]
            talk.socket.transport.abort()
            cuts += 1
    await writing

    assert [event["seq"] for event in heard] == list(range(1, 403))
    assert cuts > 1


async def test_many_subscriptions_share_one_socket(live, runtime):
    async with talking(live) as talk:
        for n in range(100):
            await talk.ask(type="subscribe", workOrderId=f"task-{n}", types=["output"])
        for n in range(100):
            await add_run(runtime, f"r{n}", f"task-{n}")
        for round_ in range(3):
            for n in range(100):
                await say_lines(runtime, [f"{n} {round_}"], f"r{n}")
        heard = await talk.settle()

    positions = [one["position"] for one in heard]
    assert positions == sorted(positions)
    lines = [line for one in heard for line in one["content"].split("\n")]
    assert sorted(lines) == sorted(f"{n} {round_}" for n in range(100) for round_ in range(3))


async def test_subscriptions_of_one_socket_are_limited(live, monkeypatch):
    monkeypatch.setattr("runcast.web.sockets.subscriptions.MAX_SUBSCRIPTIONS", 2)
    async with talking(live) as talk:
        await talk.ask(type="subscribe", runId="a")
        await talk.ask(type="subscribe", runId="b")
        answer = await talk.ask(type="subscribe", runId="c")
        assert answer["code"] == "too_many_clients"
        await talk.ask(type="unsubscribe", runId="a")
        assert (await talk.ask(type="subscribe", runId="c"))["type"] == "subscription_confirmed"


async def test_a_message_of_too_many_fragments_closes_the_socket_with_1009(live):
    async with talking(live, "/__echo") as talk:
        await talk.socket.send([""] * (MAX_FRAGMENTS - 1), text=True)  # and one that ends it
        assert await talk.socket.recv() == ""
        with contextlib.suppress(ConnectionClosed):
            await talk.socket.send([""] * MAX_FRAGMENTS, text=True)
        assert await talk.closed() == 1009


async def test_a_client_that_vanishes_breaks_nothing(live, runtime):
    await add_run(runtime)
    async with talking(live, "/") as stays:
        await stays.say(subscribe="r")
        assert await stays.settle() == []  # it is subscribed now
        for path in PATHS * 5:
            async with talking(live, path) as talk:
                await talk.say(subscribe="r", type="subscribe", runId="r")
                talk.socket.transport.abort()
            await say_lines(runtime, ["on"])
        await eventually(lambda: open_sockets(live) == {"/": 1, "/ws": 0})
        heard = await stays.settle()
        assert [one["payload"]["content"] for one in heard] == ["on"] * 10


async def test_a_draining_server_takes_no_new_socket(live, runtime):
    runtime.draining = True
    assert await refused(live, "/ws") == (503, "draining")
    runtime.draining = False


async def test_sockets_that_come_and_go_mix_nothing_up_and_leave_nothing(live, runtime):
    for run_id in "abc":
        await add_run(runtime, run_id)
    tasks = len(asyncio.all_tasks())
    stop = asyncio.Event()
    sizes = []

    async def write():
        while not stop.is_set():
            for run_id in "abc":
                await say_lines(runtime, [run_id], run_id)

    async def wander(seed):
        chance = random.Random(seed)
        async with talking(live) as talk:
            for _ in range(8):
                run_id = chance.choice("abc")
                await talk.say(type="subscribe", runId=run_id, format="native")
                heard = []
                while len(heard) < 3:
                    message = await talk.hear()
                    if "seq" in message:
                        heard.append(message)
                assert {one["runId"] for one in heard} == {run_id}
                assert [one["seq"] - heard[0]["seq"] for one in heard] == [0, 1, 2]
                answer = await talk.ask(type="unsubscribe", runId=run_id)
                while answer["type"] != "unsubscription_confirmed":
                    answer = await talk.hear()
                sizes.append(len(heard))

    writing = asyncio.create_task(write())
    # Three clients may be on one run here.
    await asyncio.gather(*(wander(seed) for seed in range(3)))
    stop.set()
    await writing
    await eventually(lambda: open_sockets(live)["/ws"] == 0)
    await eventually(lambda: len(asyncio.all_tasks()) == tasks)
    assert len(sizes) == 24
