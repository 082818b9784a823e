"""A runtime in a thread of its own, with an event loop that any thread can give work."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from os import PathLike
from pathlib import Path
from threading import Lock, Thread
from typing import TypeVar

from runcast.config import Settings, StoreSettings
from runcast.core.errors import Conflict
from runcast.runtime.runtime import Runtime
from runcast.spool.folder import RunFolder
from runcast.stores import RunFilter

T = TypeVar("T")
Folder = str | PathLike[str]
Work = Callable[[Runtime], Awaitable[T]]
Body = Callable[[Runtime], AbstractAsyncContextManager[None]]

CANCELLED_S = 0.3  # for runs to end whose folder is about to be removed
LOOK_S = 0.01


@asynccontextmanager
async def nothing_more(_runtime: Runtime) -> AsyncIterator[None]:
    """Do nothing beside the runtime."""
    yield


class Host:
    """Opens a runtime in a thread, and has other threads' work done there.

    `body` is entered once the runtime is open and left before it is closed. Without a data folder
    there is a temporary one, in which nothing lives longer than the host.
    """

    def __init__(self, settings: Settings, data_dir: Folder | None, body: Body) -> None:
        self._settings = settings
        self._body = body
        if data_dir is not None:
            settings.data_dir = str(Path(data_dir).absolute())
        self._keeps = data_dir is not None
        self._lock = Lock()
        self._thread: Thread | None = None
        self._opened: Future[None] = Future()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._runtime: Runtime | None = None
        self._leave: asyncio.Event | None = None

    @property
    def running(self) -> bool:
        """Whether it was started and not stopped."""
        return self._runtime is not None

    def start(self) -> None:
        """Start the thread, and return once the body was entered; raise what prevents that."""
        with self._lock:
            if self._thread is not None:
                raise RuntimeError("it was started before; make another")
            # A program that ends without stopping it must not wait for it for ever.
            self._thread = Thread(target=self._run, name="runcast-server", daemon=True)
            self._thread.start()
        try:
            self._opened.result()
        except Exception:
            self._thread.join()
            raise

    def stop(self) -> None:
        """Leave the body, close the runtime and end the thread; it is done when this returns."""
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                return
            if self._loop is not None and self._leave is not None:
                self._loop.call_soon_threadsafe(self._leave.set)
            self._thread.join()

    def call(self, work: Work[T]) -> T:
        """Do work on the loop and return what it gives, or raise what it raises.

        Any thread may call but that of the loop itself. RuntimeError if it is not running.
        """
        runtime, loop = self._runtime, self._loop
        if runtime is None or loop is None:
            raise RuntimeError("it is not running: call start() first, and nothing after stop()")

        async def perform() -> T:
            return await work(runtime)

        return asyncio.run_coroutine_threadsafe(perform(), loop).result()

    def _run(self) -> None:
        try:
            asyncio.run(self._live())
        except BaseException as error:
            if not self._opened.done():
                self._opened.set_exception(error)
                return
            raise

    async def _live(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._leave = asyncio.Event()
        async with self._open() as runtime, self._body(runtime):
            self._runtime = runtime
            self._opened.set_result(None)
            try:
                await self._leave.wait()
            finally:
                self._runtime = None

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[Runtime]:
        if self._keeps:
            runtime = await Runtime.open(self._settings)
            try:
                yield runtime
            finally:
                await runtime.close()
            return
        with tempfile.TemporaryDirectory(
            prefix="runcast-",
            ignore_cleanup_errors=True,  # a runner may just write its last
        ) as folder:
            self._settings.data_dir = folder
            # What a power cut would take is gone after it anyway.
            self._settings.store = StoreSettings(durability="fast")
            runtime = await Runtime.open(self._settings)
            try:
                yield runtime
            finally:
                await _end_runs(runtime)
                await runtime.close()


async def _end_runs(runtime: Runtime) -> None:
    """End all commands: their folders are about to go."""
    where = RunFilter(statuses=("queued", "running"), source="run")
    active = await runtime.store.runs(where, 2**31)
    for run in active:
        try:
            await runtime.cancel(run.id)
        except Conflict:
            continue  # it has just ended
    folders = [RunFolder(runtime.data_dir.runs / run.key) for run in active]
    for folder in folders:
        folder.kill_worker()
    deadline = asyncio.get_running_loop().time() + CANCELLED_S
    while any(folder.alive() for folder in folders):
        if asyncio.get_running_loop().time() > deadline:
            return
        await asyncio.sleep(LOOK_S)
