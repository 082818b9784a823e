"""The web application: all routes of the API, behind the guard."""

from importlib.metadata import version

from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from runcast.core.errors import NotFound
from runcast.runtime.runtime import Runtime
from runcast.web import (
    agents,
    envelopes,
    external,
    interaction,
    jobs,
    messages,
    operations,
    output,
    processes,
    runs,
    search,
    streams,
    watch,
    workspaces,
)
from runcast.web.docs import docs_page
from runcast.web.guard import Guard
from runcast.web.once import Turns
from runcast.web.problems import HANDLERS
from runcast.web.sockets import Sockets
from runcast.web.sse import Streams

_SURFACES = (
    runs,
    interaction,
    external,
    output,
    streams,
    messages,
    envelopes,
    agents,
    jobs,
    processes,
    workspaces,
    watch,
    search,
    operations,
)


def create_app(runtime: Runtime) -> ASGIApp:
    """Build the ASGI application over an open runtime, which stays its caller's to close."""
    app = FastAPI(
        title="runcast",
        summary="Run commands, keep what they say in a durable log, and stream it without loss.",
        version=version("runcast"),
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        exception_handlers=HANDLERS,
    )
    app.state.runtime = runtime
    app.state.turns = Turns()
    app.state.streams = Streams(runtime.settings.api.sse)
    app.state.sockets = Sockets(runtime, app.state.streams)
    app.router.default = _nowhere
    for surface in _SURFACES:
        # Flat, not as nested routers: a wrong method is answered with all methods of its path.
        app.router.routes.extend(surface.router.routes)
    app.router.routes.extend(app.state.sockets.routes())
    app.add_route("/docs", docs_page(app.openapi), include_in_schema=False)
    auth = runtime.settings.auth
    host = runtime.settings.streaming.host
    own = f"[{host}]" if ":" in host else host
    return Guard(app, [own, *auth.allowed_hosts], auth.allowed_origins)


async def _nowhere(_scope: Scope, _receive: Receive, _send: Send) -> None:
    # The same for a WebSocket, which is thereby answered 404 before its upgrade.
    raise NotFound(
        "not_found",
        "there is nothing at this path; the API is described at /openapi.json and /docs",
    )
