"""HTTP as the server reads it from the socket, with what the guard has to see left in."""

import asyncio
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

_NOBODY = asyncio.Event()  # for what a client says whom nobody listens to any more
DIRECT = "runcast.direct"  # the ASGI extension under which a response finds its way to the socket


class Direct:
    """Writes chunks of a response that has begun straight to its socket.

    ASGI's `send` wakes a task for each piece and frames it anew for each client. Who has the same
    bytes for many clients frames them once, with `chunk`.
    """

    __slots__ = ("_held", "_lost", "_protocol", "cycle")

    def __init__(self, protocol: "GuardedProtocol") -> None:
        # The response; the protocol's own is that of the newest request, which may have to wait.
        self.cycle: RequestResponseCycle | None = None
        self._protocol = protocol
        self._held: Callable[[], None] | None = None
        self._lost: Callable[[], None] | None = None

    @property
    def ready(self) -> bool:
        """Whether a chunk would go out at once: the response is chunked, and its client reads."""
        cycle = self.cycle
        return (
            not self._protocol.flow.write_paused
            and cycle is not None
            and bool(cycle.chunked_encoding)
            and not cycle.disconnected
        )

    @property
    def write(self) -> Callable[[bytes], None]:
        """What writes whatever `chunk` made; to be called only while `ready`."""
        return self._protocol.transport.write

    def when_held(self, held: Callable[[], None] | None) -> None:
        """Call `held` as soon as this is no longer `ready`; None: call nobody."""
        self._held = held

    def when_lost(self, lost: Callable[[], None]) -> None:
        """Call `lost` once the client has left, or now if it has; `receive` tells no more of it."""
        self._lost = lost
        self._protocol.direct = self
        if self.cycle is not None:
            self.cycle.message_event = _NOBODY
        if self._protocol.transport.is_closing():
            lost()

    def hold(self) -> None:
        """Say that the client does not read."""
        if self._held is not None:
            self._held()

    def lose(self) -> None:
        """Say that the client has left."""
        if self.cycle is not None:
            self.cycle.disconnected = True
        self.hold()
        if self._lost is not None:
            self._lost()


def chunk(body: bytes) -> bytes:
    """Frame a piece of a chunked response (RFC 9112, section 7.1)."""
    return b"%x\r\n%b\r\n" % (len(body), body) if body else b""


class Flow(FlowControl):
    """Waits for a client to read, without an Event, whose queue alone would take 600 bytes."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self.read_paused = self.write_paused = False
        self._waiting: list[asyncio.Future[None]] = []

    async def drain(self) -> None:
        """Wait until the client reads."""
        if self.write_paused:
            waiting = asyncio.get_running_loop().create_future()
            self._waiting.append(waiting)
            await waiting

    def pause_writing(self) -> None:
        """Note that the client does not read."""
        self.write_paused = True

    def resume_writing(self) -> None:
        """Note that the client reads, or has left, and go on."""
        self.write_paused = False
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            if not one.done():
                one.set_result(None)


class GuardedProtocol(HttpToolsProtocol):
    """Refuse targets that name a host of their own, which uvicorn would cut down to the path."""

    # Beside the dictionary, which would have to grow for it: 700 bytes of each connection.
    __slots__ = ("_offered", "direct")

    transport: asyncio.Transport
    direct: Direct | None  # of the response at hand, if that writes to the socket itself
    _offered: Direct  # to the request that is being read

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to listen to a client."""
        super().connection_made(transport)
        self.flow = Flow(transport)
        self.direct = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Let the response at hand know."""
        super().connection_lost(exc)
        if self.direct is not None:
            self.direct.lose()

    def pause_writing(self) -> None:
        """Let the response at hand know."""
        super().pause_writing()
        if self.direct is not None:
            self.direct.hold()

    def on_response_complete(self) -> None:
        """Forget the response."""
        self.direct = None
        super().on_response_complete()

    def handle_websocket_upgrade(self) -> None:
        """Refuse to become a WebSocket while a response is on its way."""
        if self.cycle is not None and not self.cycle.response_complete:
            self.send_400_response("Upgrade while a response is on its way.")
            return
        super().handle_websocket_upgrade()

    def on_message_begin(self) -> None:
        """Offer the response a way to the socket."""
        super().on_message_begin()
        self._offered = Direct(self)
        extensions: dict[str, Any] = {DIRECT: self._offered}
        self.scope["extensions"] = extensions

    def on_headers_complete(self) -> None:
        """Pass the host of an absolute-form target on as one more `Host`: the guard takes one."""
        if not self.url.startswith(b"/"):
            self.headers.append((b"host", self.url))
            self.url = b"/"
        super().on_headers_complete()
        if self.cycle is not None and self.cycle.scope is self.scope:
            self._offered.cycle = self.cycle
