"""Streams: where a client begins, what it gets, and how it learns that there is no more."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from runcast.config import Api, Settings, Sse
from runcast.core.events import Lines, run_log
from runcast.core.runs import Run
from runcast.runtime.runtime import Runtime
from runcast.stores import ALL_RUNS
from runcast.wires import WIRES

STREAM = "/api/v1/runs/r/stream"
ALL = "/api/v1/runs/stream/all"


@pytest.fixture
async def runtime(data_dir) -> AsyncIterator[Runtime]:
    sse = Sse(max_clients_per_run=3, heartbeat_interval_s=0.4, comment_interval_s=0.1)
    runtime = await Runtime.open(Settings(data_dir=str(data_dir), api=Api(sse=sse)))
    yield runtime
    await runtime.close()


async def add_run(runtime, run_id="r", lines=5):
    """Add an external run: nothing is executed, its log is written by the test."""
    run = Run(id=run_id, key=run_id, task_id=run_id, source="external", status="running")
    await runtime.store.create(run)
    await runtime.store.append(
        run_log(run_id), [Lines(1, "stdout", [f"line {n}" for n in range(2, lines + 2)])]
    )


async def end_run(runtime, run_id="r"):
    await runtime.store.transition(run_id, "completed", 2, {"reason": "exit", "exit_code": 0})
    runtime.logs.seal(run_log(run_id))


@pytest.fixture
async def ended(runtime):
    """A run whose log is 1 status, 2..6 lines, 7 terminal status; `end` is 8."""
    await add_run(runtime)
    await end_run(runtime)


def numbers(frames):
    return [frame.number for frame in frames]


async def test_an_ended_run_is_replayed_with_its_end(live, ended):
    frames = await live.frames(STREAM)

    assert numbers(frames) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert [frame.event for frame in frames] == ["status", *["log"] * 5, "status", "end"]
    assert frames[-1].data == {"run_id": "r", "last_seq": 7}


@pytest.mark.parametrize(
    ("query", "header", "expected"),
    [
        ("", None, [1, 2, 3, 4, 5, 6, 7, 8]),
        ("?after=0", None, [1, 2, 3, 4, 5, 6, 7, 8]),
        ("?after=4", None, [5, 6, 7, 8]),
        ("?after=7", None, [8]),
        ("?after=now", None, [8]),
        ("", "4", [5, 6, 7, 8]),
        ("?after=2", "6", [7, 8]),
        ("?tail=2", "3", [4, 5, 6, 7, 8]),
        ("?after=6", "", [7, 8]),
        ("?tail=2", None, [6, 7, 8]),
        ("?tail=0", None, [8]),
        ("?tail=99", None, [1, 2, 3, 4, 5, 6, 7, 8]),
        ("?tail=2&types=output", None, [5, 6, 8]),
        ("?tail=1&grep=line%204", None, [4, 8]),
        ("?types=status", None, [1, 7, 8]),
        ("?types=log", None, [2, 3, 4, 5, 6, 8]),
        ("?streams=stderr", None, [1, 7, 8]),
        ("?streams=stdout,stderr&types=output", None, [2, 3, 4, 5, 6, 8]),
        ("?grep=line%203", None, [3, 8]),
    ],
)
async def test_a_client_begins_where_it_says(live, ended, query, header, expected):
    headers = {} if header is None else {"Last-Event-ID": header}

    assert numbers(await live.frames(STREAM + query, headers=headers)) == expected


@pytest.mark.parametrize(
    ("path", "header", "status", "code"),
    [
        ("/api/v1/runs/none/stream", None, 404, "not_found"),
        ("/api/v1/runs/..%2f/stream", None, 404, "not_found"),
        (STREAM + "?after=9", None, 410, "cursor_ahead"),
        (STREAM, "9", 410, "cursor_ahead"),
        (STREAM + "?after=-1", None, 400, "bad_cursor"),
        (STREAM + "?after=01", None, 400, "bad_cursor"),
        (STREAM + "?after=", None, 400, "bad_cursor"),
        (STREAM, "x", 400, "bad_cursor"),
        (STREAM + "?tail=-1", None, 400, "bad_request"),
        (STREAM + "?types=logs", None, 400, "bad_request"),
        (STREAM + "?streams=stdin", None, 400, "bad_request"),
        (STREAM + "?format=xml", None, 400, "bad_request"),
        (ALL + "?workspace=none", None, 400, "unknown_workspace"),
        (ALL + "?after=999", None, 410, "cursor_ahead"),
    ],
)
async def test_what_cannot_be_streamed_is_answered_before_the_stream(
    live, ended, path, header, status, code
):
    headers = {} if header is None else {"Last-Event-ID": header}
    answer = await live.client.get(path, headers=headers)

    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


@pytest.mark.parametrize("name", WIRES)
async def test_who_has_the_closing_frame_is_told_to_stop(live, ended, name):
    answer = await live.client.get(f"{STREAM}?after=8&format={name}")

    assert (answer.status_code, answer.content) == (204, b"")


async def test_a_wire_without_a_closing_frame_has_told_all_with_the_last_event(live, ended):
    answer = await live.client.get(STREAM + "?format=jobs", headers={"Last-Event-ID": "7"})

    assert (answer.status_code, answer.content) == (204, b"")


async def test_a_stream_says_that_it_must_not_be_cached_or_held_back(live, ended):
    async with live.client.stream("GET", STREAM) as response:
        headers = response.headers

    assert headers["content-type"] == "text/event-stream"
    assert headers["cache-control"] == "no-cache, no-transform"
    assert headers["x-accel-buffering"] == "no"


async def test_the_delay_before_reconnecting_rides_in_the_first_frame_only(live, ended):
    first, *others = await live.frames(STREAM)

    assert 1_000 <= first.retry <= 2_000
    assert all(frame.retry is None for frame in others)


async def test_new_events_come_as_they_are_committed(live, runtime):
    await add_run(runtime)
    async with asyncio.timeout(10), live.stream(STREAM + "?after=6") as frames:
        for number in range(7, 12):
            await runtime.store.append(run_log("r"), [Lines(1, "stdout", ["new"])])
            assert (await anext(frames)).number == number


async def test_headers_come_at_once_even_when_there_is_nothing_to_say(live, runtime):
    await add_run(runtime)

    async with asyncio.timeout(5), live.client.stream("GET", STREAM + "?after=now") as response:
        assert response.status_code == 200


async def test_an_idle_stream_is_kept_alive_by_comments_and_heartbeats(live, runtime):
    await add_run(runtime)
    text = ""
    async with asyncio.timeout(10), live.client.stream("GET", STREAM + "?after=now") as response:
        async for piece in response.aiter_text():
            text += piece
            if text.count("event: heartbeat") == 2:
                break

    assert ": hb\n" in text
    assert ": hb\n\n" not in text
    assert "id:" not in text
    assert text.replace(": hb\n", "") == "event: heartbeat\ndata: {}\n\n" * 2


async def test_a_run_has_only_so_many_streams(live, runtime):
    await add_run(runtime)
    async with asyncio.TaskGroup() as group:
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
        everything = await live.frames(ALL + "?after=0", 1)
        done.set()

    assert refused.status_code == 429
    assert refused.json()["error"]["code"] == "too_many_clients"
    assert "retry-after" in refused.headers
    assert len(everything) == 1
    # Who left made room.
    async with asyncio.timeout(5):
        while (await live.client.get("/api/v1/status")).json()["streams"]:
            await asyncio.sleep(0.01)
    assert numbers(await live.frames(STREAM, 2)) == [1, 2]


async def test_deleting_a_run_ends_its_streams_with_word_of_it(live, runtime):
    await add_run(runtime)
    async with asyncio.timeout(10), live.stream(STREAM + "?after=6") as frames:
        deletion = asyncio.create_task(runtime.delete("r"))
        found = [frame async for frame in frames]
        await deletion

    assert [(frame.event, frame.number) for frame in found] == [("end", 7)]
    assert found[0].data == {"run_id": "r", "last_seq": 6, "deleted": True}
    assert (await live.client.get(STREAM)).status_code == 404


async def test_the_stream_of_all_runs_has_new_ones_at_once_and_no_end(live, runtime):
    await add_run(runtime, "old")
    async with asyncio.timeout(10), live.stream(ALL) as frames:
        await add_run(runtime, "new", lines=1)
        await end_run(runtime, "new")
        found = [await anext(frames) for _ in range(3)]

    assert [frame.event for frame in found] == ["status", "log", "status"]
    assert {frame.data["run_id"] for frame in found} == {"new"}
    assert numbers(found) == sorted(numbers(found))

    again = await live.frames(ALL, 2, headers={"Last-Event-ID": str(found[0].number)})
    assert numbers(again) == numbers(found)[1:]


async def test_a_cursor_before_what_was_removed_is_told_so_and_then_gets_the_rest(live, runtime):
    await add_run(runtime, "gone")
    await end_run(runtime, "gone")
    await add_run(runtime, "kept", lines=2)
    kept = numbers(await live.frames("/api/v1/runs/kept/stream", 3))
    first = (await live.frames(ALL + "?after=7", 1))[0].number
    await runtime.delete("gone")

    gap, *events = await live.frames(ALL + "?after=2", 4)

    assert gap.event == "gap"
    assert gap.data == {"after": 2, "first": events[0].number, "reason": "retention"}
    assert gap.number == events[0].number - 1
    assert [frame.data["run_id"] for frame in events] == ["kept"] * len(kept)
    assert events[0].number >= first
    strict = await live.client.get(ALL + "?after=2&strict=1")
    assert strict.status_code == 410
    assert strict.json()["error"]["details"] == gap.data


async def test_ndjson_gives_native_events_one_a_line(live, ended):
    answer = await live.client.get(STREAM + "?format=ndjson&after=5")

    assert answer.headers["content-type"] == "application/x-ndjson"
    lines = answer.text.splitlines()
    assert len(lines) == 3
    assert lines[0].startswith('{"run_id":"r","seq":6,"position":')
    assert lines[2] == '{"type":"end","data":{"run_id":"r","last_seq":7,"deleted":false}}'


async def test_a_stream_asked_for_while_draining_sends_its_client_away_to_come_back(live, runtime):
    await add_run(runtime)
    runtime.draining = True

    answer = await live.client.get(STREAM)

    assert (answer.status_code, answer.text) == (200, ": draining\n")
    assert answer.headers["content-type"] == "text/event-stream"
    refused = await live.client.get("/api/v1/runs")
    assert refused.status_code == 503
    runtime.draining = False


async def test_draining_ends_open_streams_without_a_closing_frame(live, runtime):
    await add_run(runtime)
    async with asyncio.timeout(5), live.stream(STREAM + "?after=5") as frames:
        assert (await anext(frames)).number == 6
        runtime.drain()
        assert [frame async for frame in frames] == []
    runtime.draining = False


async def test_what_is_removed_in_front_of_a_slow_client_is_not_passed_over_in_silence(
    live, runtime
):
    follower = runtime.logs.follow_where(ALL_RUNS, 0)
    await add_run(runtime, "kept", lines=2)
    await add_run(runtime, "gone")
    await end_run(runtime, "gone")
    await add_run(runtime, "last", lines=1)
    follower.close()
    async with asyncio.timeout(10), live.stream(ALL + "?after=0") as frames:
        first = await anext(frames)
        # The client has not read on; what it gets next was taken before or after the removal.
        await runtime.delete("gone")
        await add_run(runtime, "new", lines=1)
        found = [first]
        while found[-1].data.get("run_id") != "new":
            found.append(await anext(frames))

    seen = {frame.data.get("run_id") for frame in found}
    assert "gone" in seen or "gap" in {frame.event for frame in found}


async def test_many_clients_at_once_get_no_more_than_their_places(live, runtime):
    await add_run(runtime)

    async def ask():
        async with live.client.stream("GET", STREAM) as response:
            statuses.append(response.status_code)
            if response.status_code == 200:
                await done.wait()

    statuses: list[int] = []
    done = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for _ in range(12):
            group.create_task(ask())
        async with asyncio.timeout(10):
            while len(statuses) < 12:
                await asyncio.sleep(0.01)
        done.set()
    assert sorted(statuses) == [200] * 3 + [429] * 9
