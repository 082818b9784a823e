"""External runs over HTTP: reported event by event, kept and streamed like any other."""

import asyncio
import json
from typing import Any

import httpx2
import pytest

from runcast.core.events import EVENT_TYPES
from runcast.core.limits import INLINE_BYTES
from runcast.runtime.runtime import Runtime
from runcast.web.schemas import Appended, EventPage, Problem, RunAnswer
from runcast.wires import WIRES
from tests.web.conftest import RUNS
from tests.web.live import Live

PATH = f"{RUNS}/x"
EVENTS = f"{PATH}/events"
DONE: dict[str, Any] = {"type": "status", "data": {"status": "completed"}}


async def start(api: httpx2.AsyncClient, **fields: Any) -> None:
    answer = await api.post(RUNS, json={"external": True, "id": "x", **fields})
    assert answer.status_code == 201, answer.text


def output(text: str, **more: Any) -> dict[str, Any]:
    return {"type": "output", "data": {"stream": "stdout", "text": text, **more}}


async def report(api: httpx2.AsyncClient, *drafts: dict[str, Any], **query: Any) -> Appended:
    answer = await api.post(EVENTS, json=list(drafts), params=query)
    assert answer.status_code == 202, answer.text
    return Appended.model_validate(answer.json())


async def log_of(api: httpx2.AsyncClient) -> list[tuple[int, str, dict[str, Any]]]:
    page = EventPage.model_validate((await api.get(EVENTS)).json())
    return [(event.seq, event.type, event.data) for event in page.events]


async def shown(api: httpx2.AsyncClient) -> dict[str, Any]:
    answer = (await api.get(PATH)).json()
    RunAnswer.model_validate(answer)
    run: dict[str, Any] = answer["run"]
    return run


