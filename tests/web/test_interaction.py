"""Talking with a run: text for its stdin, and answers to what its agent asks."""

import asyncio
import hashlib
import json
import re
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2
import msgspec
import pytest

from runcast.config import Approvals, Settings
from runcast.core.limits import BODY_BYTES
from runcast.runtime.runtime import Runtime
from runcast.web.schemas import ApprovalList, ApprovalShown, Problem, RunAnswer
from tests.web.conftest import RUNS
from tests.web.live import Live

ASKER = Path(__file__).parents[1] / "children" / "asker.py"
UNENDED = {"newline": False}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


@pytest.fixture
def expire_s() -> float:
    return 3600


@pytest.fixture
def settings(settings: Settings, expire_s: float) -> Settings:
    return msgspec.structs.replace(settings, approvals=Approvals(expire_s=expire_s))


async def start(api: httpx2.AsyncClient, *command: str, **fields: Any) -> str:
    """Start a command that can be sent to; return the path of its run."""
    body = {"command": command, "stdin": "pipe", **fields}
    answer = await api.post(RUNS, json=body)
    assert answer.status_code == 201, answer.text
    return f"{RUNS}/{answer.json()['run']['id']}"


async def ask(api: httpx2.AsyncClient, *ids: str) -> str:
    """Start an agent that asks leave under each of these ids; return its path once it has."""
    path = await start(api, sys.executable, str(ASKER), *ids, dialect="claude")
    await until(lambda: shown(api, path), lambda run: run["pending_approvals"] == len(ids))
    return path


async def shown(api: httpx2.AsyncClient, path: str, wait_s: float = 0) -> dict[str, Any]:
    answer = await api.get(path, params={"wait_s": wait_s})
    run: dict[str, Any] = answer.json()["run"]
    return run


async def until(
    look: Callable[[], Awaitable[dict[str, Any]]], good: Callable[[dict[str, Any]], bool]
) -> None:
    async with asyncio.timeout(20):
        while not good(await look()):
            await asyncio.sleep(0.01)


async def data_of(api: httpx2.AsyncClient, path: str, kind: str) -> list[dict[str, Any]]:
    events = (await api.get(f"{path}/events")).json()["events"]
    return [event["data"] for event in events if event["type"] == kind]


async def approvals(api: httpx2.AsyncClient, path: str) -> list[ApprovalShown]:
    answer = await api.get(f"{path}/approvals")
    assert answer.status_code == 200
    return ApprovalList.model_validate(answer.json()).approvals


