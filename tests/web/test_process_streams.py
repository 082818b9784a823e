"""Streams of processes: every chunk, then the status, then `done`."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from runcast.config import Api, Processes, Settings, Sse
from runcast.core.events import Draft, Lines, run_log
from runcast.runtime.external import ExternalSpec, Report
from runcast.runtime.runtime import Runtime
from tests.support.net import Cut, Proxy
from tests.support.sse import EventSource

STREAM = "/api/processes/p/stream"


@pytest.fixture
async def runtime(data_dir) -> AsyncIterator[Runtime]:
    settings = Settings(
        data_dir=str(data_dir),
        api=Api(sse=Sse(max_clients_per_run=3)),
        processes=Processes(heartbeat_interval_s=0.1),
    )
    runtime = await Runtime.open(settings)
    yield runtime
    await runtime.close()


async def start(runtime, chunks=3):
    """Report a process: 1 is its status, 2.. are its chunks."""
    await runtime.external.start(ExternalSpec(id="p", prompt_preview="x"))
    for n in range(2, chunks + 2):
        await say(runtime, f"chunk {n}")


async def say(runtime, content):
    await runtime.external.append("p", [Report("output", {"stream": "stdout", "text": content})])


async def end(runtime, **fields):
    await runtime.external.update("p", fields, "completed")


def shown(frames):
    return [(frame.event, frame.number) for frame in frames]


async def test_a_process_is_watched_from_its_first_chunk_to_done(live, runtime):
    await start(runtime, chunks=0)
    async with asyncio.timeout(10), live.stream(STREAM) as frames:
        for number, content in enumerate(["one\n", "tw", "", "o\n\n", "ü\0"], start=2):
            await live.client.post("/api/processes/p/output", json={"content": content})
            frame = await anext(frames)
            while frame.event == "heartbeat":
                frame = await anext(frames)
            assert (frame.event, frame.number) == ("chunk", number)
            assert frame.data == {"content": content}
        await live.client.patch("/api/processes/p", json={"status": "completed", "result": "42"})
        status, done = [frame async for frame in frames if frame.event != "heartbeat"]

    assert (status.event, status.number, done.event, done.number) == ("status", 7, "done", 8)
    assert status.data.pop("duration").endswith("s")
    assert status.data == {"status": "completed", "result": "42"}
    assert done.data == {"processId": "p"}


async def test_a_process_that_has_ended_is_replayed_and_closed(live, runtime):
    await start(runtime)
    await end(runtime, error="oh")
    frames = await live.frames(STREAM)

    chunks = [("chunk", 2), ("chunk", 3), ("chunk", 4)]
    assert shown(frames) == [*chunks, ("status", 5), ("done", 6)]
    assert [frame.data["content"] for frame in frames[:3]] == ["chunk 2", "chunk 3", "chunk 4"]
    assert frames[3].data["error"] == "oh"


async def test_without_replay_only_what_comes_is_told_and_always_the_end(live, runtime):
    bare = f"{STREAM}?replay=false"
    await start(runtime)
    async with asyncio.timeout(10), live.stream(bare) as frames:
        await anext(frames)  # a heartbeat: it watches
        await say(runtime, "new")
        await end(runtime)
        found = [frame async for frame in frames if frame.event != "heartbeat"]

    assert shown(found) == [("chunk", 5), ("status", 6), ("done", 7)]
    assert shown(await live.frames(bare)) == [("status", 6), ("done", 7)]
    resumed = await live.frames(bare, headers={"Last-Event-ID": "3"})
    assert shown(resumed) == [("chunk", 4), ("chunk", 5), ("status", 6), ("done", 7)]


async def test_a_client_goes_on_where_it_was(live, runtime):
    await start(runtime)
    await end(runtime)
    for query, header, expected in [
        ("", None, [2, 3, 4, 5, 6]),
        ("?after=2", None, [3, 4, 5, 6]),
        ("?after=5", None, [6]),
        ("?after=now", None, [6]),
        ("?after=1", "4", [5, 6]),
        ("?after=4", "", [5, 6]),
    ]:
        headers = {} if header is None else {"Last-Event-ID": header}
        frames = await live.frames(STREAM + query, headers=headers)
        assert [frame.number for frame in frames] == expected, (query, header)


async def test_who_has_done_is_told_to_stop(live, runtime):
    await start(runtime)
    await end(runtime)
    answer = await live.client.get(STREAM, headers={"Last-Event-ID": "6"})

    assert (answer.status_code, answer.content) == (204, b"")


async def test_what_cannot_be_streamed_is_answered_before_the_stream(live, runtime):
    await start(runtime)
    for path, status, code in [
        ("/api/processes/none/stream", 404, "not_found"),
        (f"{STREAM}?after=5", 410, "cursor_ahead"),
        (f"{STREAM}?after=x", 400, "bad_cursor"),
        (f"{STREAM}?replay=maybe", 400, "bad_request"),
    ]:
        answer = await live.client.get(path)
        assert answer.status_code == status, path
        assert answer.json()["error"].startswith(f"{code}: "), path


async def test_an_idle_stream_is_kept_alive_by_heartbeats_alone(live, runtime):
    await start(runtime, chunks=0)
    text = ""
    async with asyncio.timeout(10), live.client.stream("GET", STREAM) as response:
        async for piece in response.aiter_text():
            text += piece
            if text.count("heartbeat") == 2:
                break

    assert text == "event: heartbeat\ndata: {}\n\n" * 2


async def test_a_process_has_only_so_many_streams(live, runtime):
    await start(runtime)
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        opened = asyncio.Semaphore(0)
        done = asyncio.Event()

        async def hold():
            async with live.client.stream("GET", STREAM):
                opened.release()
                await done.wait()

        for _ in range(3):
            group.create_task(hold())
        for _ in range(3):
            await opened.acquire()
        refused = await live.client.get(STREAM)
        done.set()

    assert refused.status_code == 429
    assert refused.json()["error"].startswith("too_many_clients: ")


async def test_a_process_that_is_removed_is_done(live, runtime):
    await start(runtime, chunks=1)
    async with asyncio.timeout(10), live.stream(STREAM + "?after=1") as frames:
        assert (await anext(frames)).number == 2
        await live.client.delete("/api/processes/p")
        (done,) = [frame async for frame in frames if frame.event != "heartbeat"]

    assert (done.event, done.number) == ("done", 3)
    assert done.data == {"processId": "p", "deleted": True}


async def test_what_an_executed_run_prints_comes_with_its_newlines(live, runtime):
    body = {"command": ["sh", "-c", "echo out; echo err >&2; printf end"], "id": "p"}
    assert (await live.client.post("/api/v1/runs", json=body)).status_code == 201
    frames = await live.frames(STREAM)
    chunks = {frame.data["content"] for frame in frames if frame.event == "chunk"}

    assert chunks == {"out\n", "err\n", "end"}
    assert [frame.event for frame in frames[-2:]] == ["status", "done"]


async def test_what_an_agent_says_is_text_too(live, runtime):
    await start(runtime, chunks=0)
    said = [
        Draft(1, "thought", {"text": "hm"}),
        Draft(1, "tool_call", {"tool_call_id": "1", "tool": "Bash", "input": {"command": "ls"}}),
        Draft(1, "tool_result", {"tool_call_id": "1", "ok": True, "content": "a\nb"}),
        Draft(1, "progress", {"phase": "x"}),
        Draft(1, "error", {"message": "oh", "source": "agent"}),
    ]
    await runtime.store.append(run_log("p"), said)
    frames = await live.frames(STREAM, 4)

    assert [frame.data["content"] for frame in frames] == [
        "hm\n",
        '▶ Bash {"command":"ls"}\n',
        "a\nb\n",
        "oh\n",
    ]


async def test_draining_ends_a_stream_without_done(live, runtime):
    await start(runtime)
    async with asyncio.timeout(1), live.stream(STREAM + "?after=3") as frames:
        assert (await anext(frames)).number == 4
        runtime.drain()
        assert [frame async for frame in frames] == []
    answer = await live.client.get(STREAM)
    assert (answer.status_code, answer.text) == (200, ": draining\n")
    refused = await live.client.get("/api/processes")
    assert (refused.status_code, refused.json()["error"][:10]) == (503, "draining: ")
    runtime.draining = False


async def test_a_stream_that_is_cut_again_and_again_loses_nothing(live, runtime):
    odd = ["", "ü\u2028\0", "\x1b[31m\n", "event: done", "\n\ndata: {}", "id: 99", "x" * 60_000]
    texts = [f"{n} {odd[n % len(odd)]}" for n in range(200)]
    await start(runtime, chunks=0)
    for n in range(0, len(texts), 20):
        await runtime.store.append(run_log("p"), [Lines(1, "stdout", texts[n : n + 20])])
    await end(runtime)
    port = live.client.base_url.port
    assert port is not None

    cuts = [Cut(70_000 + 9_001 * n, reset=n % 2 == 0) for n in range(20)]
    with Proxy(port, cuts) as proxy:
        source = EventSource(proxy.port, STREAM, ends=["done"])
        frames = await asyncio.to_thread(source.read_all)

    assert [frame.data["content"] for frame in frames if frame.event == "chunk"] == texts
    assert proxy.cuts_left < 15
