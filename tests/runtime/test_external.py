"""Runs that clients report, over a restart of the server: it has nothing to do with them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from runcast.config import External, Settings
from runcast.core.errors import Conflict, Unavailable
from runcast.core.limits import INLINE_BYTES
from runcast.runtime import upkeep
from runcast.runtime.external import ExternalSpec, Report
from runcast.runtime.runtime import Runtime

LONG = "x" * (INLINE_BYTES + 1)


@pytest.fixture
async def runtime(data_dir: Path) -> AsyncIterator[Runtime]:
    runtime = await Runtime.open(Settings(data_dir=str(data_dir)))
    yield runtime
    await runtime.close()


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


async def test_what_an_external_run_asked_is_withdrawn_when_it_ends(runtime: Runtime) -> None:
    run = await runtime.external.start(ExternalSpec())
    asked = {"id": "q", "tool": "Write", "input": {}, "state": "pending"}
    await runtime.external.append(run.id, [Report("approval", asked)])
    assert (await runtime.get(run.id)).pending_approvals == 1

    await runtime.external.append(run.id, [Report("status", {"status": "completed"})])

    ended = await runtime.get(run.id)
    assert (ended.status, ended.pending_approvals) == ("completed", 0)
    assert [approval.state for approval in await runtime.approvals(run.id)] == ["withdrawn"]


async def test_an_id_that_is_a_uuid_is_the_same_in_capitals(runtime: Runtime) -> None:
    small = "1c7a0000-0000-4000-8000-00000000abcd"
    await runtime.external.start(ExternalSpec(id=small.upper()))

    assert (await runtime.get(small)).id == small
    with pytest.raises(Conflict, match="exists"):
        await runtime.external.start(ExternalSpec(id=small))


async def test_a_long_text_that_cannot_be_kept_is_refused_and_nothing_of_it_is_stored(
    runtime: Runtime,
) -> None:
    run = await runtime.external.start(ExternalSpec(id="r"))
    in_the_way = runtime.data_dir.runs / run.key  # where its folder would have to be
    in_the_way.write_text("")
    told = Report("output", {"stream": "stdout", "text": LONG})
    with pytest.raises(Unavailable) as refused:
        await runtime.external.append("r", [told])
    assert refused.value.code == "storage"
    assert (await runtime.get("r")).last_seq == run.last_seq
    in_the_way.unlink()
    await runtime.external.append("r", [told])
    assert await read(runtime, "r") == LONG.encode()
