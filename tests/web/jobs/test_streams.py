"""Streams of jobs: whoever watches, from wherever, gets every line and one end."""

import asyncio

import pytest

from runcast.core.events import Lines, run_log
from runcast.runtime.external import ExternalSpec
from runcast.stores import RunFilter
from tests.support.net import Cut, Proxy
from tests.support.sse import EventSource
from tests.web.jobs.client import UNKNOWN, add_run, end_run, execute, lines, stream, watch


async def test_a_job_that_is_deleted_after_its_end_has_only_that_one(live, runtime):
    await add_run(runtime, UNKNOWN, lines=1)
    await end_run(runtime, UNKNOWN)
    text = ""
    async with asyncio.timeout(10), live.client.stream("GET", stream(UNKNOWN)) as response:
        async for piece in response.aiter_text():
            text += piece
            if "event: complete" in text and await runtime.list(RunFilter(), 1):
                await runtime.delete(UNKNOWN)
            if text.endswith(": hb\n: hb\n"):
                break

    assert text.count("event: complete") == 1
    assert "event: error" not in text


async def test_who_comes_late_gets_everything_from_the_start(live):
    job_id = await execute(live, "count", to=300)
    first = await watch(live, job_id)
    late = await watch(live, job_id)

    assert lines(late) == [str(n) for n in range(1, 301)]
    assert [(frame.event, frame.data, frame.number) for frame in late] == [
        (frame.event, frame.data, frame.number) for frame in first
    ]


async def test_several_clients_watch_one_job_and_jobs_never_mix(live):
    jobs = {n: await execute(live, "greet", name=f"job{n}") for n in range(4)}
    async with asyncio.TaskGroup() as group:
        watching = [
            (n, group.create_task(watch(live, job_id)))
            for n, job_id in jobs.items()
            for _ in range(3)
        ]

    for n, task in watching:
        *output, end = task.result()
        assert lines(output) == [f"job{n}"]
        assert end.data["jobId"] == jobs[n]


async def test_a_client_goes_on_where_it_was(live, runtime):
    await add_run(runtime, UNKNOWN)
    await end_run(runtime, UNKNOWN)
    for query, header, expected in [
        ("", None, [2, 3, 4, 5, 6, 7]),
        ("?after=0", None, [2, 3, 4, 5, 6, 7]),
        ("?after=4", None, [5, 6, 7]),
        ("", "5", [6, 7]),
        ("?after=2", "6", [7]),
        ("?after=3", "", [4, 5, 6, 7]),
    ]:
        headers = {} if header is None else {"Last-Event-ID": header}
        frames = await live.frames(stream(UNKNOWN) + query, len(expected), headers=headers)
        assert [frame.number for frame in frames] == expected, (query, header)


async def test_who_has_the_end_is_told_to_stop(live, runtime):
    await add_run(runtime, UNKNOWN)
    await end_run(runtime, UNKNOWN)
    for cursor in ("7", "8", "now"):
        answer = await live.client.get(stream(UNKNOWN), params={"after": cursor})
        assert (answer.status_code, answer.content) == (204, b""), cursor


async def test_what_cannot_be_streamed_is_answered_before_the_stream(live, runtime):
    await add_run(runtime, UNKNOWN)
    for path, status, code in [
        ("/api/stream/", 404, "not_found"),
        ("/api/stream/job-1", 400, "bad_id"),
        (f"/api/stream/{UNKNOWN}0", 400, "bad_id"),
        (f"/api/stream/{UNKNOWN.replace('-', '')}", 400, "bad_id"),
        (f"/api/stream/{UNKNOWN}?after=x", 400, "bad_cursor"),
        (f"/api/stream/{UNKNOWN}?after=9", 410, "cursor_ahead"),
    ]:
        answer = await live.client.get(path)
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code), path


async def test_a_jobs_id_is_compared_in_lower_case(live, runtime):
    await add_run(runtime, UNKNOWN)
    frames = await live.frames(stream(UNKNOWN.upper()), 5)

    assert [frame.number for frame in frames] == [2, 3, 4, 5, 6]


async def test_a_job_that_nobody_knows_yet_is_waited_for(live, runtime):
    async with asyncio.timeout(10), live.stream(stream(UNKNOWN)) as frames:
        await add_run(runtime, UNKNOWN)
        await end_run(runtime, UNKNOWN)
        found = [await anext(frames) for _ in range(6)]

    assert [frame.number for frame in found] == [2, 3, 4, 5, 6, 7]
    assert found[-1].event == "complete"


async def test_a_job_that_never_comes_is_an_error_and_the_stream_stays_open(live):
    text = ""
    async with asyncio.timeout(10), live.client.stream("GET", stream(UNKNOWN)) as response:
        async for piece in response.aiter_text():
            text += piece
            if text.endswith('"there is no such job"}\n\n: hb\n: hb\n'):
                break

    assert text.count("event:") == 1


async def test_the_stream_stays_open_after_the_end_until_its_client_leaves(live, runtime):
    job_id = await execute(live, "where")
    text = ""
    async with asyncio.timeout(10), live.client.stream("GET", stream(job_id)) as response:
        async for piece in response.aiter_text():
            text += piece
            if "complete" in text and text.count(": hb\n") >= 3:
                assert (await live.client.get("/api/v1/status")).json()["streams"] == 1
                break

    assert ": hb\n\n" not in text
    assert text.count("event: complete") == 1
    assert "heartbeat" not in text
    async with asyncio.timeout(5):
        while (await live.client.get("/api/v1/status")).json()["streams"]:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("state", ["awaited", "running", "ended", "deleted"])
async def test_draining_ends_a_stream_whatever_it_waits_for(live, runtime, state):
    if state != "awaited":
        await add_run(runtime, UNKNOWN, lines=1)
    if state in {"ended", "deleted"}:
        await end_run(runtime, UNKNOWN)
    async with asyncio.timeout(1), live.stream(stream(UNKNOWN)) as frames:
        if state != "awaited":
            await anext(frames)
        if state in {"ended", "deleted"}:
            assert (await anext(frames)).event == "complete"
        if state == "deleted":
            await runtime.delete(UNKNOWN)
        runtime.drain()
        assert [frame async for frame in frames] == []
    runtime.draining = False


async def test_a_stream_that_is_cut_again_and_again_loses_nothing(live, runtime):
    odd = ["", "ü\u2028\0", "\x1b[31m", "event: complete", "data: {}", "id: 99", "x" * 60_000]
    texts = [f"{n} {odd[n % len(odd)]}" for n in range(200)]
    await runtime.external.start(ExternalSpec(id=UNKNOWN))
    for n in range(0, len(texts), 20):
        await runtime.store.append(run_log(UNKNOWN), [Lines(1, "stdout", texts[n : n + 20])])
    await end_run(runtime, UNKNOWN)
    port = live.client.base_url.port
    assert port is not None

    cuts = [Cut(70_000 + 9_001 * n, reset=n % 2 == 0) for n in range(20)]
    with Proxy(port, cuts) as proxy:
        source = EventSource(proxy.port, stream(UNKNOWN), ends=["complete"])
        frames = await asyncio.to_thread(source.read_all)

    assert [frame.data["line"] for frame in frames if frame.event == "output"] == texts
    assert proxy.cuts_left < 15
