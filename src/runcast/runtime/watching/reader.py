"""The reader: one task and one thread in which the files of all wanted sources are read."""

import asyncio
import resource
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import TypeVar

import structlog

from runcast.core.errors import Conflict, NotFound, StaleCheckpoint, Unavailable
from runcast.core.events import run_log
from runcast.runtime.ingest import STORAGE_RETRY_S
from runcast.runtime.logs import Logs
from runcast.runtime.watching.errands import Errands
from runcast.runtime.watching.nudges import Nudges
from runcast.runtime.watching.paces import Paces
from runcast.runtime.watching.source import Watched
from runcast.runtime.watching.tailing import Tailing
from runcast.tail.hints import Hints

PASS_BYTES = 2 * 1024 * 1024  # read before any of it is committed,
PASS_S = 0.05  # or for so long: thousands of files may have to be opened at once
BUSY_S = 10.0  # a file that has grown within this time is polled, whatever the hints say
TURNED_AT_ONCE = 200  # others want the loop, too
FAILED_S = 1.0  # after a defect
LATE_POLL_S = 1.0  # between two looks at a file that was replaced, and that nobody hints at
STARVED_S = 1.0  # until what found no descriptor left is looked at again
LEFT_OPEN = 0.75  # of the descriptors that tails have, once there is none left for others

T = TypeVar("T")
log = structlog.get_logger(__name__)


