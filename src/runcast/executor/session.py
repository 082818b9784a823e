"""One run in a runtime of its own, from its start to its result."""

import asyncio
import sys
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Any

import msgspec

from runcast.config import Settings
from runcast.core.errors import Conflict
from runcast.core.events import Event, run_log
from runcast.core.runs import Reason, Run, Status
from runcast.runtime.clock import now
from runcast.runtime.runtime import Runtime
from runcast.runtime.spill import unspill
from runcast.runtime.submit import RunSpec
from runcast.spool.folder import RunFolder, read_file
from runcast.wires.activity import Include, Message, message

LOOK_S = 0.1  # how often to see whether a run that is to end still has somebody who ends it
KILL_PAUSE_S = 0.01


class ExecutionResult(msgspec.Struct, frozen=True, kw_only=True):
    """What an execution came to.

    `events` are the messages that a callback was given, or would have been, in order. `stdout`
    and `stderr` are all that was printed, bytes that are not UTF-8 as U+FFFD. `duration` is in
    seconds. `exit_code` is None if a signal ended the command or it never started; then
    `signal`, `reason` and `error` tell more. `result` is what an agent said it came to.
    """

    status: Status
    reason: Reason | None
    exit_code: int | None
    signal: str | None
    error: str | None
    result: Any
    events: list[Message]
    stdout: str
    stderr: str
    duration: float


class Session:
    """One run in a runtime of its own; `told` is the seq of the last message that was given."""

    def __init__(self, runtime: Runtime, run: Run, include: Include) -> None:
        self.told = 0
        self._runtime = runtime
        self._run = run
        self._include = include
        self._folder = RunFolder(runtime.data_dir.runs / run.key)

    @classmethod
    async def open(cls, settings: Settings, spec: RunSpec, include: Include) -> "Session":
        """Open a runtime and submit the run; raise BadRequest and leave nothing open."""
        runtime = await Runtime.open(settings)
        try:
            return cls(runtime, await runtime.submit(spec), include)
        except BaseException:
            await runtime.close()
            raise

    async def messages(self, after: int = 0) -> AsyncGenerator[Message, None]:
        """Yield the messages after this seq, up to the end of the run's log."""
        follower = await self._runtime.logs.follow(run_log(self._run.id), after)
        try:
            while not follower.at_end:
                await asyncio.sleep(0)  # a long log must not keep the loop from all else
                for batch in await follower.take():
                    for event in batch.events(after):
                        after = event.seq
                        if (told := self._message(event)) is not None:
                            yield told
        finally:
            follower.close()

    def _message(self, event: Event) -> Message | None:
        # Whole, for the blobs of long texts may be gone with their folder before anybody reads.
        data = unspill(event.data, lambda blob: read_file(self._folder.blob_path(blob)))
        whole = msgspec.structs.replace(event, data=data)
        return message(whole, self._run.task_id, self._run.id, self._include)

    async def result(self) -> ExecutionResult:
        """Return what the run came to, once it has ended."""
        run = await self._runtime.get(self._run.id)
        ended_at = run.ended_at or now()
        return ExecutionResult(
            status=run.status,
            reason=run.reason,
            exit_code=run.exit_code,
            signal=run.signal,
            error=run.error,
            result=run.result,
            events=[one async for one in self.messages()],
            stdout=await self._printed("stdout"),
            stderr=await self._printed("stderr"),
            duration=(ended_at - (run.started_at or ended_at)) / 1e6,
        )

    async def _printed(self, stream: str) -> str:
        chunks = self._runtime.output(self._run, stream).chunks(0, sys.maxsize)
        return b"".join([chunk async for chunk in chunks]).decode(errors="replace")

    async def cancel(self) -> None:
        """Ask for the end of the run."""
        with suppress(Conflict):  # it has just ended by itself
            await self._runtime.cancel(self._run.id)

    async def end(self) -> None:
        """End the run if it has not ended, and return once its processes are gone."""
        await self.cancel()
        while not (await self._runtime.wait(self._run.id, LOOK_S)).ended:
            if not (await self._runtime.status())["queue"]["running"]:
                await self._end_alone()

    async def _end_alone(self) -> None:
        """End the run without the runtime's tasks, which asyncio.run ends when it is done."""
        while self._folder.alive():
            self._folder.kill_worker()
            await asyncio.sleep(KILL_PAUSE_S)
        await self._runtime.store.transition(
            self._run.id, "cancelled", now(), {"reason": "cancelled"}
        )
        self._runtime.logs.seal(run_log(self._run.id))

    async def close(self) -> None:
        """End the run if it has not ended, and close the runtime."""
        await self.end()
        await self._runtime.close()