def code_of(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, Problem.model_validate(answer.json()).error.code


async def test_texts_reach_the_command_in_order(api: httpx2.AsyncClient) -> None:
    path = await start(api, "cat")
    for body in (
        {"text": "one"},
        {"text": "\n", **UNENDED},
        {"text": "tw", **UNENDED},
        {"text": "o ä"},
    ):
        answer = await api.post(f"{path}/input", json=body)
        assert answer.status_code == 202
        assert RunAnswer.model_validate(answer.json()).run.id == path.rpartition("/")[2]
    assert (await api.post(f"{path}/input", json={"eof": True})).status_code == 202
    assert (await shown(api, path, 20))["status"] == "completed"
    assert (await api.get(f"{path}/output")).text == "one\n\ntwo ä\n"


async def test_the_last_text_may_come_with_the_end(api: httpx2.AsyncClient) -> None:
    path = await start(api, "cat")
    await api.post(f"{path}/input", json={"text": "all", "newline": False, "eof": True})
    assert (await shown(api, path, 20))["status"] == "completed"
    assert (await api.get(f"{path}/output")).text == "all"


async def test_a_text_as_large_as_a_body_may_be_arrives_whole(api: httpx2.AsyncClient) -> None:
    path = await start(api, "sha256sum")
    body = {"text": "", "newline": False, "eof": True}
    text = "x" * (BODY_BYTES - len(json.dumps(body)))
    answer = await api.post(f"{path}/input", json={**body, "text": text})
    assert answer.status_code == 202
    assert (await shown(api, path, 20))["status"] == "completed"
    told = (await api.get(f"{path}/output")).text
    assert told.split()[0] == hashlib.sha256(text.encode()).hexdigest()


async def test_what_is_sent_is_in_the_log(api: httpx2.AsyncClient) -> None:
    path = await start(api, "cat")
    await api.post(f"{path}/input", json={"text": "hello", "eof": True})
    await shown(api, path, 20)
    (told,) = await data_of(api, path, "input")
    assert told["text"].rstrip("\n") == "hello"


async def test_a_run_that_waits_for_its_turn_keeps_what_it_is_sent(
    api: httpx2.AsyncClient, runtime: Runtime
) -> None:
    busy = [await start(api, "cat") for _ in range(runtime.settings.queue.max_concurrent_runs)]
    waiting = await start(api, "cat")
    sent = await api.post(f"{waiting}/input", json={"text": "early", "eof": True})
    assert (sent.status_code, sent.json()["run"]["status"]) == (202, "queued")
    for path in busy:
        await api.post(f"{path}/input", json={"eof": True})
    assert (await shown(api, waiting, 20))["status"] == "completed"
    assert (await api.get(f"{waiting}/output")).text == "early\n"


@pytest.mark.parametrize("stdin", [None, {"text": "all there is"}])
async def test_a_run_without_a_pipe_takes_no_input(api: httpx2.AsyncClient, stdin: Any) -> None:
    path = await start(api, "sleep", "60", stdin=stdin)
    answer = await api.post(f"{path}/input", json={"text": "more"})
    assert code_of(answer) == (409, "input_closed")


async def test_nothing_can_be_sent_after_the_end(api: httpx2.AsyncClient) -> None:
    path = await start(api, "bash", "-c", "cat; sleep 60")
    await api.post(f"{path}/input", json={"eof": True})
    for body in ({"text": "more"}, {"eof": True}):
        assert code_of(await api.post(f"{path}/input", json=body)) == (409, "input_closed")


async def test_a_run_that_has_ended_takes_no_input(api: httpx2.AsyncClient) -> None:
    path = await start(api, "true")
    await shown(api, path, 20)
    answer = await api.post(f"{path}/input", json={"text": "late"})
    assert code_of(answer) == (409, "run_ended")


NO_INPUTS: list[tuple[Any, str]] = [
    ({}, "text: must not be empty"),
    ({"text": ""}, "text: must not be empty"),
    ({"text": 1}, "text: "),
    ({"text": None}, "text: "),
    ({"text": "x", "newline": "no"}, "newline: "),
    ({"text": "x", "eof": 1}, "eof: "),
    ({"txt": "x"}, "txt: unknown field; did you mean text?"),
    ([], "the body must be a JSON object"),
]


@pytest.mark.parametrize(("body", "message"), NO_INPUTS)
async def test_input_that_cannot_be_understood_is_not_sent(
    api: httpx2.AsyncClient, body: Any, message: str
) -> None:
    path = await start(api, "cat")
    answer = await api.post(f"{path}/input", json=body)
    assert code_of(answer) == (400, "bad_request")
    assert answer.json()["error"]["message"].startswith(message)
    assert await data_of(api, path, "input") == []


async def test_input_over_the_limit_of_a_body_is_refused(api: httpx2.AsyncClient) -> None:
    path = await start(api, "cat")
    answer = await api.post(f"{path}/input", json={"text": "x" * BODY_BYTES})
    assert code_of(answer) == (413, "body_too_large")


async def test_what_an_agent_asks_is_shown_until_and_after_it_is_answered(
    api: httpx2.AsyncClient,
) -> None:
    path = await ask(api, "a", "b")
    first, second = await approvals(api, path)
    assert (first.id, first.tool, first.input, first.state) == (
        *("a", "Write", {"file_path": "new.txt"}, "pending"),
    )
    assert (second.id, second.state) == ("b", "pending")
    assert TIME.fullmatch(first.asked_at)
    assert (await shown(api, path))["created_at"] <= first.asked_at <= second.asked_at

    answer = await api.post(f"{path}/approvals/b", json={"decision": "deny"})
    assert answer.status_code == 202
    assert RunAnswer.model_validate(answer.json()).run.pending_approvals == 1
    assert [each.state for each in await approvals(api, path)] == ["pending", "denied"]
    await api.post(f"{path}/approvals/a", json={"decision": "allow"})
    assert (await shown(api, path, 20))["status"] == "completed"
    assert [each.state for each in await approvals(api, path)] == ["allowed", "denied"]


ANSWERS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"decision": "allow"}, {"behavior": "allow", "updatedInput": {"file_path": "new.txt"}}),
    (
        {"decision": "allow", "input": {"file_path": "other.txt", "deep": [{"er": 1.5}]}},
        {"behavior": "allow", "updatedInput": {"file_path": "other.txt", "deep": [{"er": 1.5}]}},
    ),
    ({"decision": "deny", "message": "not ä"}, {"behavior": "deny", "message": "not ä"}),
]