class Reader:
    """Reads the sources that are wanted, by turns, so that none has to wait for a busy one.

    A pass takes what is due, reads a piece of each in the thread, and commits all of it side by
    side. What was nudged is due at once; what is busy, or has no hints, at every poll.
    """

    def __init__(self, logs: Logs, folders: Path, hints: Hints, poll_s: float) -> None:
        self.unknown_lines: Counter[str] = Counter()  # by dialect
        self._logs = logs
        self._folders = folders
        self._nudges = Nudges(hints, self.nudge)
        self._errands = Errands(self.nudge, self.turn)
        self._thread = ThreadPoolExecutor(1, "runcast-tail")
        self._tailings: dict[Watched, Tailing] = {}
        self._left: list[Tailing] = []  # to be closed
        self._turned: set[Watched] = set()  # wanted since a moment ago, or no more
        self._due: dict[Watched, None] = {}  # in the order in which they wait
        self._paces = Paces()
        self._poll_s = poll_s
        self._wake = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._descriptors = 0
        self._most_descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2

    def is_tailed(self, source: Watched) -> bool:
        """Tell whether a source is being read."""
        return source in self._tailings

    def turn(self, source: Watched) -> None:
        """Begin or stop to read a source, as it is wanted now."""
        if source.wanted != (source in self._tailings):
            self._turned.add(source)
            self._wake.set()

    def nudge(self, source: Watched) -> None:
        """Look at the files of a source, if it is wanted: they may have changed."""
        if source in self._tailings:
            self._due[source] = None
            self._wake.set()
        else:
            self.turn(source)

    def read_up(self, source: Watched) -> None:
        """Read a source up to its end although nobody follows it; when its turn comes."""
        self._errands.add(source)

    def drop(self, source: Watched) -> None:
        """Read no more of a source, whose stage says why."""
        self._errands.done(source)
        self.turn(source)

    def recall(self, source: Watched) -> None:
        """Read a source that is read from where the store knows it to be, which others changed."""
        if (tailing := self._tailings.get(source)) is not None:
            tailing.broken = True
            self._turned.add(source)
            self._wake.set()

    async def run(self) -> None:
        """Read whatever is wanted, for as long as this is not cancelled."""
        while True:
            try:
                await self._wait()
                await self._turn()
                await self._pass()
            except Exception:
                log.exception("watch.reads_again")
                await asyncio.sleep(FAILED_S)

    async def close(self) -> None:
        """Give all descriptors back; `run` must not be under way."""
        self._left.extend(self._tailings.values())
        await self._in_thread(self._close, self._left)
        self._thread.shutdown()

    async def _wait(self) -> None:
        if not self._due and not self._turned:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._paces.left_s()):
                    await self._wake.wait()
        self._wake.clear()
        self._due.update(dict.fromkeys(self._paces.due()))

    async def _turn(self) -> None:
        for source in list(islice(self._turned, TURNED_AT_ONCE)):
            self._turned.remove(source)
            tailing = self._tailings.get(source)
            if tailing is not None and (tailing.broken or not source.wanted):
                self._leave(source)
                if tailing.broken:
                    await self._recall(source)
            elif tailing is None and source.wanted:
                self._tailings[source] = Tailing(source, self._logs.store, self._folders)
                self._due[source] = None
        if self._left:
            await self._in_thread(self._close, self._left)

    def _leave(self, source: Watched) -> None:
        self._left.append(self._tailings.pop(source))
        self._nudges.remove(source)
        self._paces.choose(source, None)
        self._due.pop(source, None)
        self._errands.done(source)

    async def _recall(self, source: Watched) -> None:
        """Take up a source where the store knows it to be, in a while."""
        with suppress(Unavailable):
            source.take_up(await self._logs.store.checkpoint(source.run.id))
        self._loop.call_later(FAILED_S, self.turn, source)

    async def _pass(self) -> None:
        """Read a piece of what is due, and commit all of it."""
        due, self._due = self._due, {}
        found = [tailing for source in due if (tailing := self._tailings.get(source))]
        free = [tailing for tailing in found if not tailing.held]
        if not free:
            return
        looked = await self._in_thread(self._look, free)
        self._due = dict.fromkeys(one.source for one in free[len(looked) :]) | self._due
        await asyncio.gather(*[self._settle(one) for one in looked if one.waits])
        if starved := sum(one.starved for one in looked):
            log.warning("watch.no_descriptors", sources=starved)
        for tailing in looked:
            self._plan(tailing)

    async def _settle(self, tailing: Tailing) -> None:
        """Commit what was read, and the end of the run if that was the last of it."""
        source = tailing.source
        try:
            await tailing.commit()
            if tailing.conclusion is not None:
                await tailing.end(tailing.conclusion)
                source.end()
                self._logs.seal(run_log(source.run.id))
            tailing.refused = False
        except Unavailable as error:
            if not tailing.refused:
                log.warning("watch.waits", run=source.run.id, error=error.message)
            tailing.refused = True
            self._hold(tailing, STORAGE_RETRY_S)
        except StaleCheckpoint:
            tailing.broken = True
        except (Conflict, NotFound):
            source.close()  # others have ended or deleted the run
        except Exception:
            log.exception("watch.commit_failed", run=source.run.id)
            tailing.broken = True

    def _hold(self, tailing: Tailing, seconds: float) -> None:
        """Try again later: until then what was read is kept, and no more is read."""
        tailing.held = True
        self._loop.call_later(seconds, self._release, tailing)

    def _release(self, tailing: Tailing) -> None:
        tailing.held = False
        self.nudge(tailing.source)

    def _plan(self, tailing: Tailing) -> None:
        """See what is next for a source that was looked at."""
        source = tailing.source
        self._count(tailing)
        if tailing.broken:
            self._turned.add(source)
        elif tailing.starved:
            self._hold(tailing, STARVED_S)
        elif not tailing.held:
            if tailing.more:
                self._due[source] = None
            else:
                self._errands.done(source)
            self.turn(source)
            self._choose_pace(tailing)

    def _choose_pace(self, tailing: Tailing) -> None:
        source = tailing.source
        covered = self._nudges.covers(source, tailing.real_files)
        if not covered and self._nudges.add(source, tailing.real_files):
            covered = True
            self._due[source] = None  # what was written just before is hinted at by nobody
        busy = time.monotonic() - tailing.grown_at < BUSY_S
        if busy or (tailing.present and not covered):
            self._paces.choose(source, self._poll_s)
        else:
            self._paces.choose(source, LATE_POLL_S if tailing.late else None)

    def _count(self, tailing: Tailing) -> None:
        if tailing.parser.unknown:
            self.unknown_lines[tailing.source.run.dialect] += tailing.parser.unknown
            tailing.parser.unknown = 0

    # In the thread.

    async def _in_thread(self, work: Callable[[list[Tailing]], T], tailings: list[Tailing]) -> T:
        return await self._loop.run_in_executor(self._thread, work, tailings)

    def _look(self, tailings: list[Tailing]) -> list[Tailing]:
        """Read on in some of these, in order; return those that were looked at."""
        looked: list[Tailing] = []
        size = 0
        until = time.monotonic() + PASS_S
        for tailing in tailings:
            if size >= PASS_BYTES or time.monotonic() > until:
                break
            looked.append(tailing)
            if not tailing.waits:
                size += self._read(tailing)
        return looked

    def _read(self, tailing: Tailing) -> int:
        """Read on in one; where descriptors are scarce, others give theirs back before or after."""
        if self._descriptors >= self._most_descriptors:
            self._close_some()
        size = 0
        self._descriptors -= tailing.descriptors
        try:
            size = tailing.look()
        except Exception:
            log.exception("watch.look_failed", run=tailing.source.run.id)
            tailing.broken = True
        self._descriptors += tailing.descriptors
        if tailing.starved:
            self._close_some()
        return size

    def _close_some(self) -> None:
        """Give back the descriptors of the files that have not grown for the longest time."""
        enough = self._descriptors * LEFT_OPEN
        holders = [one for one in self._tailings.values() if one.descriptors]
        for tailing in sorted(holders, key=lambda one: one.grown_at):
            if self._descriptors <= enough:
                return
            self._close([tailing])

    def _close(self, tailings: list[Tailing]) -> None:
        while tailings:
            tailing = tailings.pop()
            self._descriptors -= tailing.descriptors
            tailing.close()
