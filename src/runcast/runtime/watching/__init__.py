"""Watching: log files that others write become runs, and are read while somebody follows them."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import structlog

from runcast.config import Settings
from runcast.config_watch import WatchEntry, resolve
from runcast.core.errors import Unavailable
from runcast.core.events import run_log
from runcast.runtime.logs import Logs
from runcast.runtime.watching.discovery import Around, Discovery
from runcast.runtime.watching.interest import Interest
from runcast.runtime.watching.reader import Reader
from runcast.runtime.watching.registry import load
from runcast.runtime.watching.source import Watched
from runcast.runtime.workspaces import Workspaces
from runcast.tail.hints import Hints

RETRY_S = 1.0  # after storage refused to tell what there is

log = structlog.get_logger(__name__)


class EntryState(msgspec.Struct, frozen=True, kw_only=True):
    """How one entry of the settings stands.

    `sources` are all that became runs, `ended` those whose latest run has ended; of the others some
    are `tailed` now, and some hold what is `not_ingested` because nobody follows them. What is
    `left_alone` is neither, since its run was cancelled or deleted, or can have no id. Files that
    are `older` are generations of others. `hints` says that the system tells of changes, `problem`
    why nothing, or not all, is found.
    """

    entry: WatchEntry
    sources: int
    tailed: int
    ended: int
    left_alone: int
    older: int
    not_ingested: int
    unreadable: int
    hints: bool
    problem: str | None


class Watching:
    """Looks after the entries of `watch:` in the settings.

    Every source that is found becomes a run. What its files say is committed while somebody follows
    the run, or always if the entry says so: each line once, across restarts.
    """

    def __init__(
        self, logs: Logs, settings: Settings, folders: Path, workspaces: Workspaces
    ) -> None:
        self._entries = {name: resolve(name, given) for name, given in settings.watch.items()}
        self._logs = logs
        self._sse = settings.api.sse
        self._folders = folders
        self._workspaces = workspaces
        self._around: Around | None = None  # as long as there is anything to watch
        self._discoveries: dict[str, Discovery] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look and to read, if there is anything to watch."""
        if not self._entries:
            self._task = asyncio.create_task(self._tell())
            return
        hints = Hints()
        reader = Reader(self._logs, self._folders, hints, self._sse.poll_interval_ms / 1000)
        interest = Interest(reader.turn)
        thread = ThreadPoolExecutor(1, "runcast-scan")
        around = Around(self._logs.store, self._workspaces, reader, interest, hints, thread)
        interval_s = self._sse.discovery_interval_ms / 1000
        for name, entry in self._entries.items():
            earlier = list(self._discoveries.values())
            self._discoveries[name] = Discovery(entry, around, interval_s, earlier)
        self._logs.on_interest = interest.note
        self._around = around
        self._task = asyncio.create_task(self._run(reader))

    async def close(self) -> None:
        """Stop everything, and give all descriptors back."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._around is None:
            return
        self._logs.on_interest = None
        self._around.thread.shutdown()
        await self._around.reader.close()
        self._around.hints.close()

    def forget(self, run_ids: Iterable[str]) -> None:
        """Leave the files of runs alone for good: these were cancelled or deleted."""
        if self._around is not None:
            for run_id in run_ids:
                for source in self._around.interest.sources(run_log(run_id)):
                    source.close()
                    self._around.reader.drop(source)

    def not_ingested(self, workspace_id: str | None = None, run_id: str | None = None) -> int:
        """Count the sources whose files say more than their log, as of the last look."""
        return sum(
            source.unread
            and workspace_id in (None, source.run.workspace_id)
            and run_id in (None, source.run.id)
            for source in self._sources()
        )

    @property
    def unknown_lines(self) -> Mapping[str, int]:
        """How many lines of agents nobody understood since the start, by dialect."""
        return {} if self._around is None else self._around.reader.unknown_lines

    def entries(self) -> list[EntryState]:
        """Tell how each entry stands, in the order of the settings."""
        return [self._state(one) for one in self._discoveries.values()]

    def _state(self, discovery: Discovery) -> EntryState:
        assert self._around is not None
        sources = list(discovery.sources.values())
        tailed = self._around.reader.is_tailed
        return EntryState(
            entry=discovery.entry,
            sources=len(sources),
            tailed=sum(map(tailed, sources)),
            ended=sum(source.stage == "ended" for source in sources),
            left_alone=sum(source.stage == "closed" for source in sources) + len(discovery.left),
            older=discovery.older,
            not_ingested=sum(source.unread for source in sources),
            unreadable=sum(bool(source.told) for source in sources),
            hints=discovery.hinted,
            problem=discovery.problem,
        )

    def _sources(self) -> Iterator[Watched]:
        for discovery in self._discoveries.values():
            yield from discovery.sources.values()

    async def _run(self, reader: Reader) -> None:
        for source in await self._loaded():
            self._discoveries[source.entry.name].adopt(source)
        discoveries = self._discoveries.values()
        await asyncio.gather(reader.run(), *[discovery.run() for discovery in discoveries])

    async def _tell(self) -> None:
        """Tell of the runs of entries that are not in the settings any more."""
        await self._loaded()

    async def _loaded(self) -> list[Watched]:
        while True:
            try:
                return await load(self._logs.store, self._entries)
            except Exception as error:  # whatever it is: without this, nothing is watched
                log.warning("watch.loads_again", exc_info=not isinstance(error, Unavailable))
                await asyncio.sleep(RETRY_S)
