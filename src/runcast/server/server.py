"""The server of `runcast serve` in a thread of a program that emits into it."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from types import TracebackType
from typing import Any, Self, cast

from fastapi import FastAPI
from starlette.datastructures import State

from runcast.config import Settings, Streaming
from runcast.core.errors import BadRequest
from runcast.runtime.envelopes import check
from runcast.runtime.runtime import Runtime
from runcast.server.activity import Activity
from runcast.server.backlog import Backlog, Emission
from runcast.server.commits import Commits
from runcast.server.host import Folder, Host
from runcast.server.jobs import Jobs
from runcast.server.processes import Processes
from runcast.server.targets import EnvelopeTarget
from runcast.web.guard import Guard
from runcast.web.jobs import JobStream
from runcast.web.server import DrainServer, address_of, bind
from runcast.web.sockets import ENVELOPES


class _Listening(DrainServer):
    """Listens for a program, whose signals are its own."""

    drain_s = 0.2  # the second that a stop may take also has to commit what was emitted

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield


class Server:
    """A server with all surfaces, and what programs emit into it.

    All methods may be called from any thread, and none is a coroutine. Those that emit return at
    once, so a coroutine may call them, too; `start`, `stop`, `flush` and those of `processes`
    wait: coroutines call them by `asyncio.to_thread`. As a context manager it starts and stops
    itself. What was emitted before the start waits for it.
    """

    def __init__(self, port: int, data_dir: Folder | None = None) -> None:
        settings = Settings(streaming=Streaming(port=port))
        self._listener_port = port
        self._host = Host(settings, data_dir, self._serving)
        self._backlog = Backlog()
        self._listening: _Listening | None = None
        self.url = ""
        self.jobs = Jobs(self._backlog.put, self._job_sessions)
        self.activity = Activity(self._backlog.put)
        self.processes = Processes(self._host)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def port(self) -> int:
        """The port it listens on; 0 if any free one will be taken at the start."""
        return self._listener_port

    @property
    def connection_count(self) -> int:
        """Count the open WebSocket connections on `/`, each once whatever it is subscribed to."""
        state = self._state()
        return 0 if state is None else state.sockets.open[ENVELOPES]

    def start(self) -> None:
        """Begin to serve, and return once requests are answered.

        Raises ConfigError if the port or the data folder cannot be used, RuntimeError if it was
        started before.
        """
        self._host.start()

    def stop(self) -> None:
        """Commit what was emitted, end all connections, and leave nothing open; within a second.

        What cannot be committed in that time is dropped, and an error in the log says how much it
        was. A second call does nothing. Commands that were started here go on, for the next server
        on the data folder; those in a temporary folder are ended.
        """
        self._backlog.close()
        self._host.stop()

    def emit(self, envelope: Mapping[str, Any]) -> None:
        """Take an envelope, to be shown to who follows its task once it is committed.

        Returns at once, also when nobody follows; the order of the calls is kept. Raises
        ValueError naming what is wrong, `queue.Full` while 10,000 emissions wait to be committed,
        or RuntimeError after `stop`.
        """
        try:
            checked = check(envelope)
        except BadRequest as error:
            raise ValueError(error.message) from None
        self._backlog.put(Emission(EnvelopeTarget(), checked, checked.size))

    def flush(self, timeout: float | None = None) -> None:
        """Wait until everything emitted so far is committed; raise TimeoutError after `timeout` s.

        RuntimeError if the server is not running, or stops before.
        """
        if not self._host.running:
            raise RuntimeError("the server is not running")
        if not self._backlog.flush(timeout):
            raise TimeoutError(f"not everything was committed within {timeout} s")

    @contextlib.asynccontextmanager
    async def _serving(self, runtime: Runtime) -> AsyncIterator[None]:
        """Listen, and commit what is emitted, until left; then commit the rest first."""
        streaming = runtime.settings.streaming
        with contextlib.closing(bind(streaming.host, streaming.port)) as listener:
            self._listener_port = listener.getsockname()[1]
            self.url = address_of(listener)
            ready = asyncio.Event()
            self._listening = _Listening(runtime, ready.set)
            serving = asyncio.create_task(self._listening.serve(sockets=[listener]))
            await ready.wait()
            commits = Commits(self._backlog, runtime)
            try:
                yield
            finally:
                await commits.finish()
                self._listening.should_exit = True
                await serving
                self._listening = None

    def _state(self) -> State | None:
        """Return what the routes of the application share, while it serves."""
        listening = self._listening
        if listening is None:
            return None
        guard = cast("Guard", listening.config.app)
        return cast("FastAPI", guard.app).state

    def _job_sessions(self) -> Mapping[str, int]:
        """Count the open streams of each job that has any."""
        state = self._state()
        if state is None:
            return {}

        async def count(_runtime: Runtime) -> Counter[str]:
            return Counter(one.job_id for one in state.streams if isinstance(one, JobStream))

        return self._host.call(count)
