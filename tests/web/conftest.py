"""A runtime on a fresh data folder, and clients of it: in process, and over a socket."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from runcast.config import Auth, Queue, Settings
from runcast.runtime.runtime import Runtime
from runcast.stores import RunFilter
from runcast.web.app import create_app
from tests.web.live import Live, serving

ADDRESS = "http://127.0.0.1:7890"
RUNS = "/api/v1/runs"


@pytest.fixture
def settings(data_dir: Path) -> Settings:
    return Settings(
        data_dir=str(data_dir),
        queue=Queue(max_concurrent_runs=2),
        auth=Auth(allowed_hosts=["box.lan"], allowed_origins=["https://tools.example"]),
    )


@pytest.fixture
async def runtime(settings: Settings) -> AsyncIterator[Runtime]:
    runtime = await Runtime.open(settings)
    yield runtime
    runtime.draining = False
    for run in await runtime.list(RunFilter(statuses=["queued", "running"]), 500):
        await runtime.cancel(run.id)
    async with asyncio.timeout(10):
        while any(not run.ended for run in await runtime.list(RunFilter(), 500)):
            await asyncio.sleep(0.02)
    await runtime.close()


@pytest.fixture
async def api(runtime: Runtime) -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(create_app(runtime), raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url=ADDRESS) as client:
        yield client


@pytest.fixture
async def live(runtime: Runtime) -> AsyncIterator[Live]:
    async with serving(runtime) as live:
        yield live


@pytest.fixture
def run(api: httpx2.AsyncClient) -> Callable[..., Awaitable[dict[str, Any]]]:
    """Run a command to its end: `await run("echo", "hi", cwd="/tmp")`."""

    async def run_command(*command: str, **fields: Any) -> dict[str, Any]:
        answer = await api.post(RUNS, json={"command": command, **fields})
        assert answer.status_code == 201, answer.text
        run_id = answer.json()["run"]["id"]
        ended = await api.get(f"{RUNS}/{run_id}", params={"wait_s": 20})
        shown: dict[str, Any] = ended.json()["run"]
        assert shown["ended_at"], shown
        return shown

    return run_command
