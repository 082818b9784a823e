"""A runtime that watches a folder, and what the tests ask of it without following anything."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from runcast.config import Api, Settings, Sse
from runcast.config_watch import WatchSettings
from runcast.core.events import Event, run_log
from runcast.runtime.pages import Key
from runcast.runtime.runtime import Runtime
from runcast.runtime.watching import EntryState
from runcast.stores import ALL_RUNS, RunFilter

PLENTY = 1 << 30


def settings(data_dir: Path, root: Path, **fields: Any) -> Settings:
    """Make settings with one entry, `logs`, that is looked at often."""
    return Settings(
        data_dir=str(data_dir),
        api=Api(sse=Sse(discovery_interval_ms=50, poll_interval_ms=10)),
        watch={"logs": WatchSettings(root=str(root), **fields)},
    )


@asynccontextmanager
async def watching(given: Settings) -> AsyncIterator["Watcher"]:
    """Open a runtime with these settings, and close it at the end."""
    runtime = await Runtime.open(given)
    try:
        yield Watcher(runtime)
    finally:
        await runtime.close()


class Watcher:
    """A runtime that watches, and questions about it that wait for what they ask for."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime

    @property
    def state(self) -> EntryState:
        """How the only entry stands."""
        (state,) = self.runtime.watching.entries()
        return state

    async def runs(self) -> dict[str, str]:
        """Return the status of every run, by its id."""
        found = await self.runtime.store.runs(RunFilter(), 10_000)
        return {run.id: run.status for run in reversed(found)}

    async def events(self, run_id: str) -> list[Event]:
        """Return the events of a run, but for those of its status; follows nothing."""
        batches = await self.runtime.store.read(run_log(run_id), 0, PLENTY)
        events = [event for batch in batches for event in batch.events()]
        return [event for event in events if event.type != "status"]

    async def said(self, run_id: str) -> list[str]:
        """Return the texts of a run's output, and what else it says by its type and reason."""
        return [_said(event) for event in await self.events(run_id)]

    async def until_said(self, run_id: str, *texts: str) -> None:
        """Wait until a run says exactly this."""
        said: list[str] = []

        async def all_said() -> bool:
            said[:] = await self.said(run_id)
            return said == list(texts) or len(said) > len(texts)

        try:
            await until(all_said)
        finally:
            assert said == list(texts), said

    async def until_runs(self, **statuses: str) -> None:
        """Wait until there are exactly these runs; in their ids `_` stands for a dot."""
        wanted = {name.replace("_", "."): status for name, status in statuses.items()}
        found: dict[str, str] = {}

        async def all_there() -> bool:
            found.clear()
            found.update(await self.runs())
            return found == wanted

        try:
            await until(all_there)
        finally:
            assert found == wanted, found

    @contextmanager
    def following(self, key: Key = ALL_RUNS) -> Any:
        """Follow a selection, without reading what comes."""
        assert not isinstance(key, str)
        follower = self.runtime.logs.follow_where(key, 0)
        try:
            yield follower
        finally:
            follower.close()


def _said(event: Event) -> str:
    match event.type:
        case "output":
            mark = "…" if event.data.get("partial") else ""
            stream = "! " if event.data["stream"] == "stderr" else ""
            return f"{stream}{event.data['text']}{mark}"
        case "gap":
            return f"<gap {event.data['reason']}>"
    return f"<{event.type}>"


async def until(condition: Callable[[], Any], timeout: float = 10) -> None:
    """Wait until a condition is true; it may be a coroutine function."""
    deadline = time.monotonic() + timeout
    while True:
        found = condition()
        if asyncio.iscoroutine(found):
            found = await found
        if found:
            return
        assert time.monotonic() < deadline, f"waited {timeout:g} s in vain"
        await asyncio.sleep(0.01)


def append(path: Path, text: str) -> None:
    """Write on in a file."""
    with path.open("a", newline="") as file:
        file.write(text)
