"""Discovery: the files of one entry are found, compared with their runs, and become runs."""

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import Executor
from contextlib import suppress
from functools import partial
from pathlib import PurePath
from typing import NamedTuple

import structlog

from runcast.config_watch import WatchEntry
from runcast.core.errors import NotFound, StaleCheckpoint, Unavailable
from runcast.runtime.watching import births
from runcast.runtime.watching.births import Birth
from runcast.runtime.watching.handover import Handover
from runcast.runtime.watching.interest import Interest
from runcast.runtime.watching.newcomers import Newcomer
from runcast.runtime.watching.reader import Reader
from runcast.runtime.watching.source import States, Watched
from runcast.runtime.watching.survey import Hinted, Sight, Survey, Surveyor
from runcast.runtime.workspaces import Workspaces
from runcast.stores import Addition, Store
from runcast.tail import hints
from runcast.tail.hints import Hints, Ticket
from runcast.tail.marks import PAST_MARKS, State
from runcast.tail.scan import Found

PAUSE_S = 0.010  # between two scans, at least
PAUSE_FACTOR = 10  # a scan may take a tenth of the time
_MASK = hints.CREATE | hints.MOVED_TO | hints.MOVED_FROM | hints.DELETE | hints.ATTRIB

log = structlog.get_logger(__name__)


class Around(NamedTuple):
    """What the discoveries of all entries share."""

    store: Store
    workspaces: Workspaces
    reader: Reader
    interest: Interest
    hints: Hints
    thread: Executor  # where surveys are done, one at a time


