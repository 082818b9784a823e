"""Attendance: what the owner of a run does for it beside reading what it says."""

import asyncio
from collections.abc import Awaitable, Callable

import msgspec
import structlog

from runcast.agents.control import control
from runcast.core.errors import Conflict, Unavailable
from runcast.core.events import Data, Draft, run_log
from runcast.core.runs import Run
from runcast.parsers import Account, Parser
from runcast.runtime.approvals import Approvals, settling
from runcast.runtime.clock import now
from runcast.runtime.stdin import StdinDelivery
from runcast.spool.folder import RunFolder
from runcast.stores import Stdin, Store

ENDED = "finished"  # the phase of whatever has ended
RETRY_S = 0.25  # after storage refused
_NEVER = float("inf")
_MICROS = 1_000_000

log = structlog.get_logger(__name__)


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """The times of an attendance, in seconds.

    Between two `progress` events; until an approval expires; and how long an agent may live on
    in silence after its last word.
    """

    progress_s: float = 5
    expire_s: float = 3600
    linger_s: float = 30


class Attendance:
    """Looks after one running run: its stdin, approvals, progress, and an end that must come.

    All of it is one task that sleeps until something is due, or the run says or is told
    something. Works from the store and the folder, so that another server can take over.
    """

    def __init__(
        self,
        store: Store,
        run: Run,
        folder: RunFolder,
        parser: Parser,
        approvals: Approvals,
        policy: Policy,
        hung: Callable[[], Awaitable[None]],
    ) -> None:
        self._piped = run.stdin in ("pipe", "agent")
        self.control = control(run.dialect) if self._piped else None
        self._store = store
        self._run = run
        self._log = run_log(run.id)
        self._folder = folder
        self._parser = parser
        self._approvals = approvals
        self._policy = policy
        self._hung = hung
        self._stdin = StdinDelivery(store, run, folder)
        self._wake = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._grown_at = self._loop.time()
        self._linger_until = _NEVER
        self._retry_at = _NEVER
        self._progress_at = _NEVER
        self._stale = False  # what is known of the approvals
        self._fed = True  # there may be something to be delivered
        if parser.account() is not None:
            self._progress_at = self._loop.time() + policy.progress_s

    @property
    def needed(self) -> bool:
        """Whether there is anything to do: plain commands without input are left alone."""
        return self._parser.account() is not None or self._piped

    def fed(self) -> None:
        """Look what was committed for the run by others: input, or an answer."""
        self._stale = self._fed = True
        self._wake.set()

    def grown(self) -> None:
        """Note that the run has said something."""
        self._grown_at = self._loop.time()
        self._wake.set()

    async def attend(self) -> None:
        """Do what is due, for as long as this is not cancelled."""
        chores = (self._reload, self._deliver, self._expire, self._report, self._after_word)
        while True:
            self._wake.clear()
            self._retry_at = _NEVER
            for chore in chores:
                await self._try(chore)
            try:
                async with asyncio.timeout_at(self._due()):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def interrupt(self) -> bool:
        """Ask the agent to stop in its own way; False if it has none or cannot be reached."""
        if self.control is None or self._stdin.ended:
            return False
        try:
            await self._store.append(self._log, (), stdin=Stdin(self.control.interrupt()))
            await self._stdin.deliver()
        except (Unavailable, Conflict, OSError):
            return False
        return True

    def last_progress(self) -> list[Draft]:
        """Make the `progress` event of the end; none for what is no agent."""
        account = self._parser.account()
        return [] if account is None else [self._progress(account, ENDED)]

    def _progress(self, account: Account, phase: str) -> Draft:
        time = now()
        elapsed = max(0, time - (self._run.started_at or time)) / _MICROS
        data = {"phase": phase, "tool_calls": account.tool_calls}
        return Draft(time, "progress", data | {"elapsed_s": round(elapsed, 1)})

    async def _try(self, chore: Callable[[], Awaitable[None]]) -> None:
        try:
            await chore()
        except Conflict as error:
            # Somebody was faster: an answer, the end of the input, the end of the run.
            log.info("run.attendance_refused", run=self._run.id, error=error.message)
            self._stale = True
            self._retry_at = self._loop.time() + RETRY_S
        except Exception as error:  # whatever it is: without attendance an agent waits for ever
            foreseen = isinstance(error, Unavailable | OSError)
            log.warning("run.attendance_waits", run=self._run.id, exc_info=not foreseen)
            self._retry_at = self._loop.time() + RETRY_S

    async def _reload(self) -> None:
        if self._stale:
            self._stale = False  # first: what is committed during the read is looked for again
            try:
                await self._approvals.load()
            except BaseException:
                self._stale = True
                raise

    async def _deliver(self) -> None:
        if self._fed and self._piped:
            self._fed = False
            try:
                await self._stdin.deliver()
            except BaseException:
                self._fed = True
                raise

    def _due(self) -> float | None:
        due = min(self._retry_at, self._progress_at, self._linger_until, self._expiry())
        return None if due == _NEVER else due

    def _expiry(self) -> float:
        """Return when the oldest approval expires, by the loop's clock."""
        pending = self._approvals.pending()
        if not pending:
            return _NEVER
        waited = (now() - pending[0].time) / _MICROS
        return self._loop.time() + self._policy.expire_s - waited

    async def _expire(self) -> None:
        deadline = now() - int(self._policy.expire_s * _MICROS)
        message = _why_expired(self._policy.expire_s)
        for approval in self._approvals.pending():
            if approval.time > deadline:
                return
            draft = settling(approval, "expired", now())
            answer = self._denial(approval.data, message)
            await self._store.append(self._log, [draft], stdin=answer)
            self._approvals.committed([draft])
            await self._stdin.deliver()

    def _denial(self, data: Data, message: str) -> Stdin | None:
        """Write the denial of a question; None if nobody would read it."""
        if self.control is None or self._stdin.ended:
            return None
        return Stdin(self.control.answer(data, "deny", message, None))

    async def _report(self) -> None:
        now_at = self._loop.time()
        if now_at < self._progress_at:
            return
        # From now on: after a stop of the whole process, those that were missed are not due.
        self._progress_at = now_at + self._policy.progress_s
        if (account := self._parser.account()) is not None:
            await self._store.append(self._log, [self._progress(account, account.phase)])

    async def _after_word(self) -> None:
        account = self._parser.account()
        self._linger_until = _NEVER
        # Who waits for an answer has more to say, whatever it said before.
        if account is None or account.word is None or self._approvals.pending():
            return
        if self._run.stdin == "agent" and not self._stdin.ended:
            await self._store.append(self._log, (), stdin=Stdin(b"", last=True))
            await self._stdin.deliver()
        if self._run.stdin == "pipe" and not self._stdin.ended:
            return  # it waits for its next prompt, as it should
        if not self._parser.ends_with_word:
            return  # in such a dialect, a word may be followed by silent work
        until = self._grown_at + self._policy.linger_s
        if self._loop.time() < until:
            self._linger_until = until
        else:
            await self._hung()


def _why_expired(after_s: float) -> str:
    if after_s < 1:  # who sets so little does not mean anybody to answer
        return "nobody can be asked here; choose a permission mode that allows it"
    return f"nobody answered within {after_s:g} seconds"
