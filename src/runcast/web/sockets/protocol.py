"""WebSocket as the server speaks it on the wire: whole frames at once, and no dead sockets."""

import asyncio
import codecs
from collections.abc import Callable
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.exceptions import PayloadTooBig
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol

# The ASGI message {"type": FRAMES, "frames": bytes} sends any number of whole text frames. A
# server that takes it says so in the scope's extensions, by an outlet for frames that are sent to
# many clients at once.
FRAMES = "runcast.websocket.frames"
LINGER_S = 5.0  # for a client to take what was sent before the close; then it is cut
MISSED_PINGS = 2
PONG_BYTES = 1024 * 1024  # of pongs that nobody reads; then who asked for them is cut
MAX_FRAGMENTS = 1_024  # of one message: an empty one weighs nothing in its size, but in memory

_Utf8 = codecs.getincrementaldecoder("utf-8")


class TooManyFragments(PayloadTooBig):
    """A message is in more than MAX_FRAGMENTS pieces."""

    def __init__(self) -> None:
        super().__init__(None, 0)

    def __str__(self) -> str:
        return f"more than {MAX_FRAGMENTS} fragments"


class StrictServer(ServerProtocol):
    """Adds to the rules of `websockets` two that it bends, and a limit.

    Text that is no UTF-8 fails the connection at the first fragment that shows it (RFC 6455
    section 8.1); and a close between the fragments of a message is a close like any other, for
    control frames may come there (section 5.4). A message of more than MAX_FRAGMENTS is too big.
    """

    _text: codecs.IncrementalDecoder | None = None
    _fragments = 0

    def recv_frame(self, frame: Frame) -> None:
        """Take a frame; raise what fails the connection."""
        if frame.opcode is Opcode.CLOSE:
            self.current_size = None
        super().recv_frame(frame)
        if frame.opcode in {Opcode.TEXT, Opcode.BINARY}:
            self._fragments = 1
        elif frame.opcode is Opcode.CONT:
            self._fragments += 1
            if self._fragments > MAX_FRAGMENTS:
                raise TooManyFragments
        if frame.opcode is Opcode.TEXT:
            self._text = _Utf8()
        if self._text is not None and frame.opcode in {Opcode.TEXT, Opcode.CONT}:
            self._text.decode(frame.data, frame.fin)
            if frame.fin:
                self._text = None


class SocketProtocol(WebSocketsSansIOProtocol):
    """Adds to uvicorn's protocol what many sockets on one log need.

    Frames that were made once for all are written as they are, any number in one write. A client
    is dead when it lets MISSED_PINGS pings pass without a byte, or reads nothing of what waits for
    it, whatever it sends; and one that does not read what it is sent is cut, where closing would
    wait for it for ever.
    """

    held: Callable[[], None] | None = None  # to be called once this is no longer `ready`

    _missed = 0
    _unread = 0  # bytes that waited for the client when it last sent any
    _unread_pongs = 0

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
        """Tell the application, in its scope, that it may send frames, and offer it an outlet."""
        super().handle_connect(event)
        if not self.handshake_complete:
            extensions: dict[str, Any] = self.scope["extensions"]
            extensions[FRAMES] = self

    @property
    def ready(self) -> bool:
        """Whether frames may be written, and would go out at once."""
        return self._is_open and self.writable.is_set()

    @property
    def write(self) -> Callable[[bytes], None]:
        """What writes whole frames; to be called only while `ready`."""
        return self.transport.write

    def when_held(self, held: Callable[[], None] | None) -> None:
        """Call `held` as soon as this is no longer `ready`; None: call nobody."""
        self.held = held

    @property
    def _is_open(self) -> bool:
        if not self.handshake_complete or self.disconnected or self.close_sent:
            return False
        return self.conn.state is State.OPEN

    def _note(self) -> None:
        if self.held is not None and not self.ready:
            self.held()

    def pause_writing(self) -> None:
        """Let go of a client that does not read."""
        super().pause_writing()
        self._note()

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of a client that has left."""
        super().connection_lost(exc)
        self._note()

    async def send(self, message: Any) -> None:
        """Send an ASGI message, among them FRAMES."""
        if message["type"] != FRAMES:
            await super().send(message)
            self._note()
            return
        await self.writable.wait()
        if not self._is_open:
            raise ClientDisconnected
        self.transport.write(message["frames"])

    def data_received(self, data: bytes) -> None:
        """Take whatever comes as a sign of life, unless its sender has stopped to read."""
        unread = self.transport.get_write_buffer_size()
        if self.writable.is_set() or unread < self._unread:
            self._missed = 0
        self._unread = unread
        super().data_received(data)
        self._note()

    def handle_ping(self) -> None:
        """Send the pongs; cut a client that asks for more of them than it reads."""
        pongs = b"".join(self.conn.data_to_send())
        self.transport.write(pongs)
        self._unread_pongs = 0 if self.writable.is_set() else self._unread_pongs + len(pongs)
        if self._unread_pongs > PONG_BYTES:
            self.transport.abort()

    def handle_pong(self, event: Frame) -> None:
        """Take the answer to a ping as a sign of life: it was read."""
        if event.data == self.pending_ping_payload:
            self._missed = 0
        super().handle_pong(event)

    def eof_received(self) -> None:
        """Give a client that says no more LINGER_S to read: it is not pinged any more."""
        super().eof_received()
        if self.transport.get_write_buffer_size():
            self.loop.call_later(LINGER_S, self.transport.abort)

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
        self._note()

    def shutdown(self) -> None:
        """Close with 1012, behind whole messages; do nothing to what is closing already."""
        if self.conn.state in {State.CONNECTING, State.OPEN}:
            super().shutdown()
        else:
            self.transport.close()
        self._note()

    async def run_asgi(self) -> None:
        """Run the application; then nobody waits longer than LINGER_S for the client to read."""
        await super().run_asgi()
        if self.transport.get_write_buffer_size():
            self.loop.call_later(LINGER_S, self.transport.abort)
