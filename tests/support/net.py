"""A network that fails on purpose: a TCP proxy that cuts its connections at a given byte."""

import contextlib
import queue
import select
import socket
import struct
import threading
from collections.abc import Iterable
from types import TracebackType
from typing import NamedTuple, Self

PIECE_BYTES = 65_536
# Discard what is unsent and reset the connection, as a crash or a firewall does.
RESET = struct.pack("ii", 1, 0)


class Cut(NamedTuple):
    """End a connection once `after` bytes of the server have passed: by RST, or by FIN."""

    after: int
    reset: bool = False


class Proxy:
    """Passes connections on to a port of this machine; each takes one cut, while there are any."""

    def __init__(self, target: int, cuts: Iterable[Cut] = ()) -> None:
        self._target = target
        self._cuts: queue.SimpleQueue[Cut] = queue.SimpleQueue()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._stopping, self._stop = socket.socketpair()
        self._threads = [threading.Thread(target=self._accept)]
        self.cut_next(cuts)

    @property
    def port(self) -> int:
        """Where the proxy listens."""
        return int(self._listener.getsockname()[1])

    @property
    def cuts_left(self) -> int:
        """How many of the cuts no connection has taken so far."""
        return self._cuts.qsize()

    def cut_next(self, cuts: Iterable[Cut]) -> None:
        """Cut the next connections, in this order."""
        for cut in cuts:
            self._cuts.put(cut)

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.close()
        for thread in self._threads:
            thread.join()
        self._listener.close()
        self._stopping.close()

    def _accept(self) -> None:
        while self._stopping not in _readable(self._listener, self._stopping):
            client, _ = self._listener.accept()
            thread = threading.Thread(target=self._serve, args=(client, self._next_cut()))
            self._threads.append(thread)
            thread.start()

    def _next_cut(self) -> Cut | None:
        try:
            return self._cuts.get_nowait()
        except queue.Empty:
            return None

    def _serve(self, client: socket.socket, cut: Cut | None) -> None:
        with client, contextlib.suppress(OSError):
            with socket.create_connection(("127.0.0.1", self._target)) as server:
                self._pass(client, server, cut)
            if cut is not None and cut.reset:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)

    def _pass(self, client: socket.socket, server: socket.socket, cut: Cut | None) -> None:
        left = PIECE_BYTES if cut is None else cut.after
        while left:
            ready = _readable(client, server, self._stopping)
            if self._stopping in ready:
                return
            if client in ready:
                request = client.recv(PIECE_BYTES)
                if not request:
                    return
                server.sendall(request)
            if server in ready:
                answer = server.recv(min(left, PIECE_BYTES))
                if not answer:
                    return
                client.sendall(answer)
                left -= 0 if cut is None else len(answer)


def _readable(*sockets: socket.socket) -> list[socket.socket]:
    return select.select(sockets, [], [])[0]