@pytest.mark.parametrize(("decision", "told"), ANSWERS)
async def test_the_agent_is_told_what_was_decided(
    api: httpx2.AsyncClient, decision: dict[str, Any], told: dict[str, Any]
) -> None:
    path = await ask(api, "one")
    assert (await api.post(f"{path}/approvals/one", json=decision)).status_code == 202
    await shown(api, path, 20)
    (message,) = await data_of(api, path, "message")
    response = json.loads(message["text"])
    assert response["request_id"] == "one"
    assert response["response"].items() >= told.items()


async def test_of_two_answers_at_once_one_wins(api: httpx2.AsyncClient) -> None:
    path = await ask(api, "one")
    place = f"{path}/approvals/one"
    answers = await asyncio.gather(
        api.post(place, json={"decision": "allow"}), api.post(place, json={"decision": "deny"})
    )
    (lost,) = (answer for answer in answers if answer.status_code != 202)
    assert code_of(lost) == (409, "approval_settled")


async def test_an_approval_that_nobody_asked_for_is_not_found(api: httpx2.AsyncClient) -> None:
    path = await ask(api, "one")
    for name in ("two", "On", "one/", "%00", "a" * 300):
        answer = await api.post(f"{path}/approvals/{name}", json={"decision": "allow"})
        assert code_of(answer) == (404, "not_found")


async def test_nothing_can_be_answered_once_the_run_has_ended(api: httpx2.AsyncClient) -> None:
    path = await ask(api, "one")
    await api.post(f"{path}/cancel")
    await shown(api, path, 20)
    answer = await api.post(f"{path}/approvals/one", json={"decision": "allow"})
    assert answer.status_code == 409
    assert [each.state for each in await approvals(api, path)] == ["withdrawn"]


@pytest.mark.parametrize("expire_s", [0.1])
async def test_an_answer_that_comes_too_late_is_refused(
    api: httpx2.AsyncClient, expire_s: float
) -> None:
    path = await start(api, sys.executable, str(ASKER), "one", dialect="claude")
    assert (await shown(api, path, 20))["status"] == "completed"
    assert [each.state for each in await approvals(api, path)] == ["expired"]
    answer = await api.post(f"{path}/approvals/one", json={"decision": "allow"})
    assert code_of(answer) == (409, "approval_settled")


ODD_IDS = ["a/b", "ä 😀", "100%", "%2F", "?x=1#y", "a+b&c", "...", "x" * 256]


async def test_an_id_may_be_any_text_that_the_agent_chose(
    api: httpx2.AsyncClient, live: Live
) -> None:
    path = await ask(api, *ODD_IDS)
    assert [each.id for each in await approvals(api, path)] == ODD_IDS
    for name in ODD_IDS:
        place = f"{path}/approvals/{quote(name, safe='')}"
        answer = await live.client.post(place, json={"decision": "allow"})
        assert answer.status_code == 202, (name, answer.text)
    assert (await shown(live.client, path, 20))["status"] == "completed"


def nested(levels: int) -> Any:
    value: Any = {}
    for _ in range(levels):
        value = {"a": value}
    return value


NO_DECISIONS: list[tuple[Any, str]] = [
    ({}, "decision: is missing"),
    ({"decision": "maybe"}, "decision: "),
    ({"decision": None}, "decision: "),
    ({"decision": "allow", "message": 1}, "message: "),
    ({"decision": "allow", "input": "rm"}, "input: "),
    ({"decision": "allow", "input": []}, "input: "),
    ({"decision": "allow", "input": nested(64)}, "input: must not be nested deeper"),
    ({"decision": "allow", "input": {"a": 2**64}}, "input: whole numbers"),
    ({"decision": "deny", "input": {}}, "input: goes with allow"),
    ({"decision": "deny", "reason": "no"}, "reason: unknown field"),
    ([], "the body must be a JSON object"),
]


async def test_a_decision_that_cannot_be_understood_decides_nothing(
    api: httpx2.AsyncClient,
) -> None:
    path = await ask(api, "one")
    for body, message in NO_DECISIONS:
        answer = await api.post(f"{path}/approvals/one", json=body)
        assert code_of(answer) == (400, "bad_request")
        assert answer.json()["error"]["message"].startswith(message)
    assert [each.state for each in await approvals(api, path)] == ["pending"]


async def test_a_run_that_asks_nothing_has_no_approvals(api: httpx2.AsyncClient) -> None:
    path = await start(api, "true")
    assert await approvals(api, path) == []
