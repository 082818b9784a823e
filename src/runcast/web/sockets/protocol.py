"""WebSocket as the server speaks it on the wire: whole frames at once, and no dead sockets."""

import asyncio
import codecs
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol

# The ASGI message {"type": FRAMES, "frames": bytes} sends any number of whole text frames. A
# server that takes it says so in the scope's extensions.
FRAMES = "runcast.websocket.frames"
LINGER_S = 5.0  # for a client to take what was sent before the close; then it is cut
MISSED_PINGS = 2

_Utf8 = codecs.getincrementaldecoder("utf-8")


class StrictServer(ServerProtocol):
    """Adds to the rules of `websockets` two that it bends.

    Text that is no UTF-8 fails the connection at the first fragment that shows it (RFC 6455
    section 8.1); and a close between the fragments of a message is a close like any other, for
    control frames may come there (section 5.4).
    """

    _text: codecs.IncrementalDecoder | None = None

    def recv_frame(self, frame: Frame) -> None:
        """Take a frame; raise what fails the connection."""
        if frame.opcode is Opcode.CLOSE:
            self.current_size = None
        super().recv_frame(frame)
        if frame.opcode is Opcode.TEXT:
            self._text = _Utf8()
        if self._text is not None and frame.opcode in {Opcode.TEXT, Opcode.CONT}:
            self._text.decode(frame.data, frame.fin)
            if frame.fin:
                self._text = None


class SocketProtocol(WebSocketsSansIOProtocol):
    """Adds to uvicorn's protocol what many sockets on one log need.

    Frames that were made once for all are written as they are, any number in one write. A client
    is dead when it lets MISSED_PINGS pings pass without a byte; and one that does not read what
    it is sent is cut, where closing would wait for it for ever.
    """

    _missed = 0

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.conn = StrictServer(max_size=config.ws_max_size, logger=self.logger)

    def handle_connect(self, event: Request) -> None:
        """Tell the application, in its scope, that it may send frames."""
        super().handle_connect(event)
        if not self.handshake_complete:
            self.scope["extensions"][FRAMES] = {}

    async def send(self, message: Any) -> None:
        """Send an ASGI message, among them FRAMES."""
        if message["type"] != FRAMES:
            await super().send(message)
            return
        await self.writable.wait()
        if self.disconnected or self.close_sent or self.conn.state is not State.OPEN:
            raise ClientDisconnected
        self.transport.write(message["frames"])

    def data_received(self, data: bytes) -> None:
        """Take whatever comes as a sign of life."""
        self._missed = 0
        super().data_received(data)

    def keepalive_timeout(self) -> None:
        """Ping once more, or give the client up."""
        self.pong_timer = None
        self._missed += 1
        if self._missed < MISSED_PINGS:
            self.send_keepalive_ping()
        elif self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            super().keepalive_timeout()

    def shutdown(self) -> None:
        """Close with 1012, behind whole messages; do nothing to what is closing already."""
        if self.conn.state in {State.CONNECTING, State.OPEN}:
            super().shutdown()
        else:
            self.transport.close()

    async def run_asgi(self) -> None:
        """Run the application; then nobody waits longer than LINGER_S for the client to read."""
        await super().run_asgi()
        if self.transport.get_write_buffer_size():
            self.loop.call_later(LINGER_S, self.transport.abort)
