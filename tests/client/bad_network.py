"""A network that cuts, stalls and trickles, connection by connection, as a test tells it."""

import queue
import select
import socket
from collections.abc import Iterable
from typing import Literal, NamedTuple

from tests.support.net import PIECE_BYTES, RESET, Cut, Proxy
from tests.support.server import Server

TRICKLE_BYTES = 5  # at a time, too few for any field of a frame


class Trouble(NamedTuple):
    """What happens to a connection once `after` bytes of the server have passed."""

    after: int
    kind: Literal["cut", "reset", "stall", "trickle"]


class BadNetwork(Proxy):
    """Passes connections on to a server; each meets one trouble, while there are any.

    A stalled connection stays open and says nothing more until its client leaves. A trickle is of
    as many bytes as came before it, then all flows again.
    """

    def __init__(self, server: Server) -> None:
        super().__init__(server.port)
        self.server = server
        self._troubles: queue.SimpleQueue[Trouble] = queue.SimpleQueue()

    def trouble_next(self, troubles: Iterable[Trouble]) -> None:
        """Trouble the next connections, in this order; forget what was left of earlier ones."""
        self._troubles = queue.SimpleQueue()
        for trouble in troubles:
            self._troubles.put(trouble)

    def _pass(self, client: socket.socket, server: socket.socket, cut: Cut | None) -> None:
        trouble = None if self._troubles.empty() else self._troubles.get()
        left = None if trouble is None else trouble.after
        while True:
            if trouble is not None and left == 0:
                if not self._meet(trouble, client, server):
                    return
                trouble = left = None
            ready, _, _ = select.select([client, server, self._stopping], [], [])
            if self._stopping in ready:
                return
            if client in ready:
                if not (request := client.recv(PIECE_BYTES)):
                    return
                server.sendall(request)
            if server in ready:
                if not (piece := server.recv(PIECE_BYTES if left is None else left)):
                    return
                client.sendall(piece)
                left = None if left is None else left - len(piece)

    def _meet(self, trouble: Trouble, client: socket.socket, server: socket.socket) -> bool:
        """Make the trouble; return whether the connection goes on behind it."""
        match trouble.kind:
            case "stall":
                select.select([client, self._stopping], [], [])
            case "reset":
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            case "trickle":
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                return self._trickle(trouble.after, client, server)
        return False

    def _trickle(self, size: int, client: socket.socket, server: socket.socket) -> bool:
        while size > 0:
            ready, _, _ = select.select([server, client, self._stopping], [], [])
            if server not in ready or not (piece := server.recv(TRICKLE_BYTES)):
                return False
            client.sendall(piece)
            size -= len(piece)
        return True
