"""Blobs: the whole of a text that was too long for its event."""

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from runcast.core.limits import INLINE_BYTES
from runcast.web.schemas import Problem
from tests.web.conftest import RUNS

RunCommand = Callable[..., Awaitable[dict[str, Any]]]
TEXT = "äöü" + "0123456789" * (INLINE_BYTES // 5)


@pytest.fixture
async def blob(run: RunCommand, api: httpx2.AsyncClient, tmp_path: Path) -> str:
    """The path of a blob that holds TEXT."""
    said = tmp_path / "said.jsonl"
    said.write_text(json.dumps({"type": "text", "text": TEXT}) + "\n")
    shown = await run("cat", str(said), dialect="jsonl")
    path = f"{RUNS}/{shown['id']}"
    events = (await api.get(f"{path}/events")).json()["events"]
    (data,) = (event["data"] for event in events if event["type"] == "message")
    assert TEXT.startswith(data["text"])
    assert data["text_blob"]["size"] == len(TEXT.encode())
    return f"{path}/blobs/{data['text_blob']['id']}"


async def test_a_blob_is_a_download_that_no_browser_interprets(
    api: httpx2.AsyncClient, blob: str
) -> None:
    answer = await api.get(blob)
    assert (answer.status_code, answer.text) == (200, TEXT)
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["content-disposition"].startswith("attachment;")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-length"] == str(len(TEXT.encode()))


async def test_a_blob_is_given_in_ranges(api: httpx2.AsyncClient, blob: str) -> None:
    answer = await api.get(blob, headers={"Range": "bytes=2-7"})
    assert (answer.status_code, answer.content) == (206, "öü01".encode())
    assert answer.headers["content-range"] == f"bytes 2-7/{len(TEXT.encode())}"
    tail = await api.get(blob, headers={"Range": "bytes=-3"})
    assert (tail.status_code, tail.content) == (206, b"789")
    beyond = await api.get(blob, headers={"Range": "bytes=9999999-"})
    assert beyond.status_code == 416
    assert beyond.headers["content-range"] == f"bytes */{len(TEXT.encode())}"


async def test_head_says_what_get_would(api: httpx2.AsyncClient, blob: str) -> None:
    got, head = await api.get(blob), await api.head(blob)
    assert (head.status_code, head.headers, head.content) == (200, got.headers, b"")


NO_BLOBS = ["0", "ff" * 16, "run.json", "../run.json", "..%2Frun.json", "%2e%2e", "ABCDEF", "a%00"]


@pytest.mark.parametrize("name", NO_BLOBS)
async def test_no_other_file_of_a_run_is_a_blob(
    api: httpx2.AsyncClient, blob: str, name: str
) -> None:
    answer = await api.get(f"{blob.rpartition('/')[0]}/{name}")
    assert (answer.status_code, Problem.model_validate(answer.json()).error.code) == (
        *(404, "not_found"),
    )


async def test_a_blob_belongs_to_its_run(
    api: httpx2.AsyncClient, run: RunCommand, blob: str
) -> None:
    other = await run("true")
    name = blob.rpartition("/")[2]
    assert (await api.get(f"{RUNS}/{other['id']}/blobs/{name}")).status_code == 404


async def test_a_blob_goes_with_its_run(api: httpx2.AsyncClient, blob: str) -> None:
    await api.delete(blob.rpartition("/blobs/")[0])
    assert (await api.get(blob)).status_code == 404
