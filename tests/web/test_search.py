"""Search over HTTP: what is found, what is refused, and a client that does not wait."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import pytest
from starlette.requests import Request

from runcast.core.events import Draft, Entry, Lines, run_log
from runcast.core.runs import Run
from runcast.runtime import search
from runcast.runtime.clock import now
from runcast.runtime.runtime import Runtime
from runcast.stores import RunFilter
from runcast.web.schemas import MatchShown, Problem, SearchAnswer
from runcast.web.search import _unless_gone
from tests.web.conftest import ADDRESS
from tests.web.live import Live

SEARCH = "/api/v1/search"
RunCommand = Callable[..., Awaitable[dict[str, Any]]]


async def say(runtime: Runtime, run_id: str, *entries: Entry) -> None:
    """Append to the log of a run, which is added at first."""
    if run_id not in {run.id for run in await runtime.list(RunFilter(), 500)}:
        run = Run(id=run_id, key=run_id, task_id="t", source="external", status="running")
        await runtime.store.create(run)
    await runtime.store.append(run_log(run_id), entries)


async def find(api: httpx2.AsyncClient, q: str, **params: Any) -> SearchAnswer:
    answer = await api.get(SEARCH, params={"q": q, **params})
    assert answer.status_code == 200, answer.text
    return SearchAnswer.model_validate(answer.json())


def texts(answer: SearchAnswer) -> list[str]:
    return [match.text for match in answer.matches]


async def test_what_a_command_printed_is_found(api: httpx2.AsyncClient, run: RunCommand) -> None:
    script = "echo one; echo two; echo NEEDLE 'in a' haystack; echo four; echo five"
    shown = await run("sh", "-c", script)
    answer = await find(api, "NEEDLE in")
    (match,) = answer.matches
    assert match.time.endswith("Z")
    assert match == MatchShown(
        run_id=shown["id"],
        task_id=shown["task_id"],
        workspace_id="default",
        seq=match.seq,
        position=match.position,
        time=match.time,
        type="output",
        stream="stdout",
        text="NEEDLE in a haystack",
        cut=False,
        before=["one", "two"],
        after=["four", "five"],
    )
    assert (answer.complete, answer.next_before, answer.not_ingested) == (True, None, 0)
    assert answer.scanned_bytes > 0


async def test_events_without_a_stream_do_not_name_one(
    api: httpx2.AsyncClient, runtime: Runtime
) -> None:
    await say(runtime, "r", Draft(1, "thought", {"text": "NEEDLE"}))
    (match,) = (await api.get(SEARCH, params={"q": "NEEDLE"})).json()["matches"]
    assert "stream" not in match
    assert match["type"] == "thought"


async def test_next_before_leads_to_the_rest(api: httpx2.AsyncClient, runtime: Runtime) -> None:
    for number in range(5):
        await say(runtime, "ab"[number % 2], Lines(1, "stdout", [f"x{number} {n}" for n in "12"]))
    everything = await find(api, "x")
    assert len(everything.matches) == 10
    found: list[MatchShown] = []
    answer = await find(api, "x", limit=3)
    while not answer.complete:
        assert answer.next_before == answer.matches[-1].position
        found += answer.matches
        answer = await find(api, "x", limit=3, before=answer.next_before)
    assert found + answer.matches == everything.matches


async def test_search_is_narrowed_to_a_run_a_workspace_or_a_time(
    api: httpx2.AsyncClient, runtime: Runtime
) -> None:
    await say(runtime, "a", Lines(now() - 3_600_000_000, "stdout", ["x an hour ago"]))
    await say(runtime, "b", Lines(now(), "stdout", ["x now"]))
    assert texts(await find(api, "x ")) == ["x now", "x an hour ago"]
    assert texts(await find(api, "x ", run="a")) == ["x an hour ago"]
    assert texts(await find(api, "x ", since="15m")) == ["x now"]
    assert texts(await find(api, "x ", since="2h")) == ["x now", "x an hour ago"]
    assert texts(await find(api, "x ", since="2026-01-01T00:00:00Z", run="b")) == ["x now"]
    assert len(texts(await find(api, "x ", workspace="default"))) == 2
    folder = {"name": "other", "rootPath": "/", "id": "other"}
    await api.post("/api/workspaces", json=folder)
    assert texts(await find(api, "x ", workspace="other")) == []


async def test_answers_end_at_the_bounds_of_a_search(
    api: httpx2.AsyncClient, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "BUDGET_S", 0)
    monkeypatch.setattr(search, "LEAST_STRETCH", 2)
    await say(runtime, "a", *(Lines(1, "stdout", ["x"]) for _ in range(3)))
    await say(runtime, "a", Lines(1, "stdout", ["y"]))
    answer = await find(api, "x")
    assert (answer.matches, answer.complete) == ([], False)
    while not answer.complete:
        answer = await find(api, "x", before=answer.next_before)
        if answer.matches:
            break
    assert texts(answer)


REFUSED: list[tuple[dict[str, Any], int, str]] = [
    ({}, 400, "q"),
    ({"q": ""}, 400, "q"),
    ({"q": "x" * 1_001}, 400, "q"),
    ({"q": "a\nb"}, 400, "q"),
    ({"q": "x", "limit": 0}, 400, "limit"),
    ({"q": "x", "limit": 501}, 400, "limit"),
    ({"q": "x", "context": 11}, 400, "context"),
    ({"q": "x", "before": 0}, 400, "before"),
    ({"q": "x", "before": 2**63}, 400, "before"),
    ({"q": "x", "since": "yesterday"}, 400, "since"),
    ({"q": "x", "since": ""}, 400, "since"),
    ({"q": "x", "workspace": "nowhere"}, 400, "workspace"),
    ({"q": "x", "run": "../x"}, 400, "run"),
    ({"q": "x", "run": "nobody"}, 404, "there is no run nobody"),
]


@pytest.mark.parametrize(("params", "status", "says"), REFUSED)
async def test_what_cannot_be_searched_is_told_so(
    api: httpx2.AsyncClient, params: dict[str, Any], status: int, says: str
) -> None:
    answer = await api.get(SEARCH, params=params)
    assert answer.status_code == status
    assert Problem.model_validate(answer.json()).error.message.startswith(says)


async def test_longest_text_is_found(api: httpx2.AsyncClient, runtime: Runtime) -> None:
    longest = "ä" * 1_000
    await say(runtime, "a", Lines(1, "stdout", ["." * 3_000 + longest + "." * 3_000]))
    (text,) = texts(await find(api, longest))
    assert longest in text


async def test_client_that_leaves_stops_its_search() -> None:
    begun, ended, left = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def work() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def receive() -> dict[str, Any]:
        await left.wait()
        return {"type": "http.disconnect"}

    request = Request({"type": "http"}, receive)
    answering = asyncio.create_task(_unless_gone(request, work()))
    async with asyncio.timeout(5):
        await begun.wait()
        assert not ended.is_set()
        left.set()
        assert await answering is None
    assert ended.is_set()


async def test_searches_of_clients_that_left_are_not_waited_for(
    runtime: Runtime, live: Live
) -> None:
    await say(runtime, "a", *(Lines(1, "stdout", [f"x {n}"] * 20) for n in range(200)))
    asked = {"q": "x", "limit": 500, "context": 10}
    impatient = httpx2.Timeout(5, read=0.001)
    tries = (live.client.get(SEARCH, params=asked, timeout=impatient) for _ in range(20))
    outcomes = await asyncio.gather(*tries, return_exceptions=True)
    assert any(isinstance(outcome, httpx2.ReadTimeout) for outcome in outcomes)
    async with asyncio.timeout(5):
        patient = await live.client.get(SEARCH, params=asked)
    assert len(SearchAnswer.model_validate(patient.json()).matches) == 500


async def test_search_is_refused_while_the_server_stops(
    api: httpx2.AsyncClient, runtime: Runtime
) -> None:
    runtime.draining = True
    assert (await api.get(f"{ADDRESS}{SEARCH}", params={"q": "x"})).status_code == 503
