"""One running run on this machine: its runner, its ingest, its end."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

import structlog

from runcast.core.errors import Unavailable
from runcast.core.events import run_log
from runcast.core.runs import Run
from runcast.runtime.approvals import Approvals
from runcast.runtime.attendance import Attendance, Policy
from runcast.runtime.clock import now
from runcast.runtime.gathering import Gathering
from runcast.runtime.holder import Holder
from runcast.runtime.ingest import STORAGE_RETRY_S, Budget, Ingest
from runcast.runtime.outcome import Evidence, outcome_of
from runcast.runtime.runners import Runners
from runcast.runtime.watch import Watch
from runcast.spool.folder import RunFolder
from runcast.stores import Addition, Store

CANCEL_MARGIN_S = 5.0  # beyond the grace, before the runner itself is taken for stuck
INTERRUPT_SHARE = 0.5  # of the grace, for the agent's own way to stop

T = TypeVar("T")
log = structlog.get_logger(__name__)


class Here:
    """What all executions of this process share."""

    def __init__(self, store: Store, policy: Policy, hold: Callable[[], float]) -> None:
        """Take the policy, and what says for how long nobody needs to read on."""
        self.policy = policy
        self.gathering = Gathering(store)
        self.watch = Watch(hold)
        self.runners = Runners()
        self.budget = Budget()
        self.unknown_lines: Counter[str] = Counter()  # lines nobody understood, by dialect

    async def close(self) -> None:
        """Let go of it; no execution may be left."""
        self.watch.close()
        await self.gathering.close()
        await self.runners.close()


class Execution:
    """Sees one claimed run through to its terminal status.

    Works from what is on disk alone, so it makes no difference whether this server started the
    runner, adopts a living one, or comes after its end.
    """

    def __init__(self, store: Store, here: Here, run: Run, folder: RunFolder) -> None:
        self.run = run
        self.folder = folder
        self.hinted = True
        self._store = store
        self._here = here
        self._holder = Holder(here.runners, run, folder, self.look)
        approvals = Approvals(store, run.id)
        self._approvals = approvals
        self._ingest = Ingest(store, here.budget, run, folder, approvals)
        self._attendance = Attendance(
            store, run, folder, self._ingest.parser, approvals, here.policy, self._hung
        )
        if self._attendance.needed:
            self._ingest.committed = self._attendance.grown
        self._look = asyncio.Event()
        self._check = True
        self._resting = False  # until somebody has a reason to look around
        self._gathering = False  # what came meanwhile, with what other runs said
        self._grew = False  # after that was read
        self._broken: Exception | None = None  # came of reading it
        self._ending: asyncio.Task[None] | None = None
        self._under_way = False
        self.cancelled = False  # an order that whoever takes the run up next has to follow

    def look(self) -> None:
        """Look whether the runner still lives, read on, and deliver what waits."""
        self._check = True
        self._attendance.fed()
        if not self._gathering:
            self._look.set()

    def look_behind(self) -> None:
        """Look around in case a hint was lost; of the end there are two, of which one will do."""
        if self.hinted and self._holder.watches:
            self._attendance.fed()
            self.grown()
        else:
            self.look()

    def grown(self) -> None:
        """Read on: the spool has grown."""
        if self._gathering:
            self._grew = True
        elif self._resting and not self._look.is_set():
            self._gathering = True
            self._here.gathering.add(self)
        else:
            self._look.set()

    def gather(self) -> Addition | None:
        """Return what little came; see Source."""
        self._grew = False
        addition = self._ingest.gather() if self._resting else None
        if addition is None:
            self._gathering = False
            if self._check or self._ingest.behind:
                self._look.set()
        return addition

    def gathered(self) -> None:
        """Go on behind what is committed now."""
        self._gathering = False
        self._ingest.gathered()
        self._count_unknown()
        if self._check:
            self._look.set()
        elif self._grew:
            self.grown()

    def left_out(self) -> None:
        """Commit it alone."""
        self._gathering = False
        self._look.set()

    def broke(self, error: Exception) -> None:
        """Fail: what the parser remembers may be wrong."""
        self._broken = error
        self.left_out()

    def fed(self) -> None:
        """Deliver: there is input or an answer for the command."""
        self._attendance.fed()

    def cancel(self) -> None:
        """Ask for the run's end, first in the agent's own way if it has one, until it comes."""
        self.cancelled = True
        if self._under_way and self._ending is None:
            self._ending = asyncio.create_task(self._cancel())

    async def finish(self) -> Run:
        """Start the runner if need be, ingest to the end, commit the terminal status.

        Cancelling leaves the run running and everything committed so far valid.
        """
        handle = self._here.watch.add(self.folder.path, self.grown, self.look)
        self.hinted = handle is not None
        self._under_way = True
        attending: asyncio.Task[None] | None = None
        try:
            await self._ingest.open()
            if self._attendance.needed:
                attending = asyncio.create_task(self._attendance.attend())
            if self.run.cancel_requested or self.cancelled:
                self.cancel()
            record = await self._until_exit()
            self._holder.dismiss()
            await _stop(attending)
            await self._retrying(self._ingest.finish)
            self._count_unknown()
            await self._retrying(partial(self._approvals.withdraw, run_log(self.run.id)))
            return await self._retrying(partial(self._end, record))
        finally:
            self._under_way = False
            self._here.watch.remove(handle)
            self._ingest.close()
            for task in (attending, self._ending):
                if task is not None:
                    task.cancel()

    async def _until_exit(self) -> dict[str, Any]:
        while True:
            self._look.clear()
            # Looked for before the spool is read: once it exists, the spool is complete.
            record = await self._find_exit() if self._check else None
            await self._retrying(self._ingest.drain)
            self._count_unknown()
            if record is not None:
                return record
            await self._rest()

    async def _rest(self) -> None:
        self._resting = True
        try:
            await self._look.wait()
        finally:
            self._resting = False
        if self._broken is not None:
            raise self._broken

    def _count_unknown(self) -> None:
        parser = self._ingest.parser
        if parser.unknown:
            self._here.unknown_lines[self.run.dialect] += parser.unknown
            parser.unknown = 0

    async def _find_exit(self) -> dict[str, Any] | None:
        self._check = False
        return await self._holder.find_exit()

    async def _retrying(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do it once storage lets it: until then the spool keeps everything."""
        while True:
            try:
                return await work()
            except Unavailable as error:
                log.warning("ingest.waits", run=self.run.id, error=error.message)
                await asyncio.sleep(STORAGE_RETRY_S)

    async def _end(self, record: dict[str, Any]) -> Run:
        status, outcome = outcome_of(record, await self._evidence())
        entries, advance = self._ingest.ending(record.get("spool_bytes"))
        entries += self._attendance.last_progress()
        return await self._store.transition(self.run.id, status, now(), outcome, entries, advance)

    async def _evidence(self) -> Evidence:
        current = await self._store.get(self.run.id)
        return Evidence(
            cancel_requested=current.cancel_requested,
            interrupted=current.cancel_requested and self._attendance.control is not None,
            hung=current.hung,
            account=self._ingest.parser.account(),
            must_speak=self._ingest.parser.ends_with_word,
        )

    async def _cancel(self) -> None:
        grace = 0.0 if self.run.grace_s is None else self.run.grace_s
        if grace and await self._attendance.interrupt():
            await asyncio.sleep(grace * INTERRUPT_SHARE)
            grace *= 1 - INTERRUPT_SHARE
        await self._holder.end(grace, CANCEL_MARGIN_S)

    async def _hung(self) -> None:
        """End an agent that said its last word and does not exit."""
        await self._store.update(self.run.id, {"hung": True})
        if self._ending is None:
            grace = 0.0 if self.run.grace_s is None else self.run.grace_s
            self._ending = asyncio.create_task(self._holder.end(grace, CANCEL_MARGIN_S))


async def _stop(task: asyncio.Task[None] | None) -> None:
    if task is not None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
