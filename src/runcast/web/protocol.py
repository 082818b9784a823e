"""HTTP as the server reads it from the socket, with what the guard has to see left in."""

import asyncio
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_NOBODY = asyncio.Event()  # for what a client says whom nobody listens to any more
DIRECT = "runcast.direct"  # the ASGI extension under which a response finds its way to the socket


class Direct:
    """Writes chunks of a response that has begun straight to its socket.

    ASGI's `send` wakes a task for each piece and frames it anew for each client. Who has the same
    bytes for many clients frames them once, with `chunk`.
    """

    __slots__ = ("_protocol",)

    def __init__(self, protocol: "GuardedProtocol") -> None:
        self._protocol = protocol

    @property
    def ready(self) -> bool:
        """Whether a chunk would go out at once: the response is chunked, and its client reads."""
        protocol = self._protocol
        cycle = protocol.cycle
        return (
            not protocol.flow.write_paused
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
        self._protocol.held = held

    def when_lost(self, lost: Callable[[], None]) -> None:
        """Call `lost` once the client has left, or now if it has; `receive` tells no more of it."""
        self._protocol.lost = lost
        self._protocol.cycle.message_event = _NOBODY
        if self._protocol.transport.is_closing():
            lost()


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

    # Beside the dictionary, which would have to grow for them: 700 bytes of each connection.
    __slots__ = ("held", "lost")

    transport: asyncio.Transport
    # What the response at hand wants to do when its client does not read, and when it has left.
    held: Callable[[], None] | None
    lost: Callable[[], None] | None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to listen to a client."""
        super().connection_made(transport)
        self.flow = Flow(transport)
        self.held = self.lost = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Let the response at hand know."""
        super().connection_lost(exc)
        if self.held is not None:
            self.held()
        if self.lost is not None:
            self.lost()

    def pause_writing(self) -> None:
        """Let the response at hand know."""
        super().pause_writing()
        if self.held is not None:
            self.held()

    def on_response_complete(self) -> None:
        """Forget the response."""
        self.held = self.lost = None
        super().on_response_complete()

    def on_message_begin(self) -> None:
        """Offer the response a way to the socket."""
        super().on_message_begin()
        extensions: dict[str, Any] = {DIRECT: Direct(self)}
        self.scope["extensions"] = extensions

    def on_headers_complete(self) -> None:
        """Pass the host of an absolute-form target on as one more `Host`: the guard takes one."""
        if not self.url.startswith(b"/"):
            self.headers.append((b"host", self.url))
            self.url = b"/"
        super().on_headers_complete()
