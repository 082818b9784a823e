"""The server process: bind, serve, and on SIGTERM end every stream cleanly."""

import asyncio
import contextlib
import gc
import logging
import resource
import signal
import socket
from collections.abc import Callable, Iterator

import structlog
import uvicorn
import uvloop

from runcast.config import Settings
from runcast.core.errors import ConfigError
from runcast.runtime.runtime import Runtime
from runcast.web.app import create_app
from runcast.web.protocol import GuardedProtocol
from runcast.web.sockets.protocol import SocketProtocol

BACKLOG = 2048
MESSAGE_BYTES = 64 * 1024  # of a WebSocket client: it says little more than what it wants
GC_OBJECTS = 10_000  # between looks for cycles: a burst makes many objects, and none in cycles

Announce = Callable[[str], None]


class DrainServer(uvicorn.Server):
    """A uvicorn server whose streams end at a frame boundary when it is told to stop."""

    drain_s = 0.6  # for streams to end at a frame; then who does not read is cut

    def __init__(self, runtime: Runtime, ready: Callable[[], None] = lambda: None) -> None:
        ping_s = runtime.settings.api.ws.ping_interval_s
        config = uvicorn.Config(
            create_app(runtime),
            http=GuardedProtocol,
            ws=SocketProtocol,
            ws_max_size=MESSAGE_BYTES,
            ws_ping_interval=ping_s,
            ws_ping_timeout=ping_s,
            ws_per_message_deflate=False,  # 64 KiB a connection, and a bomb to defuse
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            backlog=BACKLOG,
            timeout_graceful_shutdown=1,
        )
        super().__init__(config)
        self._runtime = runtime
        self._ready = ready

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop on SIGTERM and SIGINT, and exit 0 then: stopping is no failure."""
        loop = asyncio.get_running_loop()
        signals = (signal.SIGTERM, signal.SIGINT)
        for number in signals:
            loop.add_signal_handler(number, self._stop)
        try:
            yield
        finally:
            for number in signals:
                loop.remove_signal_handler(number)

    def _stop(self) -> None:
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen, then say so."""
        await super().startup(sockets)
        self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close the listener, drain the streams, cut who does not read, then stop."""
        for server in self.servers:
            server.close()
        self._runtime.drain()
        for opened in self._sockets():
            opened.shutdown()  # behind whole messages: it closes with 1012
        if self.server_state.tasks:
            await asyncio.wait(set(self.server_state.tasks), timeout=self.drain_s)
        for connection in list(self.server_state.connections):
            cycle = getattr(connection, "cycle", None)
            if cycle is not None and not cycle.response_complete:
                connection.transport.abort()
        for unread in self._sockets():
            unread.transport.abort()
        await super().shutdown(sockets)

    def _sockets(self) -> list[SocketProtocol]:
        return [one for one in self.server_state.connections if isinstance(one, SocketProtocol)]


def serve(settings: Settings, announce: Announce) -> None:
    """Serve until SIGTERM or SIGINT; runs go on without the server.

    `announce` is called with the address once requests are answered. Raises ConfigError if the
    address or the data folder cannot be used.
    """
    _configure_logging()
    listener = bind(settings.streaming.host, settings.streaming.port)
    open_files = _raise_open_files()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(settings, listener, announce, open_files))


async def _serve(
    settings: Settings, listener: socket.socket, announce: Announce, open_files: int
) -> None:
    with contextlib.closing(listener):
        runtime = await Runtime.open(settings, open_files)

        def ready() -> None:
            gc.freeze()
            gc.set_threshold(GC_OBJECTS)
            announce(address_of(listener))

        try:
            server = DrainServer(runtime, ready)
            await server.serve(sockets=[listener])
        finally:
            await runtime.close()


def bind(host: str, port: int) -> socket.socket:
    """Listen on an address; raise ConfigError if that cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise ConfigError(
            f"cannot listen on {host}:{port}: {error.strerror}; choose another port with --port"
        ) from error
    listener.setblocking(False)
    return listener


def address_of(listener: socket.socket) -> str:
    """Return the URL that a listener answers at."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _raise_open_files() -> int:
    """Open as many files as the system lets us, for every stream takes one; return the old limit.

    Commands get the old one back.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return soft


def _configure_logging() -> None:
    # Through the standard library: a log line that cannot be written must not stop a run's ingest.
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("runcast").setLevel(logging.INFO)
    structlog.configure(
        processors=[
            structlog.processors.format_exc_info,
            structlog.processors.KeyValueRenderer(key_order=["event"]),
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
    )
