"""`?grep=`: every stream, in every format, leaves out what does not say the text."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from runcast.config import Settings
from runcast.core.events import Draft, Lines, run_log
from runcast.core.runs import Run
from runcast.runtime.runtime import Runtime
from runcast.wires import WIRES
from tests.web.live import Live

PATHS = {
    "run": "/api/v1/runs/r/stream?after=0",
    "all": "/api/v1/runs/stream/all?after=0",
    "workspace": "/api/v1/runs/stream/all?after=0&workspace=default",
}
HITS = ["a PEAR", "PEARS", "last PEAR"]
# As text and as the content of a tool; what is left out stands between.
SAID = [
    Lines(1, "stdout", ["an apple", HITS[0], "plums"]),
    Draft(1, "tool_result", {"tool_call_id": "t", "ok": True, "content": HITS[1], "tool": "Bash"}),
    Draft(1, "message", {"role": "assistant", "text": "no pears"}),
]


@pytest.fixture
async def runtime(data_dir: Path) -> AsyncIterator[Runtime]:
    runtime = await Runtime.open(Settings(data_dir=str(data_dir)))
    run = Run(id="r", key="r", task_id="r", source="external", status="running")
    await runtime.store.create(run)
    await runtime.store.append(run_log("r"), SAID)
    yield runtime
    await runtime.close()


async def read_until(live: Live, path: str, last: str) -> str:
    text = ""
    async with asyncio.timeout(10), live.client.stream("GET", path) as response:
        assert response.status_code == 200
        async for piece in response.aiter_text():
            text += piece
            if last in text:
                break
    return text


@pytest.mark.parametrize("name", WIRES)
@pytest.mark.parametrize("path", PATHS)
async def test_only_what_says_the_text_is_streamed_kept_or_new(
    live: Live, runtime: Runtime, path: str, name: str
) -> None:
    reading = asyncio.create_task(
        read_until(live, f"{PATHS[path]}&format={name}&grep=PEAR", HITS[2])
    )
    async with asyncio.timeout(10):
        while not (await live.client.get("/api/v1/status")).json()["streams"]:
            await asyncio.sleep(0.01)
    await runtime.store.append(run_log("r"), [Lines(2, "stderr", ["a plum", HITS[2]])])
    text = await reading
    assert [hit for hit in HITS if hit in text] == HITS
    assert not [fruit for fruit in ("apple", "plum", "pears") if fruit in text]


@pytest.mark.parametrize("name", WIRES)
async def test_a_search_for_quotes_finds_them_as_they_were_said(
    live: Live, runtime: Runtime, name: str
) -> None:
    call = Draft(1, "tool_call", {"tool": "Bash", "input": {"command": 'echo "a b"'}})
    end = Draft(1, "thought", {"text": 'echo "a b" was the last'})
    await runtime.store.append(run_log("r"), [call, Lines(1, "stdout", ["a b"]), end])
    path = f"{PATHS['run']}&format={name}&grep=echo%20%22a%20b%22"
    text = await read_until(live, path, "was the last")
    assert text.count("echo") == 2
