"""Processes change as clients say: their fields, their output, cancellation and removal."""

import asyncio
from typing import Any

import httpx2

from runcast.core.events import run_log
from runcast.core.limits import INLINE_BYTES
from runcast.runtime.runtime import Runtime
from runcast.web.process_schemas import PublicProcess
from tests.web.conftest import RUNS
from tests.web.processes import MINE, PROCESSES, REPORT, get, refused, report


async def change(api: httpx2.AsyncClient, process_id: str = "mine", **fields: Any) -> Any:
    answer = await api.patch(f"{PROCESSES}/{process_id}", json=fields)
    assert answer.status_code == 200, answer.text
    PublicProcess.model_validate(answer.json())
    return answer.json()


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
