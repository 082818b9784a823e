"""Jobs: a tool is started by name in a project, and how it ended is said as it was."""

import asyncio
import uuid

import pytest

from runcast.core.events import Draft, run_log
from runcast.runtime.external import ExternalSpec
from runcast.stores import RunFilter
from tests.web.jobs.client import EXECUTE, UNKNOWN, end_run, execute, lines, running, stream, watch


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
