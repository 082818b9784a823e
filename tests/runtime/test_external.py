"""Runs that clients report, over a restart of the server: it has nothing to do with them."""

from pathlib import Path

import pytest

from runcast.config import External, Settings
from runcast.core.limits import INLINE_BYTES
from runcast.runtime import upkeep
from runcast.runtime.external import ExternalSpec, Report
from runcast.runtime.runtime import Runtime

LONG = "x" * (INLINE_BYTES + 1)


async def read(runtime: Runtime, run_id: str) -> bytes:
    output = runtime.output(await runtime.get(run_id), None)
    return b"".join([piece async for piece in output.chunks(0, await output.size())])


async def test_restart_leaves_them_as_they_are(data_dir: Path) -> None:
    settings = Settings(data_dir=str(data_dir))
    runtime = await Runtime.open(settings)
    for name, status in (("queued", "queued"), ("running", "running")):
        await runtime.external.start(ExternalSpec(id=name, status=status))
        told = Report("output", {"stream": "stdout", "text": LONG})
        await runtime.external.append(name, [told])
    before = [await runtime.get(name) for name in ("queued", "running")]
    await runtime.close()

    runtime = await Runtime.open(settings)
    assert [await runtime.get(name) for name in ("queued", "running")] == before
    assert await read(runtime, "queued") == LONG.encode()
    span = await runtime.external.append("running", [Report("status", {"status": "completed"})])
    assert span.last == before[1].last_seq + 1
    await runtime.close()


async def test_silent_run_is_lost_also_where_nothing_limits_what_is_kept(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "PAUSE_S", 0.01)
    settings = Settings(data_dir=str(data_dir), external=External(idle_timeout=0.05))
    runtime = await Runtime.open(settings)
    run = await runtime.external.start(ExternalSpec())
    ended = await runtime.wait(run.id, 20)
    assert (ended.status, ended.reason) == ("failed", "lost")
    await runtime.close()
