"""Discovery: the files of one entry are found, compared with their runs, and become runs."""

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import Executor
from contextlib import suppress
from typing import NamedTuple

import structlog

from runcast.config_watch import WatchEntry
from runcast.core.errors import NotFound, Unavailable
from runcast.runtime.watching import births
from runcast.runtime.watching.births import Birth
from runcast.runtime.watching.interest import Interest
from runcast.runtime.watching.reader import Reader
from runcast.runtime.watching.source import Watched
from runcast.runtime.watching.survey import Sight, Survey, Surveyor
from runcast.runtime.workspaces import Workspaces
from runcast.stores import Store
from runcast.tail import hints
from runcast.tail.hints import Hints, Ticket
from runcast.tail.marks import PAST_MARKS, State
from runcast.tail.scan import Found

PAUSE_S = 0.010  # between two scans, at least
PAUSE_FACTOR = 10  # a scan may take a tenth of the time
_MASK = hints.CREATE | hints.MOVED_TO | hints.MOVED_FROM | hints.DELETE | hints.ATTRIB
_CLOSE_WRITE = 0x8  # a marker may be written in place

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

    Looks at every interval, and at once when hinted at; a look that took long makes the next one
    wait. New sources become runs in one commit, so that where they begin to be read is settled
    when they are found.
    """

    def __init__(self, entry: WatchEntry, around: Around, interval_s: float) -> None:
        self.entry = entry
        self.sources: dict[str, Watched] = {}
        self.problem: str | None = None
        self._around = around
        self._interval_s = interval_s
        self._surveyor = Surveyor(entry, interval_s)
        self._spent: set[str] = set()  # paths that never become a run again
        self._tickets: dict[str, Ticket | None] = {}
        self._mask = _MASK | (_CLOSE_WRITE if entry.end == "marker" else 0)
        self._found: Found | None = None
        self._look = asyncio.Event()

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
            self._look.clear()
            took = 0.0
            try:
                took = await self._survey()
            except Unavailable as error:
                log.warning("watch.discovery_waits", entry=self.entry.name, error=error.message)
            except Exception:
                log.exception("watch.looks_again", entry=self.entry.name)
            await self._pause(took)

    async def _workspace(self) -> None:
        """Wait until there is the workspace to which the runs are to belong."""
        while not await self._has_workspace():
            if self.problem is None:
                self.problem = f"there is no workspace {self.entry.workspace!r}"
                log.warning("watch.no_workspace", entry=self.entry.name, problem=self.problem)
            await asyncio.sleep(self._interval_s)
        self.problem = None

    async def _has_workspace(self) -> bool:
        try:
            await self._around.workspaces.get(self.entry.workspace)
        except (NotFound, Unavailable):
            return False
        return True

    async def _pause(self, took: float) -> None:
        pause = max(PAUSE_S, PAUSE_FACTOR * took)
        await asyncio.sleep(pause)
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, self._interval_s - pause)):
                await self._look.wait()

    async def _survey(self) -> float:
        """Look at everything once, and do what follows; return how long the look itself took."""
        work = asyncio.get_running_loop().run_in_executor
        survey, took = await work(self._around.thread, self._measured)
        found = survey.found
        self.problem = found.problem
        if found is not self._found:
            self._found = found
            for path in found.sources.keys() & self.sources.keys():
                self.sources[path].source = found.sources[path]
        if self._ask(found.folders):
            self._look.set()  # what came between the look and the hints is hinted at by nobody
        for sight in survey.sights:
            self._note(sight)
        new = [Birth(one.source, one.states) for one in survey.newcomers]
        await self._give([*new, *filter(None, map(self._rebirth, survey.sights))])
        return took

    def _measured(self) -> tuple[Survey, float]:
        begun = time.monotonic()
        survey = self._surveyor.survey(dict(self.sources), set(self._spent))
        return survey, time.monotonic() - begun

    def _ask(self, folders: Sequence[str]) -> bool:
        """Ask for hints on all folders; tell whether there are some that were not hinted at."""
        hints = self._around.hints
        for folder in self._tickets.keys() - set(folders):
            hints.remove(self._tickets.pop(folder))
        added = False
        for folder in folders:
            ticket = self._tickets.get(folder)
            if ticket is None or not ticket.alive:
                ticket = hints.add(folder, self._mask, self._hinted_at)
                self._tickets[folder] = ticket
                added = added or ticket is not None
        return added

    def _hinted_at(self, _name: str, _mask: int) -> None:
        self._look.set()

    def _note(self, sight: Sight) -> None:
        """Have a source read whose files say more than its log, if that is due."""
        source, reader = sight.source, self._around.reader
        if source.stage != "open":
            return
        source.ending = sight.ending
        source.unread = sight.says_more and not source.wanted
        replaced = sight.replaced and sight.glance != source.replaced_by
        if source.wanted:
            reader.nudge(source)
        elif replaced or sight.ending is not None:
            source.replaced_by = sight.glance
            reader.read_up(source)

    def _rebirth(self, sight: Sight) -> Birth | None:
        """Return the birth of another run, if the last one has ended and there is more to say."""
        source = sight.source
        if source.stage != "ended" or not sight.says_more:
            return None
        states = source.states
        if self.entry.end == "rename":
            # A file that was renamed is done with: what is at the path now is not its successor.
            states = {stream: _left(state) for stream, state in states.items()}
        return Birth(source.source, states, source.run)

    async def _give(self, all_births: Sequence[Birth]) -> None:
        for start in range(0, len(all_births), births.TOGETHER):
            some = all_births[start : start + births.TOGETHER]
            given = await births.give(self._around.store, self.entry, some)
            for source in given:
                self.adopt(source)
            spent = {birth.source.path for birth in some} - {source.path for source in given}
            for path in spent:
                # Its id belongs to others or belonged to a run that was deleted.
                log.warning("watch.left_alone", entry=self.entry.name, path=path)
            self._spent |= spent
            for path in spent & self.sources.keys():
                self.sources[path].stage = "closed"


def _left(state: State) -> State:
    """Return the state of a tail that has left all its files, but knows them."""
    return State(past=list(state.all())[:PAST_MARKS], confirmed=state.confirmed)
