"""Envelopes over HTTP: taken into runs of their own, and streamed by task as they came."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from runcast.config import Queue, Settings, Sse
from runcast.core.envelopes import ENVELOPE_KIND
from runcast.core.events import run_log
from runcast.core.ids import uuid7
from runcast.core.runs import Run
from runcast.runtime.external import Report
from runcast.runtime.runtime import Runtime
from runcast.runtime.submit import RunSpec
from runcast.stores import RunFilter
from tests.support.envelopes import OTHER, TASK, envelope, thought
from tests.web.live import Live, serving

PATH = "/api/v1/envelopes"


def action(tool: str, status: str) -> dict[str, Any]:
    return envelope("action", {"tool": tool, "args": {"path": "a"}, "status": status})


async def post(api: httpx2.AsyncClient, body: Any, **headers: str) -> httpx2.Response:
    return await api.post(
        PATH, json=body, headers={k.replace("_", "-"): v for k, v in headers.items()}
    )


async def runs_of(runtime: Runtime, task_id: str = TASK) -> list[Run]:
    """Return the runs of a task, oldest first."""
    return (await runtime.list(RunFilter(task_id=task_id), 500))[::-1]


async def events(runtime: Runtime, run: Run) -> list[Any]:
    """Return what a run's log has behind its first status."""
    batches = await runtime.store.read(run_log(run.id), 0, 2**30)
    return [event for batch in batches for event in batch.events()][1:]


class TestTaking:
    async def test_one_envelope_or_a_list_is_answered_with_how_many(
        self, api: httpx2.AsyncClient
    ) -> None:
        one = await post(api, thought())
        two = await post(api, [thought(), thought(task_id=OTHER)])
        assert (one.status_code, one.json()) == (202, {"accepted": 1})
        assert (two.status_code, two.json()) == (202, {"accepted": 2})

    async def test_all_of_a_task_go_into_one_external_run(
        self, api: httpx2.AsyncClient, runtime: Runtime
    ) -> None:
        said = [thought(str(number), number=number) for number in range(5)]
        await post(api, said[:2])
        await asyncio.gather(*[post(api, one) for one in said[2:]])
        (run,) = await runs_of(runtime)
        assert (run.source, run.kind, run.status) == ("external", ENVELOPE_KIND, "running")
        kept = [event.data["envelope"] for event in await events(runtime, run)]
        assert kept[:2] == said[:2]
        assert sorted(kept[2:], key=lambda one: one["sequenceNumber"]) == said[2:]

    async def test_a_list_is_one_commit_whatever_tasks_it_is_of(
        self, api: httpx2.AsyncClient, runtime: Runtime
    ) -> None:
        heard: list[int] = []
        runtime.store.listen(lambda batches: heard.append(len(batches)))
        await post(api, [thought(), thought(task_id=OTHER), thought()])
        assert len(heard) == 1
        counts = [len(await events(runtime, (await runs_of(runtime, t))[0])) for t in (TASK, OTHER)]
        assert counts == [2, 1]

    async def test_each_workspace_has_a_run_of_its_own(
        self, api: httpx2.AsyncClient, runtime: Runtime, tmp_path: Path
    ) -> None:
        await runtime.workspaces.put("mine", "Mine", str(tmp_path))
        await post(api, thought())
        await post(api, thought(), X_Workspace_Id="mine")
        assert [run.workspace_id for run in await runs_of(runtime)] == ["default", "mine"]
        unknown = await post(api, thought(), X_Workspace_Id="yours")
        assert unknown.status_code == 400
        assert "yours" in unknown.json()["error"]["message"]

    async def test_never_into_a_run_that_is_executed_here(
        self, api: httpx2.AsyncClient, runtime: Runtime
    ) -> None:
        executed = await runtime.submit(RunSpec(id=TASK, command=["sleep", "30"]))
        await post(api, thought())
        first, second = await runs_of(runtime)
        assert first.id == executed.id
        assert second.source == "external"

    async def test_after_the_end_of_a_run_the_next_begins_another(
        self, api: httpx2.AsyncClient, runtime: Runtime
    ) -> None:
        await post(api, thought("first"))
        (run,) = await runs_of(runtime)
        await runtime.external.append(run.id, [Report("status", {"status": "completed"})])
        await post(api, thought("second"))
        await runtime.delete((await runs_of(runtime))[1].id)
        await post(api, thought("third"))
        runs = await runs_of(runtime)
        texts = [[event.data.get("text") for event in await events(runtime, run)] for run in runs]
        assert texts == [["first", None], ["third"]]

    async def test_a_task_that_is_a_uuid_is_the_same_in_either_case(
        self, api: httpx2.AsyncClient, runtime: Runtime
    ) -> None:
        loud = thought(task_id=TASK.upper())
        await post(api, [thought(), loud])
        (run,) = await runs_of(runtime)
        assert [event.data["envelope"] for event in await events(runtime, run)][1] == loud


