"""Raw output: whole, by stream and by range."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import pytest

from tests.web.conftest import RUNS

RunCommand = Callable[..., Awaitable[dict[str, Any]]]
TEXT = b"0123456789"


@pytest.fixture
async def digits(run: RunCommand) -> str:
    """The path of the output of a run that printed ten digits."""
    shown = await run("printf", TEXT.decode())
    return f"{RUNS}/{shown['id']}/output"


async def test_output_is_a_download_that_no_browser_interprets(
    api: httpx2.AsyncClient, digits: str
) -> None:
    answer = await api.get(digits)
    assert (answer.status_code, answer.content) == (200, TEXT)
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["content-disposition"].startswith("attachment;")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-length"] == "10"
    assert answer.headers["accept-ranges"] == "bytes"


async def test_every_byte_comes_back(run: RunCommand, api: httpx2.AsyncClient) -> None:
    program = "import os; os.write(1, bytes(range(256)) * 2000 + b'no newline')"
    shown = await run("python3", "-c", program)
    answer = await api.get(f"{RUNS}/{shown['id']}/output")
    assert answer.content == bytes(range(256)) * 2000 + b"no newline"


async def test_streams_can_be_told_apart(run: RunCommand, api: httpx2.AsyncClient) -> None:
    shown = await run("bash", "-c", "echo out; echo err >&2")
    path = f"{RUNS}/{shown['id']}/output"
    assert (await api.get(path, params={"stream": "stdout"})).content == b"out\n"
    assert (await api.get(path, params={"stream": "stderr"})).content == b"err\n"
    assert sorted((await api.get(path)).content.splitlines()) == [b"err", b"out"]


RANGES: list[tuple[str, bytes, str]] = [
    ("bytes=0-0", b"0", "0-0"),
    ("bytes=2-4", b"234", "2-4"),
    ("bytes=7-", b"789", "7-9"),
    ("bytes=7-99999", b"789", "7-9"),
    ("bytes=-3", b"789", "7-9"),
    ("bytes=-100", TEXT, "0-9"),
    ("Bytes=0-9", TEXT, "0-9"),
]


@pytest.mark.parametrize(("wanted", "content", "place"), RANGES)
async def test_a_range_gives_its_bytes_and_says_which(
    api: httpx2.AsyncClient, digits: str, wanted: str, content: bytes, place: str
) -> None:
    answer = await api.get(digits, headers={"Range": wanted})
    assert (answer.status_code, answer.content) == (206, content)
    assert answer.headers["content-range"] == f"bytes {place}/10"
    assert answer.headers["content-length"] == str(len(content))


@pytest.mark.parametrize("wanted", ["bytes=10-", "bytes=10-20", "bytes=999999999-", "bytes=-0"])
async def test_a_range_beyond_the_end_is_refused(
    api: httpx2.AsyncClient, digits: str, wanted: str
) -> None:
    answer = await api.get(digits, headers={"Range": wanted})
    assert (answer.status_code, answer.json()["error"]["code"]) == (416, "range_not_satisfiable")
    assert answer.headers["content-range"] == "bytes */10"


NO_RANGES = ["bytes=", "bytes=-", "bytes=4-2", "bytes=0-1,3-4", "lines=0-1", "bytes=a-b", "0-1", ""]


@pytest.mark.parametrize("wanted", NO_RANGES)
async def test_what_is_no_single_range_gets_everything(
    api: httpx2.AsyncClient, digits: str, wanted: str
) -> None:
    answer = await api.get(digits, headers={"Range": wanted})
    assert (answer.status_code, answer.content) == (200, TEXT)


async def test_a_conditional_range_gets_everything(api: httpx2.AsyncClient, digits: str) -> None:
    answer = await api.get(digits, headers={"Range": "bytes=0-1", "If-Range": '"etag"'})
    assert (answer.status_code, answer.content) == (200, TEXT)


async def test_head_says_what_get_would(api: httpx2.AsyncClient, digits: str) -> None:
    for headers in ({}, {"Range": "bytes=2-4"}):
        got = await api.get(digits, headers=headers)
        head = await api.head(digits, headers=headers)
        assert (head.status_code, head.headers) == (got.status_code, got.headers)
        assert head.content == b""


async def test_output_is_there_while_the_run_goes_on(
    api: httpx2.AsyncClient, run: RunCommand
) -> None:
    answer = await api.post(RUNS, json={"command": ["bash", "-c", "echo early; sleep 60"]})
    path = f"{RUNS}/{answer.json()['run']['id']}"
    params = {"after": "0"}
    while not any(
        event["type"] == "output"
        for event in (await api.get(f"{path}/events", params=params)).json()["events"]
    ):
        await api.get(path, params={"wait_s": 0.05})
    assert (await api.get(f"{path}/output")).content == b"early\n"


async def test_a_run_that_printed_nothing_has_empty_output(
    api: httpx2.AsyncClient, run: RunCommand
) -> None:
    shown = await run("true")
    answer = await api.get(f"{RUNS}/{shown['id']}/output")
    assert (answer.status_code, answer.content) == (200, b"")
