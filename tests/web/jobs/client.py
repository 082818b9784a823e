"""A client of jobs, and external runs in their place whose log the tests write themselves."""

import asyncio
from typing import Any

from runcast.core.events import Lines, run_log
from runcast.runtime.external import ExternalSpec
from runcast.runtime.runtime import Runtime
from tests.web.live import Frame, Live

EXECUTE = "/api/execute"
UNKNOWN = "01234567-89ab-cdef-0123-456789abcdef"


def stream(job_id: str) -> str:
    return f"/api/stream/{job_id}"


async def execute(live: Live, tool: str, project: str = "default", **args: Any) -> str:
    body = {"toolId": tool, "projectId": project, "args": args}
    answer = await live.client.post(EXECUTE, json=body)
    assert answer.status_code == 200, answer.text
    job_id: str = answer.json()["data"]["jobId"]
    return job_id


async def watch(live: Live, job_id: str, **options: Any) -> list[Frame]:
    """Read a job's stream to the frame that ends it; nothing closes it after that."""
    frames = []
    async with asyncio.timeout(20), live.stream(stream(job_id), **options) as opened:
        async for frame in opened:
            frames.append(frame)
            if frame.event != "output":
                return frames
    raise AssertionError("the stream was closed before the job ended")


def lines(frames: list[Frame]) -> list[str]:
    return [frame.data["line"] for frame in frames if frame.event == "output"]


async def add_run(runtime: Runtime, run_id: str, lines: int = 5) -> None:
    """Add an external run: nothing is executed, its log is written by the test."""
    await runtime.external.start(ExternalSpec(id=run_id))
    texts = [f"line {n}" for n in range(2, lines + 2)]
    await runtime.store.append(run_log(run_id), [Lines(1, "stdout", texts)])


async def end_run(runtime: Runtime, run_id: str) -> None:
    await runtime.external.update(run_id, {}, "completed")


async def running(live: Live, job_id: str) -> None:
    """Wait until a job has left the queue."""
    async with asyncio.timeout(10):
        while (await live.client.get(f"/api/v1/runs/{job_id}")).json()["run"]["status"] == "queued":
            await asyncio.sleep(0.01)
