"""The routes of runs, against a real runtime and real processes."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from runcast.runtime.runtime import Runtime
from runcast.web.schemas import EventPage, Problem, RunAnswer, RunList
from tests.web.conftest import RUNS

RunCommand = Callable[..., Awaitable[dict[str, Any]]]


async def test_a_submitted_command_is_answered_at_once_with_its_address(
    api: httpx2.AsyncClient,
) -> None:
    answer = await api.post(RUNS, json={"command": ["sleep", "60"], "metadata": {"a": [1, None]}})
    run = RunAnswer.model_validate(answer.json()).run
    assert answer.status_code == 201
    assert (run.status, run.metadata, run.task_id) == ("queued", {"a": [1, None]}, run.id)
    assert answer.headers["location"] == f"{RUNS}/{run.id}"
    assert (await api.get(answer.headers["location"])).json()["run"]["id"] == run.id


async def test_everything_that_can_be_asked_for_is_done(
    run: RunCommand, api: httpx2.AsyncClient, tmp_path: Path
) -> None:
    shown = await run(
        *("bash", "-c", 'pwd; echo "$A"; cat'),
        id="chosen-1",
        task_id="task.1",
        dialect="lines",
        cwd=str(tmp_path),
        env={"A": "ä"},
        workspace_id="default",
        timeout_s="1m",
        grace_s=0,
        keep_background=False,
        stdin={"text": "in\nput"},
        metadata={"deep": {"er": 1.5}},
    )
    assert (shown["id"], shown["task_id"], shown["exit_code"]) == ("chosen-1", "task.1", 0)
    output = await api.get(f"{RUNS}/chosen-1/output")
    assert output.text == f"{tmp_path}\nä\nin\nput"


async def test_a_run_is_shown_as_described(run: RunCommand, api: httpx2.AsyncClient) -> None:
    for command in (["true"], ["false"], ["/no/such/program"], ["bash", "-c", "kill -9 $$"]):
        shown = await run(*command)
        RunAnswer.model_validate((await api.get(f"{RUNS}/{shown['id']}")).json())


async def test_a_program_that_does_not_exist_is_a_failed_run(run: RunCommand) -> None:
    shown = await run("/no/such/program")
    assert (shown["status"], shown["reason"], shown["exit_code"]) == ("failed", "spawn", None)
    assert "/no/such/program" in shown["error"]


async def test_waiting_ends_with_the_run(api: httpx2.AsyncClient) -> None:
    answer = await api.post(RUNS, json={"command": ["sleep", "0.2"]})
    path = f"{RUNS}/{answer.json()['run']['id']}"
    shown = (await api.get(path, params={"wait_s": 30})).json()["run"]
    assert (shown["status"], shown["exit_code"]) == ("completed", 0)


async def test_waiting_ends_with_the_wait(api: httpx2.AsyncClient) -> None:
    answer = await api.post(RUNS, json={"command": ["sleep", "60"]})
    path = f"{RUNS}/{answer.json()['run']['id']}"
    shown = (await api.get(path, params={"wait_s": 0.05})).json()["run"]
    assert shown["status"] in {"queued", "running"}


@pytest.mark.parametrize("verb", ["cancel", "stop"])
async def test_a_run_is_cancelled_once_and_then_has_ended(
    api: httpx2.AsyncClient, verb: str
) -> None:
    answer = await api.post(RUNS, json={"command": ["sleep", "60"]})
    path = f"{RUNS}/{answer.json()['run']['id']}"
    assert (await api.post(f"{path}/{verb}")).status_code == 202
    shown = (await api.get(path, params={"wait_s": 20})).json()["run"]
    assert (shown["status"], shown["reason"]) == ("cancelled", "cancelled")
    again = await api.post(f"{path}/{verb}")
    assert (again.status_code, again.json()["error"]["code"]) == (409, "run_ended")


async def test_a_deleted_run_is_gone_and_its_id_is_spent(
    run: RunCommand, api: httpx2.AsyncClient
) -> None:
    await run("true", id="spent")
    gone = await api.delete(f"{RUNS}/spent")
    assert (gone.status_code, gone.content) == (204, b"")
    for path in ("", "/events", "/output"):
        assert (await api.get(f"{RUNS}/spent{path}")).status_code == 404
    assert (await api.delete(f"{RUNS}/spent")).status_code == 404
    again = await api.post(RUNS, json={"command": ["true"], "id": "spent"})
    assert (again.status_code, again.json()["error"]["code"]) == (409, "id_deleted")


async def test_a_running_run_is_not_deleted(api: httpx2.AsyncClient) -> None:
    answer = await api.post(RUNS, json={"command": ["sleep", "60"]})
    path = f"{RUNS}/{answer.json()['run']['id']}"
    async with asyncio.timeout(10):
        while (await api.get(path)).json()["run"]["status"] == "queued":
            await asyncio.sleep(0.01)
    refused = await api.delete(path)
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "run_active")


async def test_an_id_is_taken_once(run: RunCommand, api: httpx2.AsyncClient) -> None:
    await run("true", id="mine")
    again = await api.post(RUNS, json={"command": ["true"], "id": "mine"})
    assert (again.status_code, again.json()["error"]["code"]) == (409, "id_taken")


async def test_the_list_is_paged_newest_first(run: RunCommand, api: httpx2.AsyncClient) -> None:
    made = [(await run("true"))["id"] for _ in range(5)]
    seen: list[str] = []
    params: dict[str, Any] = {"limit": 2}
    while True:
        page = RunList.model_validate((await api.get(RUNS, params=params)).json())
        seen += [run.id for run in page.runs]
        if page.next_page_token is None:
            break
        params["page_token"] = page.next_page_token
    assert seen == made[::-1]


async def test_a_run_added_while_paging_moves_no_page(
    run: RunCommand, api: httpx2.AsyncClient
) -> None:
    made = [(await run("true"))["id"] for _ in range(3)]
    first = (await api.get(RUNS, params={"limit": 2})).json()
    await run("true")
    params = {"limit": 2, "page_token": first["next_page_token"]}
    second = (await api.get(RUNS, params=params)).json()
    assert [each["id"] for each in first["runs"] + second["runs"]] == made[::-1]


async def test_the_list_is_filtered(run: RunCommand, api: httpx2.AsyncClient) -> None:
    early = await run("true", task_id="one")
    late = await run("false", task_id="two")
    both, none = {early["id"], late["id"]}, set[str]()
    expected: list[tuple[dict[str, str], set[str]]] = [
        ({}, both),
        ({"status": "completed"}, {early["id"]}),
        ({"status": "completed,failed"}, both),
        ({"status": "queued,running,cancelled"}, none),
        ({"task_id": "two"}, {late["id"]}),
        ({"workspace": "default"}, both),
        ({"workspace_id": "default"}, both),
        ({"workspace": "other"}, none),
        ({"source": "run"}, both),
        ({"source": "external"}, none),
        ({"type": "command"}, both),
        ({"type": "claude"}, none),
        ({"since": late["created_at"]}, {late["id"]}),
        ({"since": "2000-01-01T00:00:00Z"}, both),
        ({"since": "2999-01-01T00:00:00+01:00"}, none),
        ({"task_id": "one", "status": "failed"}, none),
    ]
    for params, ids in expected:
        runs = (await api.get(RUNS, params=params)).json()["runs"]
        assert {each["id"] for each in runs} == ids, params


async def test_events_are_paged_without_gap(run: RunCommand, api: httpx2.AsyncClient) -> None:
    shown = await run("bash", "-c", "for i in $(seq 1 250); do echo line $i; done")
    path = f"{RUNS}/{shown['id']}/events"
    seqs: list[int] = []
    after = 0
    while True:
        answer = await api.get(path, params={"after": after, "limit": 100})
        page = EventPage.model_validate(answer.json())
        seqs += [event.seq for event in page.events]
        after = page.next_after
        if page.at_end:
            break
    assert seqs == list(range(1, shown["last_seq"] + 1))


async def test_an_event_says_when_and_what(run: RunCommand, api: httpx2.AsyncClient) -> None:
    shown = await run("echo", "hello")
    events = (await api.get(f"{RUNS}/{shown['id']}/events")).json()["events"]
    assert [event["type"] for event in events] == ["status", "status", "output", "status"]
    assert events[2]["data"] == {"stream": "stdout", "text": "hello"}
    assert shown["created_at"] <= events[2]["time"] <= shown["ended_at"]
    assert events[2]["time"].endswith("Z")
    assert len(events[2]["time"]) == len("2026-11-21T08:57:30.123Z")


async def test_now_is_the_end_of_the_log(run: RunCommand, api: httpx2.AsyncClient) -> None:
    shown = await run("true")
    page = (await api.get(f"{RUNS}/{shown['id']}/events", params={"after": "now"})).json()
    assert page == {"events": [], "next_after": shown["last_seq"], "at_end": True}


async def test_a_cursor_beyond_the_log_is_refused(run: RunCommand, api: httpx2.AsyncClient) -> None:
    shown = await run("true")
    answer = await api.get(f"{RUNS}/{shown['id']}/events", params={"after": 10**6})
    Problem.model_validate(answer.json())
    assert (answer.status_code, answer.json()["error"]["code"]) == (410, "cursor_ahead")


async def test_prune_keeps_what_it_is_told_to_keep(
    run: RunCommand, api: httpx2.AsyncClient
) -> None:
    made = [(await run("true"))["id"] for _ in range(3)]
    assert (await api.post("/api/v1/prune", json={"max_age": "7d"})).json() == {"removed": 0}
    assert (await api.post("/api/v1/prune", json={"max_count": 1})).json() == {"removed": 2}
    left = (await api.get(RUNS)).json()["runs"]
    assert [each["id"] for each in left] == made[2:]
    assert (await api.post("/api/v1/prune", json={"max_age": 0})).json() == {"removed": 1}


async def test_while_draining_everything_asks_to_come_back(
    runtime: Runtime, api: httpx2.AsyncClient
) -> None:
    runtime.draining = True
    for method, path in [
        ("GET", RUNS),
        ("GET", f"{RUNS}/x"),
        ("GET", f"{RUNS}/x/events"),
        ("GET", f"{RUNS}/x/output"),
        ("POST", f"{RUNS}/x/cancel"),
        ("DELETE", f"{RUNS}/x"),
        ("GET", "/api/v1/status"),
        ("GET", "/readyz"),
    ]:
        answer = await api.request(method, path)
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "draining"), path
        assert answer.headers["retry-after"] == "1"
    submitted = await api.post(RUNS, json={"command": ["true"]})
    assert submitted.status_code == 503
    assert (await api.get("/healthz")).status_code == 200
