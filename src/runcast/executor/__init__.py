"""Running commands and agents from a program, with their messages given as they happen."""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager, suppress
from inspect import isawaitable
from os import PathLike
from pathlib import Path
from typing import Unpack, get_args

from runcast.config import Approvals, RunSettings, Settings, StoreSettings
from runcast.config_agents import AgentSettings, DialectName
from runcast.core.errors import BadRequest
from runcast.core.ids import check_id
from runcast.executor.asked import (
    AgentChoices,
    Asked,
    StreamingOptions,
    checked,
    checked_agent,
    checked_options,
)
from runcast.executor.session import ExecutionResult, Session
from runcast.executor.tasks import once, to_its_end, uninterrupted
from runcast.runtime.submit import RunSpec
from runcast.wires.activity import Include, Message

__all__ = [
    "AgentChoices",
    "BadRequest",
    "ExecutionResult",
    "Message",
    "RunCancelled",
    "StreamingExecutor",
    "StreamingOptions",
]

Folder = str | PathLike[str]
OnEvent = Callable[[Message], Awaitable[None] | None]

FAREWELL_S = 1.0  # how long a cancelled caller still waits for its own callback
UNASKED_S = 0.001  # how long a question of an agent waits for an answer


class RunCancelled(Exception):
    """The execution was cancelled and its processes are gone; `result` has what came before."""

    def __init__(self, run_id: str, result: ExecutionResult) -> None:
        super().__init__(f"run {run_id} was cancelled")
        self.result = result


class StreamingExecutor:
    """Runs commands and agents as a server does, each in a log and a folder of its own.

    What happens is told in activity messages. Each is given to `on_event`, a function or a
    coroutine function, one after the other in the order of the log, which is that of execution.
    A slow callback holds up nothing but itself, and the result is the same without one.
    Executions may overlap.

    In `folder` every execution leaves its raw output, in a folder of its own whose name begins
    with the run's id; without it nothing is left on disk. Raises BadRequest for an id, an option
    or a dialect that cannot be one.
    """

    def __init__(
        self,
        work_order_id: str,
        run_id: str,
        on_event: OnEvent | None = None,
        options: StreamingOptions | None = None,
        dialect: str = "jsonl",
        folder: Folder | None = None,
    ) -> None:
        self._work_order_id = check_id(work_order_id, "work_order_id")
        self._run_id = check_id(run_id, "run_id")
        self._on_event = on_event
        self._options = checked_options(options)
        self._dialect = _known_dialect(dialect)
        self._folder = folder

    async def execute(
        self,
        command: str,
        args: Sequence[str] = (),
        cwd: Folder | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - the command's: it gives a result
        cancel: asyncio.Event | None = None,
    ) -> ExecutionResult:
        """Run a command to its end; `env` is added to the environment of this process.

        A command that fails, that cannot be started or that runs longer than `timeout` seconds
        gives a result that says so. Setting `cancel` ends the command and every process it
        started, and raises RunCancelled. Cancelling the task that awaits this ends them, too,
        before the cancellation goes on; so does an exception of the callback, which is raised.
        Raises BadRequest if the command cannot be run at all.
        """
        asked = checked(command=command, args=args, cwd=cwd, env=env, timeout=timeout)
        spec = self._spec(asked)
        spec.command = [asked.command, *asked.args]
        spec.dialect = self._dialect
        return await self._execute(spec, {}, cancel)

    async def execute_agent(
        self,
        agent: str,
        prompt: str,
        cwd: Folder | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - the agent's: it gives a result
        cancel: asyncio.Event | None = None,
        **choices: Unpack[AgentChoices],
    ) -> ExecutionResult:
        """Run a coding agent to its end: `claude`, `codex` or another that has a driver.

        The driver knows the command line and the dialect; a `driver` among the choices lets the
        agent have any name. A run of which the agent itself says that it failed has failed,
        whatever its exit code. Nobody is here to be asked: what the agent would need leave for
        is denied, unless its permission mode allows it. All else is as `execute` says.
        """
        asked = checked(agent=agent, prompt=prompt, cwd=cwd, env=env, timeout=timeout)
        spec = self._spec(asked)
        spec.agent, spec.prompt = asked.agent, asked.prompt
        return await self._execute(spec, {asked.agent: checked_agent(choices)}, cancel)

    def _spec(self, asked: Asked) -> RunSpec:
        return RunSpec(
            id=self._run_id,
            task_id=self._work_order_id,
            cwd=None if asked.cwd is None else str(Path(asked.cwd).absolute()),
            env=asked.env,
            timeout_s=asked.timeout,
        )

    async def _execute(
        self, spec: RunSpec, agents: dict[str, AgentSettings], cancel: asyncio.Event | None
    ) -> ExecutionResult:
        with _folder_of_one(self._folder, self._run_id) as folder:
            settings = self._settings(folder, agents)
            opening = Session.open(settings, spec, self._include())
            session, cancelled = await to_its_end(opening)
            try:
                await self._tell_to_its_end(session, cancelled, cancel or asyncio.Event())
                result = await session.result()
            finally:
                await uninterrupted(session.close())
        if result.status == "cancelled":
            raise RunCancelled(self._run_id, result)
        return result

    def _settings(self, folder: str, agents: dict[str, AgentSettings]) -> Settings:
        return Settings(
            data_dir=folder,
            store=StoreSettings(url="memory:"),
            runs=RunSettings(progress_interval_ms=self._options.progress_interval_ms),
            approvals=Approvals(expire_s=UNASKED_S),
            agents=agents,
        )

    def _include(self) -> Include:
        return Include(
            tool_calls=self._options.emit_tool_calls,
            tool_results=self._options.emit_tool_results,
            output=self._options.emit_output,
        )

    async def _tell_to_its_end(
        self, session: Session, cancelled: asyncio.CancelledError | None, cancel: asyncio.Event
    ) -> None:
        """Tell what happens; `cancelled` is what already came while the session was opened."""
        try:
            if cancelled is not None:
                raise cancelled
            async with once(cancel, session.cancel):
                await self._tell(session)
        except asyncio.CancelledError:
            await uninterrupted(session.end())
            with suppress(TimeoutError):
                async with asyncio.timeout(FAREWELL_S):
                    await self._tell(session)
            raise

    async def _tell(self, session: Session) -> None:
        """Give the callback every message that it was not given yet."""
        async with aclosing(session.messages(session.told)) as messages:
            async for one in messages:
                # Before the call: whatever becomes of it, nothing is given twice.
                session.told = one["seq"]
                if self._on_event is not None and isawaitable(done := self._on_event(one)):
                    await done


def _known_dialect(dialect: str) -> str:
    if dialect not in get_args(DialectName):
        raise BadRequest.of("dialect", f"must be one of {', '.join(get_args(DialectName))}")
    return dialect


@contextmanager
def _folder_of_one(parent: Folder | None, run_id: str) -> Iterator[str]:
    """Make a folder for one execution; without a parent it is removed again."""
    if parent is not None:
        Path(parent).mkdir(parents=True, exist_ok=True)
        yield tempfile.mkdtemp(prefix=f"{run_id}-", dir=Path(parent).absolute())
        return
    with tempfile.TemporaryDirectory(prefix="runcast-") as folder:
        yield folder
