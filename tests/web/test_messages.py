"""The message bus over HTTP: what is posted is kept, listed, and streamed to who follows."""

from typing import Any

import httpx2
import pytest

from runcast.core.events import MESSAGES
from runcast.runtime.clock import now
from runcast.runtime.runtime import Runtime
from runcast.web.schemas import MessagePage, Posted, Problem
from tests.web.conftest import RUNS
from tests.web.live import Frame, Live

PATH = "/api/v1/messages"
STREAM = f"{PATH}/stream"
HUGE = 2**63 - 1


async def post(api: httpx2.AsyncClient, **message: Any) -> str:
    """Post a message; return its id."""
    answer = await api.post(PATH, json={"body": "hello", **message})
    assert answer.status_code == 201, answer.text
    return Posted.model_validate(answer.json()).msg_id


async def page(api: httpx2.AsyncClient, **query: Any) -> MessagePage:
    answer = await api.get(PATH, params=query)
    assert answer.status_code == 200, answer.text
    return MessagePage.model_validate(answer.json())


async def bodies(api: httpx2.AsyncClient, **query: Any) -> list[str]:
    return [message.body for message in (await page(api, **query)).messages]


def problem(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, Problem.model_validate(answer.json()).error.code


async def test_posted_message_is_kept_whole(api: httpx2.AsyncClient) -> None:
    first = await post(api)
    about: dict[str, Any] = {
        "type": "AGENT",
        "project_id": "default",
        "task_id": "t-1",
        "run_id": "r-1",
        "parents": [first],
        "links": [{"url": "https://x.example/", "label": "x"}, {"url": "/y"}],
        "meta": {"deep": [1, None, "ä"]},
    }
    second = await post(api, body="ä\n\0", **about)
    plain, full = (await api.get(PATH)).json()["messages"]
    assert list(full) == [
        *("msg_id", "seq", "content", "body", "type", "timestamp"),
        *("project_id", "task_id", "run_id", "parents", "links", "meta"),
    ]
    del plain["timestamp"], full["timestamp"]
    texts = {"content": "ä\n\0", "body": "ä\n\0"}
    assert full == {"msg_id": second, "seq": 2, **texts, **about}
    assert plain == {
        "msg_id": first,
        "seq": 1,
        "content": "hello",
        "body": "hello",
        "type": "USER",
        **dict.fromkeys(("project_id", "task_id", "run_id")),
        "parents": [],
        "links": [],
        "meta": {},
    }


async def test_answer_names_the_time_that_the_message_has(api: httpx2.AsyncClient) -> None:
    answer = Posted.model_validate((await api.post(PATH, json={"content": "c"})).json())
    (message,) = (await page(api)).messages
    assert (message.msg_id, message.timestamp) == (answer.msg_id, answer.timestamp)
    assert message.body == "c"


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no text": ({}, "body"),
    "an empty text": ({"body": ""}, "body"),
    "an empty content": ({"content": ""}, "body"),
    "two texts": ({"body": "a", "content": "b"}, "content"),
    "a text that is none": ({"body": 1}, "body"),
    "an empty type": ({"body": "x", "type": ""}, "type"),
    "an unknown workspace": ({"body": "x", "project_id": "nowhere"}, "project_id"),
    "an id that is none": ({"body": "x", "run_id": "../x"}, "run_id"),
    "an unknown parent": ({"body": "x", "parents": ["nobody"]}, "parents"),
    "a link to nothing": ({"body": "x", "links": [{"url": ""}]}, "links.0.url"),
    "a link with more": ({"body": "x", "links": [{"url": "u", "x": 1}]}, "x"),
    "an unknown field": ({"body": "x", "bod": "y"}, "bod"),
    "a number that no one can store": ({"body": "x", "meta": {"n": 2**70}}, "meta"),
}


@pytest.mark.parametrize("case", WRONG)
async def test_message_that_is_wrong_is_refused_by_name(api: httpx2.AsyncClient, case: str) -> None:
    body, field = WRONG[case]
    answer = await api.post(PATH, json=body)
    assert answer.status_code == 400
    assert field in Problem.model_validate(answer.json()).error.message
    assert await bodies(api) == []


async def test_text_of_64_kib_is_the_longest(api: httpx2.AsyncClient) -> None:
    await post(api, body="ä" * 32 * 1024)
    answer = await api.post(PATH, json={"body": "ä" * 32 * 1024 + "x"})
    assert problem(answer) == (413, "body_too_large")
    assert [len(body) for body in await bodies(api)] == [32 * 1024]


async def test_repeated_post_is_one_message(api: httpx2.AsyncClient) -> None:
    key = {"Idempotency-Key": "k"}
    first, again = [await api.post(PATH, json={"body": "x"}, headers=key) for _ in range(2)]
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert again.headers["idempotency-replayed"] == "true"
    (message,) = (await page(api)).messages
    assert message.msg_id == first.json()["msg_id"]


