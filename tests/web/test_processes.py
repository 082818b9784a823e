"""Processes: clients report them, and see all runs as processes."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import pytest

from runcast.core.events import run_log
from runcast.core.limits import INLINE_BYTES
from runcast.runtime.runtime import Runtime
from runcast.stores import RunFilter
from runcast.web.process_schemas import (
    ProcessAnswer,
    ProcessList,
    ProcessStats,
    PublicProcess,
    TextProblem,
)
from tests.web.conftest import RUNS

PROCESSES = "/api/processes"
MINE = f"{PROCESSES}/mine"
REPORT = {"promptPreview": "do it", "status": "running", "startTime": "2026-11-21T08:57:30.123Z"}
RunCommand = Callable[..., Awaitable[dict[str, Any]]]


async def report(api: httpx2.AsyncClient, **fields: Any) -> dict[str, Any]:
    answer = await api.post(PROCESSES, json={**REPORT, **fields})
    assert answer.status_code == 201, answer.text
    PublicProcess.model_validate(answer.json())
    shown: dict[str, Any] = answer.json()
    assert answer.headers["location"] == f"{PROCESSES}/{shown['id']}"
    return shown


async def change(api: httpx2.AsyncClient, process_id: str = "mine", **fields: Any) -> Any:
    answer = await api.patch(f"{PROCESSES}/{process_id}", json=fields)
    assert answer.status_code == 200, answer.text
    PublicProcess.model_validate(answer.json())
    return answer.json()


async def get(api: httpx2.AsyncClient, process_id: str = "mine") -> dict[str, Any]:
    answer = await api.get(f"{PROCESSES}/{process_id}")
    assert answer.status_code == 200, answer.text
    ProcessAnswer.model_validate(answer.json())
    shown: dict[str, Any] = answer.json()["process"]
    return shown


async def refused(answer: httpx2.Response, status: int, code: str) -> str:
    assert answer.status_code == status, answer.text
    found, _, text = TextProblem.model_validate(answer.json()).error.partition(": ")
    assert found == code
    return text


async def started(api: httpx2.AsyncClient) -> str:
    """Have runcast execute something, and return its id once it runs."""
    answer = await api.post(RUNS, json={"command": ["sleep", "60"]})
    run_id: str = answer.json()["run"]["id"]
    async with asyncio.timeout(10):
        while (await get(api, run_id))["status"] == "queued":
            await asyncio.sleep(0.01)
    return run_id


async def changes(runtime: Runtime) -> int:
    """Count what was told of runs so far."""
    return (await runtime.store.head("lifecycle")).last


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


async def test_a_change_is_kept_and_told_once(api: httpx2.AsyncClient, runtime: Runtime) -> None:
    await report(api, id="mine", status="queued", metadata={"a": 1})
    assert (await change(api, metadata={"b": 2}))["metadata"] == {"b": 2}
    shown = await change(api, status="running")
    assert (shown["status"], shown["startTime"]) == ("running", REPORT["startTime"])
    shown = await change(
        api,
        status="completed",
        result={"text": "done"},
        structuredResult=[1],
        error="a little",
        endTime="2026-11-21T09:00:00Z",
    )
    assert (shown["status"], shown["result"], shown["error"]) == (
        "completed",
        {"text": "done"},
        "a little",
    )
    assert (shown["endTime"], shown["structuredResult"]) == ("2026-11-21T09:00:00.000Z", [1])
    assert shown["startTime"] == REPORT["startTime"]
    told = await changes(runtime)
    seq = (await runtime.get("mine")).last_seq
    assert (await change(api, result=1))["result"] == 1
    shown = await change(api, result=True)
    assert shown["result"] is True
    assert await changes(runtime) == (told := told + 2)
    for same in ({"status": "completed"}, {"status": "completed", "error": "a little"}, {}):
        assert await change(api, **same) == shown
    assert await changes(runtime) == told
    assert (await runtime.get("mine")).last_seq == seq
    assert await get(api) == shown


async def test_only_the_status_is_final(api: httpx2.AsyncClient, runtime: Runtime) -> None:
    await report(api, id="mine", status="failed", result="x")
    told = await changes(runtime)
    shown = await change(api, result=None, error="late", metadata={"a": 1}, status="failed")
    assert (shown["result"], shown["error"], shown["metadata"]) == (None, "late", {"a": 1})
    assert await changes(runtime) == told + 1
    for status in ("completed", "running", "queued", "cancelled"):
        answer = await api.patch(MINE, json={"status": status, "error": "no"})
        await refused(answer, 409, "bad_transition")
    assert await get(api) == shown


async def test_nulls_say_nothing_of_what_cannot_be_cleared(api: httpx2.AsyncClient) -> None:
    before = await report(api, id="mine", status="failed", metadata={"a": 1})
    assert await change(api, status=None, endTime=None, metadata=None) == before


async def test_what_is_no_change_is_refused(api: httpx2.AsyncClient) -> None:
    await report(api, id="mine")
    for body, said in [
        ({"status": "done"}, "status: "),
        ({"endTime": "soon"}, "endTime: "),
        ({"metadata": "x"}, "metadata: "),
        ({"metadata": {"x": "x" * 70_000}}, "metadata: "),
        ({"error": {}}, "error: "),
        ([], "the body must be"),
    ]:
        answer = await api.patch(MINE, json=body)
        assert (await refused(answer, 400, "bad_request")).startswith(said), body


async def test_ten_changes_at_once_end_as_one_of_them(api: httpx2.AsyncClient) -> None:
    await report(api, id="mine")
    async with asyncio.TaskGroup() as group:
        for n in range(10):
            group.create_task(change(api, result=n, metadata={"n": n}))
    shown = await get(api)
    assert shown["metadata"] == {"n": shown["result"]}


async def test_the_status_of_what_runcast_executes_is_not_for_clients(
    api: httpx2.AsyncClient,
) -> None:
    run_id = await started(api)
    answer = await api.patch(f"{PROCESSES}/{run_id}", json={"status": "completed"})
    await refused(answer, 409, "not_external")
    assert (await change(api, run_id, metadata={"a": 1}))["metadata"] == {"a": 1}
    output = await api.post(f"{PROCESSES}/{run_id}/output", json={"content": "x"})
    await refused(output, 409, "not_external")
    await refused(await api.delete(f"{PROCESSES}/{run_id}"), 409, "run_active")


async def test_what_runcast_executes_is_cancelled_as_a_process(api: httpx2.AsyncClient) -> None:
    run_id = await started(api)
    answer = await api.post(f"{PROCESSES}/{run_id}/cancel")
    assert answer.status_code == 200
    assert PublicProcess.model_validate(answer.json()).id == run_id
    await api.get(f"{RUNS}/{run_id}", params={"wait_s": 20})
    assert (await get(api, run_id))["status"] == "cancelled"
    await refused(await api.post(f"{PROCESSES}/{run_id}/cancel"), 409, "run_ended")
    assert (await api.delete(f"{PROCESSES}/{run_id}")).status_code == 204


async def test_what_a_client_executes_is_cancelled_at_once(api: httpx2.AsyncClient) -> None:
    await report(api, id="mine")
    answer = await api.post(f"{MINE}/cancel")
    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
    assert answer.json()["endTime"] is not None
    await refused(await api.post(f"{MINE}/cancel"), 409, "run_ended")
    await refused(await api.patch(MINE, json={"status": "completed"}), 409, "bad_transition")


async def test_a_process_of_a_client_is_deleted_at_any_status(api: httpx2.AsyncClient) -> None:
    for status in ("queued", "running", "completed"):
        shown = await report(api, status=status)
        answer = await api.delete(f"{PROCESSES}/{shown['id']}")
        assert (answer.status_code, answer.content) == (204, b"")


async def test_ended_processes_are_removed_by_status(
    api: httpx2.AsyncClient, runtime: Runtime
) -> None:
    for status in ("running", "completed", "completed", "failed", "cancelled"):
        await report(api, status=status)
    for query in ("", "?status=", "?status=running", "?status=completed,queued", "?status=x"):
        await refused(await api.delete(PROCESSES + query), 400, "bad_request")
    assert (await api.delete(f"{PROCESSES}?status=completed")).json() == {"removed": 2}
    assert (await api.delete(f"{PROCESSES}?status=completed")).json() == {"removed": 0}
    assert (await api.delete(f"{PROCESSES}?status=failed,cancelled")).json() == {"removed": 2}
    (left,) = (await api.get(PROCESSES)).json()["processes"]
    assert left["status"] == "running"


async def test_many_processes_are_removed_in_one_request_and_its_answer_kept(
    api: httpx2.AsyncClient,
) -> None:
    async with asyncio.TaskGroup() as group:
        for _ in range(205):
            group.create_task(report(api, status="failed"))
    headers = {"Idempotency-Key": "k"}
    for replayed in (None, "true"):
        answer = await api.delete(f"{PROCESSES}?status=failed", headers=headers)
        assert answer.json() == {"removed": 205}
        assert answer.headers.get("idempotency-replayed") == replayed
    other = await api.delete(f"{PROCESSES}?status=completed", headers=headers)
    await refused(other, 409, "idempotency_conflict")


async def test_removing_nothing_is_remembered_too(api: httpx2.AsyncClient) -> None:
    headers = {"Idempotency-Key": "k"}
    assert (await api.delete(f"{PROCESSES}?status=failed", headers=headers)).status_code == 200
    await report(api, status="failed")
    again = await api.delete(f"{PROCESSES}?status=failed", headers=headers)
    assert (again.json(), again.headers["idempotency-replayed"]) == ({"removed": 0}, "true")


async def test_output_is_one_event_with_exactly_what_was_posted(
    api: httpx2.AsyncClient, runtime: Runtime
) -> None:
    await report(api, id="mine")
    for seq, content in enumerate(["one\ntwo", "", "ü\0\x1b[31m", "x" * INLINE_BYTES], start=2):
        answer = await api.post(f"{MINE}/output", json={"content": content, "more": 1})
        assert (answer.status_code, answer.json()) == (202, {"seq": seq})
        (batch,) = await runtime.store.read(run_log("mine"), seq - 1, 1)
        (event,) = batch.events()
        assert (event.type, event.data) == ("output", {"stream": "stdout", "text": content})


async def test_output_that_is_too_long_for_one_event_is_cut_between_characters(
    api: httpx2.AsyncClient, runtime: Runtime
) -> None:
    await report(api, id="mine")
    content = "a" + "ü€😀" * 20_000
    answer = await api.post(f"{MINE}/output", json={"content": content})
    assert answer.status_code == 202
    (batch,) = await runtime.store.read(run_log("mine"), 1, 1)
    *parts, last = batch.events()
    assert answer.json() == {"seq": last.seq}
    assert "".join(event.data["text"] for event in [*parts, last]) == content
    assert all(event.data["partial"] for event in parts)
    assert "partial" not in last.data
    assert all(len(event.data["text"].encode()) <= INLINE_BYTES for event in [*parts, last])


async def test_output_is_refused_after_the_end_and_without_content(
    api: httpx2.AsyncClient,
) -> None:
    await report(api, id="mine")
    for body in ({}, {"content": None}, {"content": 1}):
        answer = await api.post(f"{MINE}/output", json=body)
        assert (await refused(answer, 400, "bad_request")).startswith("content: ")
    await change(api, status="completed")
    await refused(await api.post(f"{MINE}/output", json={"content": "x"}), 409, "log_sealed")


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


async def test_a_repeated_change_is_made_once(api: httpx2.AsyncClient, runtime: Runtime) -> None:
    headers = {"Idempotency-Key": "k"}
    body = {**REPORT, "id": "mine"}
    for method, path, sent, status in [
        ("POST", PROCESSES, body, 201),
        ("POST", f"{MINE}/output", {"content": "x"}, 202),
        ("PATCH", MINE, {"status": "completed"}, 200),
        ("DELETE", MINE, None, 204),
    ]:
        first = await api.request(method, path, json=sent, headers=headers)
        again = await api.request(method, path, json=sent, headers=headers)
        assert first.status_code == again.status_code == status, (path, first.text)
        assert (again.content, again.headers["idempotency-replayed"]) == (first.content, "true")
