"""Requests under an Idempotency-Key: done once, and answered the same again."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import pytest

from runcast.core.once import Answered
from runcast.runtime.runtime import Runtime
from runcast.stores import RunFilter
from tests.web.conftest import RUNS

SLEEP = {"command": ["sleep", "60"], "grace_s": 0}
REPLAYED = "idempotency-replayed"


def under(key: str = "a key!".replace(" ", "-")) -> dict[str, str]:
    return {"Idempotency-Key": key}


async def count(runtime: Runtime) -> int:
    return await runtime.store.count(RunFilter())


def same(first: httpx2.Response, again: httpx2.Response) -> None:
    """Check that an answer is the other one, replayed."""
    assert REPLAYED not in first.headers
    assert again.headers[REPLAYED] == "true"
    assert (again.status_code, again.content) == (first.status_code, first.content)
    kept = [(name, value) for name, value in again.headers.multi_items() if name != REPLAYED]
    assert sorted(kept) == sorted(first.headers.multi_items())


def code_of(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


async def test_repeated_submission_starts_one_run_and_gets_its_answer(
    api: httpx2.AsyncClient, runtime: Runtime
) -> None:
    first, again, third = [
        await api.post(RUNS, json={"command": ["true"]}, headers=under()) for _ in range(3)
    ]
    assert first.status_code == 201
    assert first.headers["location"] == f"{RUNS}/{first.json()['run']['id']}"
    same(first, again)
    same(first, third)
    assert await count(runtime) == 1


async def test_two_at_once_do_it_once_and_the_second_waits_for_the_answer(
    api: httpx2.AsyncClient, runtime: Runtime
) -> None:
    posts = [api.post(RUNS, json={"command": ["true"]}, headers=under()) for _ in range(8)]
    answers = await asyncio.gather(*posts)
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert sum(REPLAYED in answer.headers for answer in answers) == 7
    assert await count(runtime) == 1


OTHER_REQUESTS: dict[str, dict[str, Any]] = {
    "another body": {"json": {"command": ["false"]}},
    "the same body written otherwise": {"content": b'{"command":  ["true"]}'},
    "another query": {"params": {"x": "1"}},
    "another workspace": {"headers": {"X-Workspace-Id": "other"}},
}


@pytest.mark.parametrize("case", OTHER_REQUESTS)
async def test_key_of_another_request_is_refused(
    api: httpx2.AsyncClient, runtime: Runtime, case: str
) -> None:
    request: dict[str, Any] = {"content": b'{"command": ["true"]}'} | OTHER_REQUESTS[case]
    if "json" in request:
        del request["content"]
    headers = {"content-type": "application/json", **under()}
    first = {"content": b'{"command": ["true"]}', "headers": headers}
    assert (await api.post(RUNS, **first)).status_code == 201
    request["headers"] = headers | request.get("headers", {})
    assert code_of(await api.post(RUNS, **request)) == (409, "idempotency_conflict")
    assert await count(runtime) == 1


async def test_key_counts_for_its_method_and_path_alone(api: httpx2.AsyncClient) -> None:
    created = await api.post(RUNS, json=SLEEP, headers=under())
    path = f"{RUNS}/{created.json()['run']['id']}"
    cancelled = await api.post(f"{path}/cancel", headers=under())
    assert cancelled.status_code == 202
    same(cancelled, await api.post(f"{path}/cancel", headers=under()))
    await api.get(path, params={"wait_s": 20})
    deleted = await api.delete(path, headers=under())
    assert deleted.status_code == 204
    same(deleted, await api.delete(path, headers=under()))
    assert code_of(await api.delete(path)) == (404, "not_found")


async def test_errors_are_not_kept(api: httpx2.AsyncClient) -> None:
    path = f"{RUNS}/late"
    assert code_of(await api.post(f"{path}/cancel", headers=under())) == (404, "not_found")
    assert (await api.post(RUNS, json=SLEEP | {"id": "late"})).status_code == 201
    assert (await api.post(f"{path}/cancel", headers=under())).status_code == 202


@pytest.mark.parametrize("key", ["", " ", "a b", "ä".encode().decode("latin-1"), "x" * 129, "\t"])
async def test_what_is_no_key_is_refused_and_does_nothing(
    api: httpx2.AsyncClient, runtime: Runtime, key: str
) -> None:
    headers = [(b"idempotency-key", key.encode("latin-1"))]
    answer = await api.post(RUNS, json={"command": ["true"]}, headers=headers)
    assert code_of(answer) == (400, "bad_request")
    assert "Idempotency-Key" in answer.json()["error"]["message"]
    assert await count(runtime) == 0


async def test_two_keys_are_refused(api: httpx2.AsyncClient, runtime: Runtime) -> None:
    headers = [("idempotency-key", "a"), ("idempotency-key", "b")]
    answer = await api.post(RUNS, json={"command": ["true"]}, headers=headers)
    assert code_of(answer) == (400, "bad_request")
    assert await count(runtime) == 0


@pytest.mark.parametrize("key", ["!", "~" * 128, '"quoted"'])
async def test_any_visible_ascii_is_a_key(api: httpx2.AsyncClient, key: str) -> None:
    answers = [await api.post(RUNS, json={"command": ["true"]}, headers=under(key)) for _ in "ab"]
    same(*answers)


async def test_reading_takes_no_notice_of_a_key(api: httpx2.AsyncClient) -> None:
    answers = [await api.get(RUNS, headers=under("no key")) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert not any(REPLAYED in answer.headers for answer in answers)


async def test_repeated_input_reaches_the_command_once(api: httpx2.AsyncClient) -> None:
    created = await api.post(RUNS, json={"command": ["cat"], "stdin": "pipe"})
    path = f"{RUNS}/{created.json()['run']['id']}"
    first, again = [
        await api.post(f"{path}/input", json={"text": "once"}, headers=under()) for _ in range(2)
    ]
    same(first, again)
    await api.post(f"{path}/input", json={"eof": True})
    await api.get(path, params={"wait_s": 20})
    assert (await api.get(f"{path}/output")).text == "once\n"


async def test_cancelling_a_queued_run_is_answered_the_same_again(
    api: httpx2.AsyncClient,
) -> None:
    for _ in range(2):  # as many as may run at once
        assert (await api.post(RUNS, json=SLEEP)).status_code == 201
    created = await api.post(RUNS, json=SLEEP)
    path = f"{RUNS}/{created.json()['run']['id']}/cancel"
    first, again = [await api.post(path, headers=under()) for _ in range(2)]
    same(first, again)


async def test_answer_of_another_process_is_found_when_it_was_faster(
    api: httpx2.AsyncClient, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The look-up finds nothing, and then the commit finds the key taken."""
    look_up: Callable[[str], Awaitable[Any]] = runtime.store.answered

    async def too_early(key: str) -> tuple[bytes, Answered] | None:
        monkeypatch.setattr(runtime.store, "answered", look_up)
        return None

    body = {"json": {"command": ["true"]}, "headers": under()}
    first = await api.post(RUNS, **body)
    monkeypatch.setattr(runtime.store, "answered", too_early)
    same(first, await api.post(RUNS, **body))
    monkeypatch.setattr(runtime.store, "answered", too_early)
    other = await api.post(RUNS, json={"command": ["false"]}, headers=under())
    assert code_of(other) == (409, "idempotency_conflict")
    assert await count(runtime) == 1
