"""The runtime: everything a surface may do with runs, in one place."""

import asyncio
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from runcast import __version__
from runcast.config import Settings
from runcast.core.errors import Conflict, Unavailable
from runcast.core.events import run_log
from runcast.core.once import Once, mapped
from runcast.core.runs import Run, Status
from runcast.core.times import format_time, parse_duration
from runcast.runtime.approvals import Answer
from runcast.runtime.clock import now
from runcast.runtime.data_dir import DataDir, absolute
from runcast.runtime.envelopes import Envelopes
from runcast.runtime.external import External
from runcast.runtime.interaction import Said, answer_approval, find_blob, send
from runcast.runtime.logs import Logs
from runcast.runtime.messages import Messages
from runcast.runtime.output import RawOutput
from runcast.runtime.paging import Page, read_page
from runcast.runtime.queue import Queue, cancel_queued
from runcast.runtime.recovery import recover
from runcast.runtime.reported import ReportedOutput
from runcast.runtime.retention import PruneLimits, clear, prune, remove
from runcast.runtime.search import Searches
from runcast.runtime.silence import Silence
from runcast.runtime.submit import Defaults, RunSpec, submit
from runcast.runtime.upkeep import Work, append_ticks, forget_answers, keep_up
from runcast.runtime.watching import Watching
from runcast.runtime.workspaces import Workspaces
from runcast.spool.folder import RunFolder
from runcast.stores import Approval, RunFilter, Store

OUTPUT_THREADS = 2