def problem(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, Problem.model_validate(answer.json()).error.code


async def test_run_that_nobody_executes_is_running_until_its_client_says_more(
    api: httpx2.AsyncClient,
) -> None:
    about = {"task_id": "t", "metadata": {"k": 1}, "workspace_id": "default"}
    answer = await api.post(RUNS, json={"external": True, "id": "x", **about})
    run = answer.json()["run"]
    assert answer.headers["location"] == PATH
    wanted = {"source": "external", "status": "running", "command": None, "last_seq": 1, **about}
    assert {name: run[name] for name in wanted} == wanted
    assert run == await shown(api)
    assert [(seq, kind) for seq, kind, _ in await log_of(api)] == [(1, "status")]


WRONG_STARTS: dict[str, tuple[dict[str, Any], str]] = {
    "a command": ({"command": ["true"]}, "command"),
    "an agent": ({"agent": "claude", "prompt": "hi"}, "agent"),
    "a timeout": ({"timeout_s": 3}, "timeout_s"),
    "stdin": ({"stdin": "pipe"}, "stdin"),
    "an unknown workspace": ({"workspace_id": "nowhere"}, "workspace_id"),
    "a bad id": ({"id": ".."}, "id"),
    "no truth": ({"external": "yes"}, "external"),
    "endless metadata": ({"metadata": {"x": "y" * 70_000}}, "metadata"),
}


@pytest.mark.parametrize("case", WRONG_STARTS)
async def test_what_goes_with_execution_is_refused(api: httpx2.AsyncClient, case: str) -> None:
    fields, name = WRONG_STARTS[case]
    answer = await api.post(RUNS, json={"external": True, "id": "x", **fields})
    assert answer.status_code == 400
    assert name in Problem.model_validate(answer.json()).error.message
    assert (await api.get(PATH)).status_code == 404


async def test_reported_events_are_numbered_in_order_and_keep_their_time(
    api: httpx2.AsyncClient,
) -> None:
    await start(api)
    at = "2026-01-02T03:04:05.678+01:00"
    first = await report(api, output("a") | {"time": at}, {"type": "thought", "data": {}})
    second = await report(api, output("b"))
    assert [(s.first_seq, s.last_seq) for s in (first, second)] == [(2, 3), (4, 4)]
    events = (await api.get(EVENTS)).json()["events"]
    assert [event["type"] for event in events] == ["status", "output", "thought", "output"]
    assert events[1]["time"] == "2026-01-02T02:04:05.678Z"


async def test_every_type_of_event_can_be_reported(api: httpx2.AsyncClient) -> None:
    await start(api)
    types = [name for name in EVENT_TYPES if name not in ("status", "approval")]
    await report(api, *({"type": name, "data": {"x": 1}} for name in types))
    asked = {"id": "q", "tool": "t", "input": {}, "state": "pending"}
    await report(api, {"type": "approval", "data": asked})
    assert [kind for _, kind, _ in await log_of(api)] == ["status", *types, "approval"]
    assert (await shown(api))["pending_approvals"] == 1


async def test_terminal_status_ends_the_run_and_seals_its_log(api: httpx2.AsyncClient) -> None:
    await start(api)
    outcome = {"reason": "exit", "exit_code": 3, "result": {"a": [1]}, "error": "it broke"}
    ending = {"type": "status", "data": {"status": "failed", **outcome}}
    span = await report(api, output("last"), ending)
    assert (span.first_seq, span.last_seq) == (2, 3)
    run = await shown(api)
    wanted = {"status": "failed", "last_seq": 3, **outcome}
    assert {name: run[name] for name in wanted} == wanted
    for drafts in ([output("late")], [ending], [DONE]):
        answer = await api.post(EVENTS, json=drafts)
        assert answer.status_code == 409, answer.text
    assert [kind for _, kind, _ in await log_of(api)] == ["status", "output", "status"]


async def test_status_that_the_run_has_changes_nothing(api: httpx2.AsyncClient) -> None:
    await start(api)
    again = {"type": "status", "data": {"status": "running"}}
    span = await report(api, again)
    assert (span.first_seq, span.last_seq) == (2, 1)
    span = await report(api, output("kept"), again)
    assert (span.first_seq, span.last_seq) == (2, 2)
    assert [kind for _, kind, _ in await log_of(api)] == ["status", "output"]


async def test_append_after_another_one_is_refused_and_writes_nothing(
    api: httpx2.AsyncClient,
) -> None:
    await start(api)
    await report(api, output("a"), after=1)
    for drafts in ([output("b")], [output("b"), DONE], [DONE]):
        answer = await api.post(EVENTS, json=drafts, params={"after": 1})
        assert problem(answer) == (409, "stale_after")
    same = {"type": "status", "data": {"status": "running"}}
    assert problem(await api.post(EVENTS, json={"events": [same], "after": 1}))[0] == 409
    answer = await api.post(EVENTS, json={"events": [output("b")], "after": 2})
    assert answer.json() == {"first_seq": 3, "last_seq": 3}
    assert len(await log_of(api)) == 3


async def test_of_many_who_append_after_the_same_event_one_wins(api: httpx2.AsyncClient) -> None:
    await start(api)
    posts = [
        api.post(EVENTS, json=[output("x"), *last], params={"after": 1})
        for last in ([], [DONE], [], [DONE])
    ]
    statuses = sorted(answer.status_code for answer in await asyncio.gather(*posts))
    assert statuses == [202, 409, 409, 409]
    assert [text for _, kind, text in await log_of(api) if kind == "output"] == [
        {"stream": "stdout", "text": "x"}
    ]


WRONG: dict[str, tuple[Any, str]] = {
    "nothing": ([], "events"),
    "no list": ({}, "events"),
    "a text": ("x", "object"),
    "no type": ([{"data": {}}], "type"),
    "an unknown type": ([output("a"), {"type": "outptu", "data": {}}], "events[1].type"),
    "no data": ([{"type": "output"}], "data"),
    "data that is none": ([{"type": "output", "data": "x"}], "data"),
    "an unknown field": ([output("a") | {"tmie": "x"}], "tmie"),
    "a number of its own": ([output("a") | {"seq": 1}], "seq"),
    "a time without an offset": ([output("a") | {"time": "2026-01-02T03:04:05"}], "offset"),
    "a time that is none": ([output("a") | {"time": "noon"}], "time"),
    "a status before others": ([DONE, output("a")], "status"),
    "no status": ([{"type": "status", "data": {}}], "status"),
    "an unknown status": ([{"type": "status", "data": {"status": "ok"}}], "status"),
    "an unknown reason": ([{"type": "status", "data": DONE["data"] | {"reason": "x"}}], "reason"),
    "a text as exit code": (
        [{"type": "status", "data": DONE["data"] | {"exit_code": "0"}}],
        "exit_code",
    ),
    "a number that is too large": ([output("a", n=2**64)], "64 bits"),
    "an after that is none": ({"events": [output("a")], "after": -1}, "after"),
}


@pytest.mark.parametrize("case", WRONG)
async def test_wrong_event_is_refused_by_name_and_none_is_taken(
    api: httpx2.AsyncClient, case: str
) -> None:
    body, name = WRONG[case]
    await start(api)
    answer = await api.post(EVENTS, json=body)
    assert answer.status_code == 400, answer.text
    assert name in Problem.model_validate(answer.json()).error.message
    assert len(await log_of(api)) == 1
    await report(api, DONE)


async def test_after_is_given_once(api: httpx2.AsyncClient) -> None:
    await start(api)
    body = {"events": [output("a")], "after": 1}
    assert problem(await api.post(EVENTS, json=body, params={"after": 1})) == (400, "bad_request")


async def test_only_external_runs_are_reported_on(api: httpx2.AsyncClient) -> None:
    assert problem(await api.post(EVENTS, json=[DONE])) == (404, "not_found")
    await api.post(RUNS, json={"id": "x", "command": ["sleep", "60"], "grace_s": 0})
    assert problem(await api.post(EVENTS, json=[DONE])) == (409, "not_external")


async def test_external_run_takes_no_input(api: httpx2.AsyncClient) -> None:
    await start(api)
    answer = await api.post(f"{PATH}/input", json={"text": "x"})
    assert problem(answer) == (409, "input_closed")


async def test_cancel_ends_it_at_once_for_all_who_watch(live: Live) -> None:
    await start(live.client)
    async with live.stream(f"{PATH}/stream", params={"after": "now"}) as frames:
        answer = await live.client.post(f"{PATH}/cancel")
        assert (answer.status_code, answer.json()["run"]["status"]) == (202, "cancelled")
        told = [frame async for frame in frames]
    assert [frame.event for frame in told] == ["status", "end"]
    assert told[0].data["reason"] == "cancelled"
    assert problem(await live.client.post(f"{PATH}/cancel")) == (409, "run_ended")


async def test_deleting_it_while_it_runs_ends_its_streams(live: Live) -> None:
    await start(live.client)
    async with live.stream(f"{PATH}/stream") as frames:
        assert (await anext(frames)).event == "status"
        assert (await live.client.delete(PATH)).status_code == 204
        (end,) = [frame async for frame in frames]
    assert (end.event, end.data) == ("end", {"run_id": "x", "last_seq": 1, "deleted": True})
    assert problem(await live.client.post(EVENTS, json=[DONE])) == (404, "not_found")
    answer = await live.client.post(RUNS, json={"external": True, "id": "x"})
    assert problem(answer) == (409, "id_deleted")


async def test_repeated_report_is_taken_once(api: httpx2.AsyncClient) -> None:
    await start(api)
    for number, drafts in enumerate([[output("a")], [output("b"), DONE]]):
        key = {"Idempotency-Key": str(number)}
        first, again = [await api.post(EVENTS, json=drafts, headers=key) for _ in range(2)]
        assert (again.status_code, again.content) == (first.status_code, first.content)
        assert again.headers["idempotency-replayed"] == "true"
    kinds = [kind for _, kind, _ in await log_of(api)]
    assert kinds == ["status", "output", "output", "status"]


async def test_repeated_report_of_nothing_new_is_answered_again(api: httpx2.AsyncClient) -> None:
    await start(api)
    key = {"Idempotency-Key": "k"}
    again = [{"type": "status", "data": {"status": "running"}}]
    answers = [await api.post(EVENTS, json=again, headers=key) for _ in range(2)]
    assert answers[0].content == answers[1].content
    assert answers[1].headers["idempotency-replayed"] == "true"


OUTPUTS: dict[str | None, str] = {
    None: "one\ntwoäthreeand so on",
    "stdout": "one\nthree",
    "stderr": "twoäand so on",
}


@pytest.mark.parametrize("stream", OUTPUTS)
async def test_output_is_the_reported_texts_joined(
    api: httpx2.AsyncClient, stream: str | None
) -> None:
    await start(api)
    await report(api, output("one\n"), {"type": "message", "data": {"text": "no output"}})
    await report(api, output("twoä") | {"data": {"stream": "stderr", "text": "twoä"}})
    await report(api, output("three"))
    await report(api, output("and so on") | {"data": {"stream": "stderr", "text": "and so on"}})
    query = {} if stream is None else {"stream": stream}
    answer = await api.get(f"{PATH}/output", params=query)
    assert answer.text == OUTPUTS[stream]
    part = await api.get(f"{PATH}/output", params=query, headers={"Range": "bytes=2-5"})
    assert (part.status_code, part.content) == (206, answer.content[2:6])
    assert part.headers["content-range"] == f"bytes 2-5/{len(answer.content)}"
    assert (await api.head(f"{PATH}/output", params=query)).status_code == 200


async def test_output_of_a_run_that_said_nothing_is_empty(api: httpx2.AsyncClient) -> None:
    await start(api)
    answer = await api.get(f"{PATH}/output")
    assert (answer.status_code, answer.content) == (200, b"")


async def test_output_has_long_texts_whole_and_bytes_as_they_were(
    api: httpx2.AsyncClient,
) -> None:
    await start(api)
    long = "ä" * INLINE_BYTES
    await report(api, output(long), output("\ufffd", raw="/w=="), output("?", raw="no base64"))
    assert (await api.get(f"{PATH}/output")).content == long.encode() + b"\xff?"
    (_, _, data) = (await log_of(api))[1]
    blob = await api.get(f"{PATH}/blobs/{data['text_blob']['id']}")
    assert blob.text == long


async def test_blob_that_a_client_made_up_breaks_nothing(api: httpx2.AsyncClient) -> None:
    await start(api)
    await report(api, output("short", text_blob={"id": "../../x", "size": 3}), output(1, stream=7))
    assert (await api.get(f"{PATH}/output")).text == "short1"


STRANGE: list[dict[str, Any]] = [
    *({"type": name, "data": {}} for name in EVENT_TYPES if name != "status"),
    *(
        {"type": name, "data": {"text": 1, "stream": [], "tool": {}, "run_id": "other"}}
        for name in EVENT_TYPES
        if name != "status"
    ),
    {"type": "output", "data": {"stream": "stdout", "text": "\0\r\n\n data: x\nid: 7\u2028"}},
    {"type": "custom", "data": {"name": "\n\nevent: end", "value": None, "envelope": 3}},
]


@pytest.mark.parametrize("wire", WIRES)
async def test_every_wire_tells_of_it_to_the_end_whatever_was_reported(
    live: Live, wire: str
) -> None:
    await start(live.client)
    await report(live.client, *STRANGE, DONE)
    last = len(STRANGE) + 2
    query = {"format": wire}
    async with asyncio.timeout(10):
        whole = await live.client.get(f"{PATH}/stream", params=query)
        at_end = await live.client.get(f"{PATH}/stream", params=query | {"after": last - 1})
    assert whole.status_code == 200
    if wire == "ndjson":
        seqs = [json.loads(line).get("seq") for line in whole.text.splitlines()]
        assert seqs[:last] == list(range(1, last + 1))
        return
    ids = [int(line[4:]) for line in whole.text.split("\n") if line.startswith("id: ")]
    assert ids == sorted(set(ids))
    assert ids[-1] in (last, last + 1)
    assert whole.text.endswith(at_end.text.partition("\n")[2])  # all but `retry:`


async def test_reported_data_cannot_speak_for_another_run(live: Live) -> None:
    await start(live.client)
    await report(live.client, *STRANGE, DONE)
    frames = await live.frames(f"{PATH}/stream")
    assert {frame.data["run_id"] for frame in frames} == {"x"}


async def workspace(runtime: Runtime, name: str) -> None:
    await runtime.workspaces.put(name, name, f"/tmp/{name}")


async def test_stream_of_all_runs_can_be_that_of_one_workspace(
    runtime: Runtime, live: Live
) -> None:
    for name in ("one", "two"):
        await workspace(runtime, name)
        await live.client.post(RUNS, json={"external": True, "id": name, "workspace_id": name})
    query: dict[str, Any] = {"after": "0"}
    everything = await live.frames(f"{RUNS}/stream/all", 2, params=query)
    assert [frame.data["run_id"] for frame in everything] == ["one", "two"]
    async with live.stream(f"{RUNS}/stream/all", params=query | {"workspace": "two"}) as frames:
        assert (await anext(frames)).data["run_id"] == "two"
        for name in ("one", "two"):
            await live.client.post(f"{RUNS}/{name}/events", json=[output(name)])
        assert (await anext(frames)).data["line"] == "two"


async def test_stream_of_an_unknown_workspace_is_refused(api: httpx2.AsyncClient) -> None:
    answer = await api.get(f"{RUNS}/stream/all", params={"workspace": "nowhere"})
    assert problem(answer) == (400, "unknown_workspace")