class Discovery:
    """Looks after one entry: its sources, each with its latest run, by their path.

    Looks at everything at every interval, and between at what was hinted at; a look that took long
    makes the next one wait. New sources become runs in one commit, so that where they begin to be
    read is settled when they are found.
    """

    def __init__(
        self,
        entry: WatchEntry,
        around: Around,
        interval_s: float,
        earlier: Sequence["Discovery"] = (),
    ) -> None:
        """Leave the ids to the `earlier` entries where these find the same files."""
        self.entry = entry
        self.sources: dict[str, Watched] = {}
        self.left: dict[str, States] = {}  # files that are to have no run, by path
        self.older = 0  # files that are older generations of others
        self.problem: str | None = None
        self._around = around
        self._interval_s = interval_s
        self._earlier = [one for one in earlier if _overlap(one.entry.root, entry.root)]
        self._surveyor = Surveyor(entry, interval_s)
        self._tickets: dict[str, Ticket | None] = {}
        # A marker may be written in place.
        self._mask = _MASK | (hints.CLOSE_WRITE if entry.end == "marker" else 0)
        self._found: Found | None = None
        self._hints: dict[str, set[str]] | None = None  # None: anything may have changed
        self._full_at = 0.0  # when to look at everything again
        self._ready = False  # there is the workspace
        self._hint = asyncio.Event()
        self._looking = asyncio.Lock()

    @property
    def hinted(self) -> bool:
        """Whether the system tells of changes in all folders of the entry."""
        tickets = self._tickets.values()
        return bool(tickets) and all(ticket is not None and ticket.alive for ticket in tickets)

    def adopt(self, source: Watched) -> None:
        """Take in a source with its latest run, in the place of an older one."""
        if (before := self.sources.get(source.path)) is not None:
            self._around.interest.remove(before)
        self.sources[source.path] = source
        self._around.interest.add(source)

    async def run(self) -> None:
        """Look again and again, for as long as this is not cancelled."""
        await self._workspace()
        while True:
            await self._pause(await self.look())

    async def look(self) -> float:
        """Look at what was hinted at, or at everything if that is due; make runs of what is new.

        Returns how long the look at the files took if it was not planned. Never raises: what went
        wrong is tried again at the next look.
        """
        async with self._looking:
            try:
                return await self._survey() if await self._is_ready() else 0.0
            except Unavailable as error:
                log.warning("watch.discovery_waits", entry=self.entry.name, error=error.message)
            except StaleCheckpoint:
                self._hint.set()  # a file that was renamed is still read on in its first run
            except Exception:
                log.exception("watch.looks_again", entry=self.entry.name)
        return 0.0

    async def look_at_all(self) -> None:
        """Look at everything now; never raises."""
        self._hints = None
        await self.look()

    async def _workspace(self) -> None:
        """Wait until there is the workspace to which the runs are to belong."""
        while not await self._is_ready():
            if self.problem is None:
                self.problem = f"there is no workspace {self.entry.workspace!r}"
                log.warning("watch.no_workspace", entry=self.entry.name, problem=self.problem)
            await asyncio.sleep(self._interval_s)

    async def _is_ready(self) -> bool:
        if not self._ready:
            with suppress(NotFound, Unavailable):
                await self._around.workspaces.get(self.entry.workspace)
                self._ready, self.problem = True, None
        return self._ready

    async def _pause(self, took: float) -> None:
        await asyncio.sleep(max(PAUSE_S, PAUSE_FACTOR * took))
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, self._full_at - time.monotonic())):
                await self._hint.wait()

    async def _survey(self) -> float:
        """Look once, and do what follows; return how long the look took if it was not planned."""
        self._hint.clear()
        hinted, self._hints = self._hints, {}
        if planned := time.monotonic() >= self._full_at:
            hinted = None
        work = asyncio.get_running_loop().run_in_executor
        survey, took = await work(self._around.thread, self._measured, hinted)
        if hinted is None:
            self._full_at = time.monotonic() + max(self._interval_s, PAUSE_FACTOR * took)
        self._take_in(survey)
        if survey.newcomers:
            for other in self._earlier:
                await other.look_at_all()
        await self._welcome(survey.newcomers)
        await self._give(list(filter(None, map(self._rebirth, survey.sights))))
        return 0.0 if planned else took

    def _measured(self, hinted: Hinted | None) -> tuple[Survey, float]:
        begun = time.monotonic()
        survey = self._surveyor.survey(dict(self.sources), dict(self.left), hinted)
        return survey, time.monotonic() - begun

    def _take_in(self, survey: Survey) -> None:
        found = survey.found
        self.problem, self.older = found.problem, survey.older
        if found is not self._found:
            self._found = found
            for path in found.sources.keys() & self.sources.keys():
                self.sources[path].source = found.sources[path]
            for path in self.left.keys() - found.sources.keys():
                if found.problem is None:
                    del self.left[path]  # whatever comes to be there is another file
        self._ask(found.folders)
        for sight in survey.sights:
            self._note(sight)

    def _ask(self, folders: Sequence[str]) -> None:
        """Ask for hints on all folders; what came between the look and that, nobody hints at."""
        hints = self._around.hints
        for folder in self._tickets.keys() - set(folders):
            hints.remove(self._tickets.pop(folder))
        for folder in folders:
            ticket = self._tickets.get(folder)
            if ticket is None or not ticket.alive:
                ticket = hints.add(folder, self._mask, partial(self._hinted_at, folder))
                self._tickets[folder] = ticket
                if ticket is not None:
                    self._add_hint(folder)

    def _hinted_at(self, folder: str, name: str, mask: int) -> None:
        if mask & hints.OVERFLOW:
            self._hints = None
        self._add_hint(folder, name)

    def _add_hint(self, folder: str, *names: str) -> None:
        if self._hints is not None:
            self._hints.setdefault(folder, set()).update(names)
        self._hint.set()

    def _note(self, sight: Sight) -> None:
        """Have a source read whose files say more than its log, if that is due."""
        source, reader = sight.source, self._around.reader
        if source.stage != "open":
            return
        source.note(says_more=sight.says_more, ending=sight.ending)
        if source.wanted:
            reader.nudge(source)
        elif sight.ending is not None or (sight.replaced and source.is_replaced_by(sight.glance)):
            reader.read_up(source)

    def _rebirth(self, sight: Sight) -> Birth | None:
        """Return the birth of another run, if the last one has ended and there is more to say."""
        source = sight.source
        if source.stage == "open" or not sight.says_more:
            return None
        states = source.states
        if source.stage == "closed" or self.entry.end == "rename":
            # Its files are done with: what is at the paths now is not their successor.
            states = {stream: _left(state) for stream, state in states.items()}
        return Birth(source.source, states, source.run)

    async def _welcome(self, newcomers: Sequence[Newcomer]) -> None:
        for start in range(0, len(newcomers), births.TOGETHER):
            handover = Handover(newcomers[start : start + births.TOGETHER])
            await self._give(handover.births, handover.additions)
            handover.settle(self._around.reader)

    async def _give(self, all_births: Sequence[Birth], also: Sequence[Addition] = ()) -> None:
        for start in range(0, len(all_births), births.TOGETHER):
            some = all_births[start : start + births.TOGETHER]
            given = await births.give(self._around.store, self.entry, some, also)
            for source in given:
                self.adopt(source)
                self.left.pop(source.path, None)
            without = {birth.source.path for birth in some} - {source.path for source in given}
            self._leave([birth for birth in some if birth.source.path in without])

    def _leave(self, some: Sequence[Birth]) -> None:
        """Leave files alone whose id belongs to others, or belonged to a run that was deleted."""
        for birth in some:
            path = birth.source.path
            log.warning("watch.left_alone", entry=self.entry.name, path=path)
            if path in self.sources:
                self.sources[path].close()
            else:
                self.left[path] = birth.states


def _left(state: State) -> State:
    """Return the state of a tail that has left all its files, but knows them."""
    return State(past=list(state.all())[:PAST_MARKS], confirmed=state.confirmed)


def _overlap(root: str, other: str) -> bool:
    paths = PurePath(root), PurePath(other)
    return paths[0].is_relative_to(paths[1]) or paths[1].is_relative_to(paths[0])