class Runtime:
    """Runs commands, keeps their logs and lets followers read them.

    Open one per process and data folder with `Runtime.open`; `close` leaves runs running.
    """

    def __init__(
        self, settings: Settings, data_dir: DataDir, store: Store, defaults: Defaults
    ) -> None:
        self.settings = settings
        self.data_dir = data_dir
        self.store = store
        self.logs = Logs(store)
        self.started_at = now()
        self.draining = False
        self.workspaces = Workspaces(store, defaults.cwd)
        self.messages = Messages(store, self.workspaces)
        self.external = External(store, self.logs, data_dir.runs, self.workspaces)
        self.envelopes = Envelopes(store, data_dir.runs, self.workspaces)
        self.watching = Watching(self.logs, settings, data_dir.runs, self.workspaces)
        self.searches = Searches(store)
        timeout_s = parse_duration(settings.external.idle_timeout, "external.idle_timeout")
        self._silence = Silence(store, self.logs, timeout_s)
        self._queue = Queue(store, self.logs, data_dir.runs, settings)
        self._defaults = defaults
        # Of its own: large downloads must not hold up the starts of runs.
        self._output_threads = ThreadPoolExecutor(OUTPUT_THREADS, "runcast-output")
        self._tasks: list[asyncio.Task[None]] = []

    @classmethod
    async def open(cls, settings: Settings, open_files: int | None = None) -> "Runtime":
        """Take the data folder, open the store, take up what was left; raise ConfigError.

        `open_files` is the limit that commands get instead of this process's own.
        """
        defaults = Defaults(
            str(absolute(Path())),
            settings.runs.grace_s,
            open_files,
            agents=settings.agents,
            tools=settings.tools,
        )
        data_dir = DataDir(settings)
        try:
            store = await data_dir.open_store(settings)
        except BaseException:
            data_dir.release()
            raise
        runtime = cls(settings, data_dir, store, defaults)
        try:
            await runtime.logs.open()
            await recover(store, runtime._queue, data_dir.runs)
        except BaseException:
            await runtime.close()
            raise
        runtime._start()
        return runtime

    def _start(self) -> None:
        self._queue.start()
        self.watching.start()
        works = [keep_up(self._works())]
        if self.settings.testing.append_interval_ms is not None:
            pause_s = self.settings.testing.append_interval_ms / 1000
            works.append(append_ticks(self.store, self._queue.executions, pause_s))
        self._tasks = [asyncio.create_task(work) for work in works]

    def drain(self) -> None:
        """Stop taking work and have every follower look around: streams end, runs run on."""
        self.draining = True
        self.logs.nudge_all()

    async def close(self) -> None:
        """Let go of the runs, which the next server takes up, and close the store."""
        self.drain()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._queue.close()
        await self.watching.close()
        self.logs.close()
        self._output_threads.shutdown(wait=False, cancel_futures=True)
        await self.store.close()
        self.data_dir.release()

    async def submit(self, spec: RunSpec, once: Once | None = None) -> Run:
        """Queue a run; it is durable when this returns.

        Raises BadRequest, or Conflict `id_taken` or `id_deleted`.
        """
        folder = await self.workspaces.folder(spec.workspace_id)
        defaults = replace(self._defaults, cwd=folder)
        run = await submit(self.store, self.data_dir.runs, spec, defaults, once)
        self._queue.kick()
        return run

    async def get(self, run_id: str) -> Run:
        """Return a run; raise NotFound."""
        return await self.store.get(run_id)

    async def wait(self, run_id: str, seconds: float) -> Run:
        """Return a run at its end, or as it stands after so many seconds; raise NotFound."""
        run = await self.store.get(run_id)
        if run.ended:
            return run
        follower = await self.logs.follow(run_log(run_id), run.last_seq)
        try:
            async with asyncio.timeout(seconds):
                while not (follower.at_end or self.draining):
                    await follower.take()
        except TimeoutError:
            pass
        finally:
            follower.close()
        return await self.store.get(run_id)

    async def list(self, where: RunFilter, limit: int, before: int | None = None) -> list[Run]:
        """List runs, newest first; `before` is the `order` of the last one seen."""
        return await self.store.runs(where, limit, before=before)

    async def cancel(self, run_id: str, once: Once | None = None) -> Run:
        """Ask for a run's end, durably: a restart asks again. Raise NotFound, Conflict.

        A queued run is cancelled when this returns, a running one once its processes are gone;
        of an external one only its client can say more, and a watched one is not read any more.
        """
        run = await self.store.get(run_id)
        if run.ended:
            raise Conflict("run_ended", f"run {run_id} has already ended: {run.status}")
        if run.source != "run":
            run = await self.external.cancel(run, once)
            self.watching.forget([run_id])
            return run
        waits = run.status == "queued"
        mark = {"cancel_requested": True}
        try:
            # First the mark, which a claim passes over: what is still queued then stays queued.
            run = await self.store.update(run_id, mark, once=None if waits else once)
        except Unavailable:
            # A full disk must not keep a command alive; only a restart would forget this order.
            if (execution := self._queue.executions.get(run_id)) is None:
                raise
            execution.cancel()
            return run
        if run.status == "queued":
            try:
                run = await cancel_queued(self.store, run_id, once)
            except Unavailable:
                self._queue.settle()
                raise
            self.logs.seal(run_log(run_id))
            return run
        if (execution := self._queue.executions.get(run_id)) is not None:
            execution.cancel()
        if waits and once is not None:  # it was claimed just before the mark
            run = await self.store.update(run_id, mark, once=once)
        return run

    async def approvals(self, run_id: str) -> Sequence[Approval]:
        """Return what a run has asked, in order; raise NotFound."""
        await self.store.get(run_id)
        return await self.store.approvals(run_id)

    async def answer(
        self, run_id: str, approval_id: str, answer: Answer, once: Once | None = None
    ) -> Run:
        """Answer an approval, durably: the first answer counts, and the agent gets it.

        Raises NotFound, or Conflict: `approval_settled`, `input_closed`, `run_ended`.
        """
        run = await self.store.get(run_id)
        try:
            folder = self._folder(run)
            return await answer_approval(self.store, folder, run, approval_id, answer, once)
        finally:  # also where the caller has left: it may be committed
            self._queue.fed(run_id)

    async def send(self, run_id: str, said: Said, once: Once | None = None) -> Run:
        """Give a run input, durably: in order, to the command or as the agent's next prompt.

        Raises NotFound, BadRequest, or Conflict: `input_closed`, `run_ended`.
        """
        run = await self.store.get(run_id)
        try:
            return await send(self.store, self._folder(run), run, said, once)
        finally:  # also where the caller has left: it may be committed
            self._queue.fed(run_id)

    def blob(self, run: Run, blob_id: str) -> Path:
        """Return where a blob of a run is kept; raise NotFound."""
        return find_blob(self._folder(run), blob_id)

    @property
    def unknown_lines(self) -> Mapping[str, int]:
        """How many lines of agents nobody understood since the start, by dialect."""
        return Counter(self._queue.unknown_lines) + Counter(self.watching.unknown_lines)

    async def delete(self, run_id: str, once: Once | None = None) -> None:
        """Remove a run for good; raise NotFound or Conflict `run_active`."""
        run = await self.store.get(run_id)
        once = mapped(once, lambda _removed: None)
        await remove(self.store, self.data_dir.runs, [run], self._delete, once)

    async def clear(self, statuses: Collection[Status], once: Once | None = None) -> int:
        """Remove all runs of these terminal statuses for good; return how many went."""
        return await clear(self.store, self.data_dir.runs, statuses, self._forget, once)

    async def prune(self, limits: PruneLimits) -> int:
        """Remove the ended runs that are over a limit; return how many went."""
        return await prune(self.store, self.data_dir.runs, limits, self._forget)

    async def page(self, run_id: str, after: int, limit: int) -> Page:
        """Read events after `after`; raise NotFound, or Gone `cursor_ahead`."""
        return await read_page(self.store, run_log(run_id), after, limit)

    def output(self, run: Run, stream: str | None) -> RawOutput | ReportedOutput:
        """Return what a run printed, byte for byte; where nothing was run here, what its log says.

        What was read from a log file has newlines between the lines.
        """
        folder = self.data_dir.runs / run.key
        if run.source != "run":
            ending = b"" if run.source == "external" else b"\n"
            return ReportedOutput(self.store, folder, run.id, stream, ending)
        return RawOutput(folder, stream, self._output_threads)

    async def status(self) -> dict[str, Any]:
        """Say how the server is."""
        totals = await self.store.totals()
        positions = await self.store.positions()
        return {
            "version": __version__,
            "started_at": format_time(self.started_at),
            "uptime_s": (now() - self.started_at) / 1e6,
            "draining": self.draining,
            "data_dir": str(self.data_dir.path),
            "runs": totals,
            "queue": {
                "queued": totals["queued"],
                "running": len(self._queue.executions),
                "max": self._queue.limit,
            },
            "positions": {"head": positions.head, "floor": positions.floor},
        }

    def _folder(self, run: Run) -> RunFolder:
        return RunFolder(self.data_dir.runs / run.key)

    def _delete(self, run_ids: Sequence[str], floor: int) -> None:
        self.watching.forget(run_ids)
        self._forget(run_ids, floor)

    def _forget(self, run_ids: Sequence[str], floor: int) -> None:
        for run_id in run_ids:
            self.logs.delete(run_log(run_id), floor)

    def _works(self) -> dict[str, Work]:
        """Name what is to be done once a minute."""
        works: dict[str, Work] = {
            "answers.forgotten": lambda: forget_answers(self.store),
            "external.lost": self._silence.end_silent,
        }
        keep = self.settings.retention
        age = None if keep.max_age is None else parse_duration(keep.max_age, "retention.max_age")
        limits = PruneLimits(age, keep.max_count, keep.max_bytes)
        if limits != PruneLimits():
            works["retention.removed"] = lambda: self.prune(limits)
        return works