class TestPairing:
    async def test_a_result_is_that_of_the_tools_oldest_open_call(
        self, api: httpx2.AsyncClient, runtime: Runtime
    ) -> None:
        await post(api, [action("ls", "invoking"), action("cat", "invoking")])
        await post(api, action("cat", "error"))
        await post(api, envelope("observation", {"content": "a.txt", "source": "ls"}))
        (run,) = await runs_of(runtime)
        told = await events(runtime, run)
        ids = [event.data["tool_call_id"] for event in told]
        assert ids == [ids[0], ids[1], ids[1], ids[0]]
        assert ids[0] != ids[1]
        assert [event.data.get("ok") for event in told[2:]] == [False, True]

    async def test_it_is_remembered_over_a_restart(self, settings: Settings) -> None:
        for sent in (action("ls", "invoking"), action("ls", "success"), action("ls", "invoking")):
            runtime = await Runtime.open(settings)
            await runtime.envelopes.record([sent])
            (run,) = await runs_of(runtime)
            told = await events(runtime, run)
            await runtime.close()
        ids = [event.data["tool_call_id"] for event in told]
        assert ids[0] == ids[1] != ids[2]


BROKEN: list[tuple[str, Any, str]] = [
    ("taskId", thought() | {"taskId": 7}, "taskId"),
    ("an id that is none", thought(task_id="../x"), "taskId"),
    ("agentId", thought() | {"agentId": ""}, "agentId"),
    ("sequenceNumber", thought() | {"sequenceNumber": -1}, "sequenceNumber"),
    ("a time without offset", thought() | {"timestamp": "2026-01-02T03:04:05"}, "timestamp"),
    ("payload", thought() | {"payload": None}, "payload"),
    ("content", envelope("thought", {}), "content"),
    ("status", action("ls", "done"), "status"),
    ("type", thought() | {"type": "dream"}, "type"),
    ("no object", 7, "type"),
    ("a number nobody can keep", thought() | {"more": 2**70}, "64 bits"),
    ("an empty list", [], "at least one"),
    ("a list of a list", [[thought()]], "type"),
]


class TestRefusals:
    @pytest.mark.parametrize(
        ("body", "named"), [row[1:] for row in BROKEN], ids=[r[0] for r in BROKEN]
    )
    async def test_what_is_wrong_is_named(
        self, api: httpx2.AsyncClient, runtime: Runtime, body: Any, named: str
    ) -> None:
        answer = await post(api, body)
        assert answer.status_code == 400
        assert named in answer.json()["error"]["message"]
        assert not await runtime.list(RunFilter(), 1)

    async def test_of_a_list_none_is_taken_if_one_is_wrong(
        self, api: httpx2.AsyncClient, runtime: Runtime
    ) -> None:
        answer = await post(api, [thought(), thought(), thought() | {"agentId": 1}])
        assert answer.status_code == 400
        assert "envelopes[2]" in answer.json()["error"]["message"]
        assert "agentId" in answer.json()["error"]["message"]
        assert not await runtime.list(RunFilter(), 1)

    async def test_deep_nesting_is_refused(self, api: httpx2.AsyncClient) -> None:
        deep: list[Any] = []
        for _ in range(500):
            deep = [deep]
        assert (await post(api, thought() | {"more": deep})).status_code == 400

    async def test_without_a_body_there_is_nothing_to_take(self, api: httpx2.AsyncClient) -> None:
        assert (await api.post(PATH)).status_code == 400


class TestRepeating:
    async def test_under_one_key_a_list_over_several_tasks_is_taken_once(
        self, api: httpx2.AsyncClient, runtime: Runtime
    ) -> None:
        body = [thought(), thought(task_id=OTHER)]
        answers = [await post(api, body, Idempotency_Key="k") for _ in range(2)]
        assert [answer.json() for answer in answers] == [{"accepted": 2}] * 2
        assert answers[1].headers["idempotency-replayed"] == "true"
        for task_id in (TASK, OTHER):
            (run,) = await runs_of(runtime, task_id)
            assert run.last_seq == 2
        assert (await post(api, thought(), Idempotency_Key="k")).status_code == 409


@pytest.fixture
async def live(settings: Settings) -> AsyncIterator[Live]:
    settings.api.sse = Sse(comment_interval_s=0.05)
    settings.queue = Queue(max_concurrent_runs=2)
    runtime = await Runtime.open(settings)
    try:
        async with serving(runtime) as live:
            yield live
    finally:
        await runtime.close()


def stream(task_id: str = TASK, **more: str) -> dict[str, Any]:
    return {"params": {"taskId": task_id, **more}, "headers": {"accept": "text/event-stream"}}


class Told:
    """A stream that is open, read event by event."""

    def __init__(self, response: httpx2.Response) -> None:
        self.response = response
        self._text = response.aiter_text()
        self._rest = ""

    async def block(self) -> list[str]:
        """Return the lines of the next event; comments come along."""
        async with asyncio.timeout(10):
            while "\n\n" not in self._rest:
                self._rest += await anext(self._text)
        block, self._rest = self._rest.split("\n\n", 1)
        return block.split("\n")

    async def next(self) -> Any:
        """Return the data of the next event."""
        (data,) = [line for line in await self.block() if line.startswith("data: ")]
        return json.loads(data.removeprefix("data: "))


