"""Jobs: a tool is started by name, and whoever watches gets every line and one end."""

import asyncio
import uuid

import pytest

from runcast.config import Jobs, Queue, Settings
from runcast.config_agents import ArgSettings, ToolSettings
from runcast.core.events import Draft, Lines, run_log
from runcast.runtime.external import ExternalSpec
from runcast.stores import RunFilter
from tests.support.net import Cut, Proxy
from tests.support.sse import EventSource
from tests.web.live import Frame

EXECUTE = "/api/execute"
UNKNOWN = "01234567-89ab-cdef-0123-456789abcdef"
TOOLS = {
    "where": ToolSettings(command=["pwd"]),
    "greet": ToolSettings(
        command=["echo", "{greeting}", "{name}"],
        args={"name": ArgSettings(required=True, pattern="[a-z0-9.]+"), "greeting": ArgSettings()},
    ),
    "fail": ToolSettings(command=["sh", "-c", "echo out; echo err >&2; exit 3"]),
    "kill": ToolSettings(command=["sh", "-c", "kill -9 $$"]),
    "absent": ToolSettings(command=["/no/such/program"]),
    "sleep": ToolSettings(command=["sleep", "60"]),
    "short": ToolSettings(command=["sleep", "60"], timeout_s=0.2),
    "count": ToolSettings(command=["seq", "1", "{to}"], args={"to": ArgSettings(required=True)}),
}


@pytest.fixture
def settings(data_dir) -> Settings:
    return Settings(
        data_dir=str(data_dir),
        tools=TOOLS,
        queue=Queue(max_concurrent_runs=2),
        jobs=Jobs(wait_s=0.3, heartbeat_interval_s=0.1),
    )


def stream(job_id: str) -> str:
    return f"/api/stream/{job_id}"


async def execute(live, tool, project="default", **args) -> str:
    body = {"toolId": tool, "projectId": project, "args": args}
    answer = await live.client.post(EXECUTE, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]["jobId"]


async def watch(live, job_id, **options) -> list[Frame]:
    """Read a job's stream to the frame that ends it; nothing closes it after that."""
    frames = []
    async with asyncio.timeout(20), live.stream(stream(job_id), **options) as opened:
        async for frame in opened:
            frames.append(frame)
            if frame.event != "output":
                return frames
    raise AssertionError("the stream was closed before the job ended")


def lines(frames) -> list[str]:
    return [frame.data["line"] for frame in frames if frame.event == "output"]


async def add_run(runtime, run_id, lines=5):
    """Add an external run: nothing is executed, its log is written by the test."""
    await runtime.external.start(ExternalSpec(id=run_id))
    texts = [f"line {n}" for n in range(2, lines + 2)]
    await runtime.store.append(run_log(run_id), [Lines(1, "stdout", texts)])


async def end_run(runtime, run_id):
    await runtime.external.update(run_id, {}, "completed")


async def running(live, job_id):
    async with asyncio.timeout(10):
        while (await live.client.get(f"/api/v1/runs/{job_id}")).json()["run"]["status"] == "queued":
            await asyncio.sleep(0.01)


async def test_a_job_is_answered_at_once_with_a_uuid(live):
    job_id = await execute(live, "sleep")

    assert str(uuid.UUID(job_id)) == job_id
    shown = (await live.client.get(f"/api/v1/runs/{job_id}")).json()["run"]
    assert (shown["tool"], shown["workspace_id"]) == ("sleep", "default")
    assert shown["status"] in {"queued", "running"}


REFUSED = [
    ({}, "toolId"),
    ({"projectId": "default"}, "toolId"),
    ({"toolId": "where"}, "projectId"),
    ({"toolId": "", "projectId": "default"}, "toolId"),
    ({"toolId": "where", "projectId": ""}, "projectId"),
    ({"toolId": 1, "projectId": "default"}, "toolId"),
    ({"toolId": "none", "projectId": "default"}, "toolId"),
    ({"toolId": "where", "projectId": "none"}, "projectId"),
    ({"toolId": "where", "projectId": "default", "args": {"x": "y"}}, "args.x"),
    ({"toolId": "where", "projectId": "default", "args": []}, "args"),
    ({"toolId": "greet", "projectId": "default"}, "args.name"),
    ({"toolId": "greet", "projectId": "default", "args": {"name": "A B"}}, "args.name"),
    ({"toolId": "greet", "projectId": "default", "args": {"name": ["a"]}}, "args.name"),
    ({"toolId": "greet", "projectId": "default", "args": {"name": None}}, "args.name"),
]


async def test_what_cannot_be_executed_is_refused_by_the_name_of_its_field(live, runtime):
    for body, field in REFUSED:
        answer = await live.client.post(EXECUTE, json=body)
        assert answer.status_code == 400, body
        assert answer.json()["error"]["details"] == {"field": field}, body
    assert await runtime.list(RunFilter(), 10) == []


async def test_arguments_may_be_numbers_and_other_fields_are_ignored(live):
    args = {"name": 7.5, "greeting": True}
    body = {"toolId": "greet", "projectId": "default", "args": args, "clientVersion": "1"}
    job_id = (await live.client.post(EXECUTE, json=body)).json()["data"]["jobId"]

    assert lines(await watch(live, job_id)) == ["true 7.5"]


