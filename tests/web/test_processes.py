"""Processes: clients report them, and see all runs as processes."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import pytest

from runcast.runtime.runtime import Runtime
from runcast.stores import RunFilter
from runcast.web.process_schemas import ProcessList, ProcessStats
from tests.web.conftest import RUNS
from tests.web.processes import MINE, PROCESSES, REPORT, get, refused, report

RunCommand = Callable[..., Awaitable[dict[str, Any]]]


async def test_a_process_lives_from_its_report_to_its_removal(api: httpx2.AsyncClient) -> None:
    body = {**REPORT, "id": "mine"}
    assert (await api.post(PROCESSES, json=body)).status_code == 201
    assert (await api.get(MINE)).status_code == 200
    assert (await api.patch(MINE, json={"status": "completed"})).status_code == 200
    assert (await api.get(MINE)).json()["process"]["status"] == "completed"
    assert (await api.delete(MINE)).status_code == 204
    assert (await api.get(MINE)).status_code == 404


async def test_a_report_is_kept_field_for_field(api: httpx2.AsyncClient) -> None:
    await api.post("/api/workspaces", json={"id": "a", "name": "A", "rootPath": "/srv/a"})
    shown = await report(
        api,
        id="mine",
        type="chat",
        status="failed",
        fullPrompt="do it, all of it",
        workspaceId="a",
        endTime="2026-11-21T10:57:31+02:00",
        error="oh",
        result="half",
        structuredResult={"parts": [1, None]},
        metadata={"deep": {"er": 1.5}},
        pid=17,
    )
    assert shown == {
        "id": "mine",
        "type": "chat",
        "promptPreview": "do it",
        "fullPrompt": "do it, all of it",
        "status": "failed",
        "startTime": "2026-11-21T08:57:30.123Z",
        "endTime": "2026-11-21T08:57:31.000Z",
        "error": "oh",
        "result": "half",
        "structuredResult": {"parts": [1, None]},
        "metadata": {"deep": {"er": 1.5}},
        "workspaceId": "a",
    }
    assert await get(api) == shown


async def test_a_report_needs_only_three_fields(api: httpx2.AsyncClient) -> None:
    shown = await report(api, workspaceId=None, type=None, metadata=None, endTime=None, id=None)
    assert shown["id"]
    assert (shown["type"], shown["workspaceId"], shown["metadata"]) == ("command", "default", {})
    assert shown["endTime"] is shown["fullPrompt"] is shown["result"] is None


@pytest.mark.parametrize("status", ["queued", "running", "completed", "failed", "cancelled"])
async def test_a_report_may_come_at_any_status(api: httpx2.AsyncClient, status: str) -> None:
    shown = await report(api, id="mine", status=status)
    ended = status not in {"queued", "running"}
    assert (shown["status"], shown["endTime"] is not None) == (status, ended)
    events = (await api.get(f"{RUNS}/mine/events")).json()["events"]
    expected = ["running", status] if ended else [status]
    assert [event["data"]["status"] for event in events] == expected
    more = await api.post(f"{MINE}/output", json={"content": "x"})
    assert more.status_code == (409 if ended else 202)


REFUSED: list[tuple[Any, str]] = [
    ({}, "promptPreview: is missing; status: is missing; startTime: is missing"),
    ({**REPORT, "status": "paused"}, "status: "),
    ({**REPORT, "status": None}, "status: "),
    ({**REPORT, "promptPreview": 1}, "promptPreview: "),
    ({**REPORT, "startTime": "yesterday"}, "startTime: "),
    ({**REPORT, "startTime": "2026-11-21T08:57:30"}, "startTime: "),
    ({**REPORT, "startTime": "0001-01-01T00:00:00+01:00"}, "startTime: "),
    ({**REPORT, "startTime": 1_795_251_450_123}, "startTime: "),
    ({**REPORT, "startTime": None}, "startTime: "),
    ({**REPORT, "endTime": ""}, "endTime: "),
    ({**REPORT, "workspaceId": 7}, "workspaceId: "),
    ({**REPORT, "id": "a/b"}, "id must be"),
    ({**REPORT, "id": 7}, "id: "),
    ({**REPORT, "metadata": []}, "metadata: "),
    ({**REPORT, "metadata": {"n": 2**70}}, "metadata: "),
    ({**REPORT, "metadata": {"x": "x" * 70_000}}, "metadata: "),
    ({**REPORT, "structuredResult": {"n": 2**70}}, "structuredResult: "),
    ({**REPORT, "result": 2**70}, "result: "),
    ([], "the body must be a JSON object"),
]


async def test_what_is_no_report_is_refused(api: httpx2.AsyncClient, runtime: Runtime) -> None:
    for body, said in REFUSED:
        answer = await api.post(PROCESSES, json=body)
        code = "bad_id" if said.startswith("id must") else "bad_request"
        assert (await refused(answer, 400, code)).startswith(said), body
    torn = {"content": b'{"status": ', "headers": {"content-type": "application/json"}}
    await refused(await api.post(PROCESSES, **torn), 400, "bad_request")  # type: ignore[arg-type]
    assert await runtime.list(RunFilter(), 10) == []


async def test_an_id_is_taken_once_and_spent_when_deleted(api: httpx2.AsyncClient) -> None:
    body = {**REPORT, "id": "mine"}
    await report(api, id="mine")
    await refused(await api.post(PROCESSES, json=body), 409, "id_taken")
    await api.delete(MINE)
    await refused(await api.post(PROCESSES, json=body), 409, "id_deleted")


async def test_ten_reports_at_once_get_ten_ids(api: httpx2.AsyncClient) -> None:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(report(api, promptPreview=str(n))) for n in range(10)]
    ids = {task.result()["id"] for task in tasks}
    listed = (await api.get(PROCESSES)).json()
    assert len(ids) == listed["total"] == 10
    assert {process["id"] for process in listed["processes"]} == ids
    assert {process["promptPreview"] for process in listed["processes"]} == set("0123456789")


async def test_the_header_names_the_workspace_if_the_body_does_not(
    api: httpx2.AsyncClient,
) -> None:
    for name in ("a", "b"):
        body = {"id": name, "name": name, "rootPath": f"/srv/{name}"}
        await api.post("/api/workspaces", json=body)
    for header, field, expected in [
        ("a", None, "a"),
        ("a", "b", "b"),
        ("none", "b", "b"),
        (None, None, "default"),
    ]:
        headers = {} if header is None else {"X-Workspace-Id": header}
        body = REPORT if field is None else {**REPORT, "workspaceId": field}
        answer = await api.post(PROCESSES, json=body, headers=headers)
        assert (answer.status_code, answer.json()["workspaceId"]) == (201, expected)
    for header, field in [({"X-Workspace-Id": "none"}, {}), ({}, {"workspaceId": "none"})]:
        unknown = await api.post(PROCESSES, json={**REPORT, **field}, headers=header)
        assert (await refused(unknown, 400, "unknown_workspace")).startswith("workspaceId: ")
    for name, count in [("a", 1), ("b", 2), ("default", 1), ("none", 0)]:
        page = (await api.get(PROCESSES, params={"workspace": name})).json()
        assert page["total"] == len(page["processes"]) == count
        assert all(process["workspaceId"] == name for process in page["processes"])


async def test_the_list_is_filtered_and_paged_newest_first(
    run: RunCommand, api: httpx2.AsyncClient
) -> None:
    made = [(await run("true"))["id"]]
    for number, status in enumerate(["running", "completed", "failed", "completed"]):
        made.append(f"p{number}")
        await report(api, id=made[-1], status=status, type="chat")
    early = await get(api, made[0])
    expected: list[tuple[dict[str, Any], list[str]]] = [
        ({}, made[::-1]),
        ({"limit": 2}, ["p3", "p2"]),
        ({"limit": 2, "offset": 1}, ["p2", "p1"]),
        ({"offset": 9}, []),
        ({"status": "completed"}, ["p3", "p1", made[0]]),
        ({"status": "failed,running"}, ["p2", "p0"]),
        ({"type": "chat", "status": "completed"}, ["p3", "p1"]),
        ({"type": "command"}, [made[0]]),
        ({"since": early["startTime"], "type": "chat"}, made[:0:-1]),
        ({"since": "2999-01-01T00:00:00Z"}, []),
        ({"workspace": "default", "limit": 500}, made[::-1]),
    ]
    for params, ids in expected:
        answer = await api.get(PROCESSES, params=params)
        page = ProcessList.model_validate(answer.json())
        assert [process["id"] for process in answer.json()["processes"]] == ids, params
        total = (await api.get(PROCESSES, params={**params, "limit": 1, "offset": 0})).json()
        assert page.total == total["total"]
        assert (page.limit, page.offset) == (params.get("limit", 50), params.get("offset", 0))


async def test_what_is_no_filter_is_refused(api: httpx2.AsyncClient) -> None:
    for query in ("limit=501", "limit=0", "limit=x", "offset=-1", "status=done", "since=now"):
        answer = await api.get(f"{PROCESSES}?{query}")
        assert (await refused(answer, 400, "bad_request")).startswith(query.split("=")[0]), query


async def test_a_run_is_a_process_too(run: RunCommand, api: httpx2.AsyncClient) -> None:
    shown = await get(api, (await run("echo", "x" * 100, metadata={"a": 1}))["id"])
    assert shown["promptPreview"] == ("echo " + "x" * 100)[:80]
    assert (shown["type"], shown["status"], shown["metadata"]) == (
        "command",
        "completed",
        {"a": 1},
    )
    assert shown["startTime"] <= shown["endTime"]


async def test_the_stats_count_by_status_and_workspace(api: httpx2.AsyncClient) -> None:
    await api.post("/api/workspaces", json={"id": "a", "name": "A", "rootPath": "/srv/a"})
    await report(api, workspaceId="a", status="completed")
    await report(api, workspaceId="a")
    answer = await api.get("/api/stats")
    ProcessStats.model_validate(answer.json())
    assert answer.json() == {
        "totalProcesses": 2,
        "byStatus": {"queued": 0, "running": 1, "completed": 1, "failed": 0, "cancelled": 0},
        "byWorkspace": [
            {"workspaceId": "default", "name": "default", "count": 0},
            {"workspaceId": "a", "name": "A", "count": 2},
        ],
    }


async def test_what_nobody_knows_is_not_found(api: httpx2.AsyncClient) -> None:
    for method, path, body in [
        ("GET", MINE, None),
        ("PATCH", MINE, {"status": "completed"}),
        ("DELETE", MINE, None),
        ("POST", f"{MINE}/cancel", None),
        ("POST", f"{MINE}/output", {"content": "x"}),
        ("GET", f"{MINE}/stream", None),
        ("GET", f"{MINE}/nothing", None),
    ]:
        await refused(await api.request(method, path, json=body), 404, "not_found")
    await refused(await api.get(f"{PROCESSES}/-x"), 400, "bad_id")


async def test_another_method_on_a_known_path_is_refused(api: httpx2.AsyncClient) -> None:
    for method, path, allowed in [
        ("PUT", PROCESSES, "DELETE, GET, POST"),
        ("PUT", MINE, "DELETE, GET, PATCH"),
        ("GET", f"{MINE}/cancel", "POST"),
        ("GET", f"{MINE}/output", "POST"),
        ("POST", f"{MINE}/stream", "GET"),
        ("POST", "/api/stats", "GET"),
    ]:
        answer = await api.request(method, path)
        await refused(answer, 405, "method_not_allowed")
        assert answer.headers["allow"] == allowed