async def test_pages_follow_one_another(api: httpx2.AsyncClient) -> None:
    for number in range(5):
        await post(api, body=str(number), task_id="even" if number % 2 == 0 else "odd")
    assert await bodies(api) == list("01234")
    first = await page(api, limit=2, task_id="even")
    assert [message.body for message in first.messages] == ["0", "2"]
    second = await page(api, limit=2, task_id="even", after=first.next_after)
    assert [message.body for message in second.messages] == ["4"]
    assert (await page(api, after=second.next_after)).messages == []
    assert await bodies(api, after="now") == []
    assert await bodies(api, after=3, task_id="odd") == ["3"]


FILTERS: dict[str, dict[str, str]] = {
    "a": {"project_id": "default"},
    "b": {"task_id": "t"},
    "c": {"run_id": "r"},
}


@pytest.mark.parametrize("wanted", FILTERS)
async def test_only_messages_about_something_are_given(live: Live, wanted: str) -> None:
    for body, about in FILTERS.items():
        await post(live.client, body=body, **about)
    assert await bodies(live.client, **FILTERS[wanted]) == [wanted]
    (frame,) = await live.frames(STREAM, 1, params={"after": "0", **FILTERS[wanted]})
    assert frame.data["body"] == wanted


async def test_uuids_are_compared_in_lower_case(api: httpx2.AsyncClient) -> None:
    task = "0A1B2C3D-0000-4000-8000-00000000000F"
    await post(api, task_id=task)
    assert await bodies(api, task_id=task) == await bodies(api, task_id=task.lower()) == ["hello"]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"after": "x"}, (400, "bad_cursor")),
        ({"after": "-1"}, (400, "bad_cursor")),
        ({"after": "2"}, (410, "cursor_ahead")),
        ({"after": str(HUGE)}, (410, "cursor_ahead")),
    ],
)
@pytest.mark.parametrize("path", [PATH, STREAM])
async def test_cursor_that_is_none_is_refused(
    api: httpx2.AsyncClient, path: str, query: dict[str, str], code: tuple[int, str]
) -> None:
    await post(api)
    assert problem(await api.get(path, params=query)) == code


async def test_stream_gives_what_is_posted_from_now_on(live: Live) -> None:
    await post(live.client, body="before")
    async with live.stream(STREAM) as frames:
        await post(live.client, body="a\n\ndata: b\r\nid: 9\u2028")
        frame = await anext(frames)
    (message,) = (await page(live.client, after=1)).messages
    assert (frame.event, frame.number) == ("message", 2)
    assert frame.data == (await live.client.get(PATH, params={"after": 1})).json()["messages"][0]
    assert message.body == "a\n\ndata: b\r\nid: 9\u2028"
    assert frame.retry is not None


async def test_resumed_stream_gives_each_message_once(live: Live) -> None:
    for number in range(6):
        await post(live.client, body=str(number))
    first = await live.frames(STREAM, 2, params={"after": "0"})
    headers = {"Last-Event-ID": str(first[-1].number)}
    rest = await live.frames(STREAM, 4, params={"after": "0"}, headers=headers)
    assert [frame.data["body"] for frame in first + rest] == list("012345")
    assert [frame.number for frame in first + rest] == [1, 2, 3, 4, 5, 6]


async def trimmed(runtime: Runtime, api: httpx2.AsyncClient) -> None:
    """Post four messages and remove the first two."""
    await post(api, body="0")
    await post(api, body="1")
    middle = now() + 1
    while now() <= middle:
        pass
    await post(api, body="2")
    await post(api, body="3")
    assert await runtime.store.trim(MESSAGES, middle) == 2


async def test_reader_is_told_of_messages_that_were_removed(runtime: Runtime, live: Live) -> None:
    await trimmed(runtime, live.client)
    assert await bodies(live.client) == ["2", "3"]
    assert problem(await live.client.get(PATH, params={"after": 1})) == (410, "gap")
    gap, *rest = await live.frames(STREAM, 3, params={"after": "1"})
    assert (gap.event, gap.number) == ("gap", 2)
    assert gap.data == {"after": 1, "first": 3, "reason": "retention"}
    assert [(frame.event, frame.number) for frame in rest] == [("message", 3), ("message", 4)]
    answer = await live.client.get(STREAM, params={"after": "1", "strict": "true"})
    assert problem(answer) == (410, "gap")
    assert answer.json()["error"]["details"] == gap.data


async def test_messages_about_a_run_do_not_enter_its_log(api: httpx2.AsyncClient) -> None:
    created = await api.post(RUNS, json={"external": True})
    run = created.json()["run"]
    await post(api, run_id=run["id"])
    assert (await api.get(f"{RUNS}/{run['id']}")).json()["run"]["last_seq"] == run["last_seq"]


async def test_draining_ends_the_stream_at_a_frame(runtime: Runtime, live: Live) -> None:
    frames: list[Frame] = []
    async with live.stream(STREAM) as stream:
        await post(live.client)
        frames.append(await anext(stream))
        runtime.drain()
        frames += [frame async for frame in stream]
    assert [frame.event for frame in frames] == ["message"]
