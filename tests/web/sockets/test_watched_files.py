"""Log files that others write are read while somebody is told of their runs on a WebSocket."""

import asyncio
from pathlib import Path

import pytest
from msgspec.structs import replace

from runcast.config import Settings
from runcast.config_watch import WatchSettings
from runcast.runtime.runtime import Runtime
from tests.web.live import Live
from tests.web.sockets.client import talking


@pytest.fixture
def settings(settings: Settings, tmp_path: Path) -> Settings:
    (tmp_path / "a.log").write_text("one\n")
    return replace(settings, watch={"logs": WatchSettings(root=str(tmp_path))})


async def tailed(runtime: Runtime, count: int) -> None:
    """Wait until so many files are read."""
    async with asyncio.timeout(10):
        while True:
            (entry,) = runtime.watching.entries()
            if entry.sources == 1 and entry.tailed == count:
                return
            await asyncio.sleep(0.01)


async def test_who_is_told_of_all_runs_has_their_files_read(runtime: Runtime, live: Live) -> None:
    await tailed(runtime, 0)
    async with talking(live, "/ws"):
        await tailed(runtime, 1)
    await tailed(runtime, 0)
    async with talking(live, "/ws?workspace=default"):
        await tailed(runtime, 1)
    await tailed(runtime, 0)


async def test_who_asks_for_nothing_has_nothing_read(runtime: Runtime, live: Live) -> None:
    await tailed(runtime, 0)
    async with talking(live, "/ws?lifecycle=false") as socket:
        assert (await socket.ask(type="ping"))["type"] == "pong"
        (entry,) = runtime.watching.entries()
        assert not entry.tailed
        await socket.ask(type="subscribe", runId="a.log")
        await tailed(runtime, 1)
    await tailed(runtime, 0)