async def test_a_job_runs_in_the_folder_of_its_project(live, tmp_path):
    folder = tmp_path / "project"
    folder.mkdir()
    body = {"id": "mine", "name": "Mine", "rootPath": str(folder)}
    assert (await live.client.post("/api/workspaces", json=body)).status_code == 201

    *output, end = await watch(live, await execute(live, "where", "mine"))

    assert lines(output) == [str(folder)]
    assert end.data["projectId"] == "mine"


async def test_a_job_that_exits_is_complete(live):
    job_id = await execute(live, "fail")
    *output, end = await watch(live, job_id)

    assert sorted(lines(output)) == ["err", "out"]
    assert all(isinstance(frame.data["timestamp"], int) for frame in output)
    assert end.event == "complete"
    assert end.data.pop("durationMs") >= 0
    assert end.data.pop("startedAt") <= end.data.pop("finishedAt")
    assert end.data == {
        "jobId": job_id,
        "toolId": "fail",
        "projectId": "default",
        "status": "failed",
        "exitCode": 3,
        "signal": None,
        "reason": "exit",
    }


@pytest.mark.parametrize(
    ("tool", "status", "reason", "signal"),
    [("kill", "failed", "signal", "SIGKILL"), ("short", "failed", "timeout", "SIGTERM")],
)
async def test_a_job_that_was_ended_is_complete(live, tool, status, reason, signal):
    end = (await watch(live, await execute(live, tool)))[-1]

    assert end.event == "complete"
    assert (end.data["status"], end.data["reason"]) == (status, reason)
    assert (end.data["exitCode"], end.data["signal"]) == (None, signal)


async def test_a_job_that_is_cancelled_while_it_runs_is_complete(live):
    job_id = await execute(live, "sleep")
    await running(live, job_id)
    watching = asyncio.create_task(watch(live, job_id))
    await live.client.post(f"/api/v1/runs/{job_id}/cancel")

    (end,) = await watching
    assert (end.event, end.data["status"]) == ("complete", "cancelled")


async def test_a_job_that_cannot_start_is_an_error(live):
    (end,) = await watch(live, await execute(live, "absent"))

    assert end.event == "error"
    assert "/no/such/program" in end.data["message"]


async def test_a_job_that_is_cancelled_while_it_waits_is_an_error(live):
    for _ in range(2):
        await running(live, await execute(live, "sleep"))
    job_id = await execute(live, "where")
    watching = asyncio.create_task(watch(live, job_id))
    await live.client.post(f"/api/v1/runs/{job_id}/cancel")

    (end,) = await watching
    assert (end.event, set(end.data)) == ("error", {"message"})


async def test_a_job_that_is_deleted_while_it_waits_is_an_error(live):
    for _ in range(2):
        await running(live, await execute(live, "sleep"))
    job_id = await execute(live, "where")
    async with asyncio.timeout(10), live.stream(stream(job_id)) as frames:
        assert (await live.client.delete(f"/api/v1/runs/{job_id}")).status_code == 204
        end = await anext(frames)
        assert (end.event, end.data) == ("error", {"message": "the job was deleted"})
    # Who comes later learns it at once, too.
    (end,) = await watch(live, job_id)
    assert (end.event, end.data) == ("error", {"message": "the job was deleted"})


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


async def test_the_queue_says_how_long_it_is(live):
    for _ in range(3):
        await execute(live, "sleep")
    async with asyncio.timeout(10):
        while True:
            state = (await live.client.get("/api/queue/status")).json()
            if state["data"]["pending"] == 2:
                break
            await asyncio.sleep(0.01)

    assert state == {"data": {"size": 1, "pending": 2, "concurrency": 2, "isPaused": False}}


async def test_a_repeated_request_starts_one_job(live, runtime):
    body = {"toolId": "where", "projectId": "default"}
    headers = {"Idempotency-Key": "k"}
    first = await live.client.post(EXECUTE, json=body, headers=headers)
    again = await live.client.post(EXECUTE, json=body, headers=headers)

    assert again.json() == first.json()
    assert again.headers["idempotency-replayed"] == "true"
    assert len(await runtime.list(RunFilter(), 10)) == 1


async def test_what_an_agent_says_is_output_too(live, runtime):
    await runtime.external.start(ExternalSpec(id=UNKNOWN))
    said = [
        Draft(1, "message", {"role": "assistant", "text": "hi"}),
        Draft(1, "tool_call", {"tool_call_id": "1", "tool": "Bash", "input": {"command": "ls"}}),
        Draft(1, "usage", {"input_tokens": 1}),
        Draft(1, "error", {"message": "oh", "source": "agent"}),
    ]
    await runtime.store.append(run_log(UNKNOWN), said)
    await end_run(runtime, UNKNOWN)

    assert lines(await watch(live, UNKNOWN)) == ["hi", '▶ Bash {"command":"ls"}']


async def test_another_method_on_a_known_path_is_refused(live):
    for path in (EXECUTE, "/api/queue/status", stream(UNKNOWN)):
        answer = await live.client.put(path)
        assert (answer.status_code, answer.json()["error"]["code"]) == (405, "method_not_allowed")
        assert answer.headers["allow"]