class TestStreaming:
    async def test_events_have_no_name_and_end_with_their_position(self, live: Live) -> None:
        async with live.client.stream("GET", "/stream", **stream()) as response:
            assert response.headers["content-type"] == "text/event-stream"
            assert response.headers["cache-control"] == "no-cache, no-transform"
            told = Told(response)
            await post(live.client, thought("ünïcode\n\ndata: no"))
            lines = [line for line in await told.block() if line[:1] != ":"]
        assert [line.split(": ")[0] for line in lines] == ["retry", "data", "id"]
        assert json.loads(lines[1].removeprefix("data: ")) == thought("ünïcode\n\ndata: no")
        assert lines[2].removeprefix("id: ").isdecimal()

    async def test_it_begins_now_and_waits_for_a_task_nobody_knows(self, live: Live) -> None:
        await post(live.client, thought("before"))
        new = uuid7()
        async with (
            live.client.stream("GET", "/stream", **stream()) as known,
            live.client.stream("GET", "/stream", **stream(new)) as unknown,
        ):
            await post(live.client, [thought("after"), thought("new", task_id=new)])
            assert (await Told(known).next())["payload"]["content"] == "after"
            assert (await Told(unknown).next())["payload"]["content"] == "new"

    async def test_a_client_resumes_behind_its_last_event(self, live: Live) -> None:
        for number in range(4):
            await post(live.client, thought(str(number)))
        async with live.client.stream("GET", "/stream", **stream(after="0")) as response:
            told = Told(response)
            blocks = [await told.block() for _ in range(2)]
        last = blocks[1][-1].removeprefix("id: ")
        resumed = stream(after="0")
        resumed["headers"]["last-event-id"] = last
        async with live.client.stream("GET", "/stream", **resumed) as response:
            told = Told(response)
            assert [(await told.next())["payload"]["content"] for _ in range(2)] == ["2", "3"]

    async def test_another_tasks_envelopes_are_never_seen(self, live: Live) -> None:
        async with live.client.stream("GET", "/stream", **stream(TASK.upper())) as response:
            await post(live.client, [thought("not yours", task_id=OTHER), thought("yours")])
            assert await Told(response).next() == thought("yours")

    async def test_an_envelope_goes_out_whole_however_long(self, live: Live) -> None:
        long = envelope("observation", {"content": "x" * 200_000, "source": "stdout"})
        async with live.client.stream("GET", "/stream", **stream()) as response:
            await post(live.client, [long, thought()])
            told = Told(response)
            assert await told.next() == long
            assert await told.next() == thought()
        (run,) = (await live.client.get("/api/v1/runs")).json()["runs"]
        answer = await live.client.get(f"/api/v1/runs/{run['id']}/events")
        data = answer.json()["events"][1]["data"]
        assert (len(data["text"]), data["text_blob"]["size"]) == (4096, 200_000)
        blob = await live.client.get(f"/api/v1/runs/{run['id']}/blobs/{data['text_blob']['id']}")
        assert blob.text == long["payload"]["content"]

    async def test_silence_is_filled_with_comments_without_a_blank_line(self, live: Live) -> None:
        async with live.client.stream("GET", "/stream", **stream()) as response:
            text = ""
            async with asyncio.timeout(10):
                async for more in response.aiter_text():
                    text += more
                    if text.count(": hb\n") > 1:
                        break
        assert text.replace(": hb\n", "") == ""

    async def test_a_removal_is_told_or_refused(self, live: Live, settings: Settings) -> None:
        for number in range(2):
            await post(live.client, thought(str(number)))
        (run,) = (await live.client.get("/api/v1/runs")).json()["runs"]
        await live.client.delete(f"/api/v1/runs/{run['id']}")
        await post(live.client, thought("kept"))
        strict = await live.client.get("/stream", **stream(after="1", strict="true"))
        assert strict.status_code == 410
        async with live.client.stream("GET", "/stream", **stream(after="1")) as response:
            told = Told(response)
            gap = await told.block()
            assert "event: gap" in gap
            assert (await told.next())["payload"]["content"] == "kept"

    @pytest.mark.parametrize(
        "query", ["", "?taskId=", "?taskId=*", "?taskId=task-1", f"?taskId={TASK}x"]
    )
    async def test_a_task_that_is_no_uuid_is_refused(
        self, api: httpx2.AsyncClient, query: str
    ) -> None:
        answer = await api.get(f"/stream{query}")
        assert answer.status_code == 400
        assert "taskId" in answer.json()["error"]["message"]

    async def test_a_cursor_beyond_the_newest_event_is_refused(
        self, api: httpx2.AsyncClient
    ) -> None:
        assert (await api.get("/stream", params={"taskId": TASK, "after": "9"})).status_code == 410
        assert (await api.get("/stream", params={"taskId": TASK, "after": "x"})).status_code == 400
