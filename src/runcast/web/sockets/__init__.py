"""WebSockets: the paths they are on, and how many are open."""

from collections import Counter
from collections.abc import Callable

from starlette.datastructures import QueryParams
from starlette.routing import WebSocketRoute
from starlette.types import Receive, Scope, Send

from runcast.runtime.runtime import Runtime
from runcast.web.sockets.activity import ActivitySurface
from runcast.web.sockets.connection import Connection, Surface
from runcast.web.sockets.echo import echo
from runcast.web.sockets.envelopes import EnvelopesSurface
from runcast.web.sockets.page import Written
from runcast.web.sse import Streams

ENVELOPES = "/"
ACTIVITY = "/ws"
ECHO = "/__echo"

# What can be said on each path.
SURFACES: dict[str, Callable[[Connection, QueryParams], Surface]] = {
    ENVELOPES: EnvelopesSurface,
    ACTIVITY: ActivitySurface,
}


class Sockets:
    """The WebSockets of a server; `open` counts them by path."""

    def __init__(self, runtime: Runtime, streams: Streams) -> None:
        self.open: Counter[str] = Counter()
        self._runtime = runtime
        self._streams = streams
        self._written = Written()

    def routes(self) -> list[WebSocketRoute]:
        """Return their routes."""
        found = [WebSocketRoute(path, self) for path in SURFACES]
        if self._runtime.settings.testing.echo:
            found.append(WebSocketRoute(ECHO, echo))
        return found

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one of them to its end."""
        path = scope["path"]
        connection = Connection(self._runtime, self._streams, self._written)
        surface = SURFACES[path](connection, QueryParams(scope["query_string"]))
        self.open[path] += 1
        try:
            await connection.run(surface, scope, receive, send)
        finally:
            self.open[path] -= 1
