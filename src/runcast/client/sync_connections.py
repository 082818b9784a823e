"""The connections of a client for threads: what is sent and followed over them, until its end."""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import httpx2

from runcast.client.call import Answer, Call
from runcast.client.errors import closed
from runcast.client.following import Following
from runcast.client.refusals import refusal
from runcast.client.transport import answer_of, reaching, request_of, settings, stream_of


class Connections:
    """Connections to the server at `base_url`, for any number of threads.

    A forked process makes its own: two that read from one connection would get each other's
    answers. Everything here raises NoServer if nobody answers, and ClientError `closed` once
    `close` was called, even where another thread was waiting.
    """

    def __init__(self, base_url: str) -> None:
        self._settings = settings(base_url)
        self._base_url = base_url.rstrip("/")
        self._own = _Own(self._settings)

    def close(self) -> None:
        """Close all connections, and wake whoever waits for a stream."""
        self._ours().close()

    @property
    def turn(self) -> threading.Lock:
        """A lock for what the threads of this process do one after the other."""
        return self._ours().turn

    def send(self, call: Call[Any]) -> Answer:
        """Send a call and return the answer, whatever it says."""
        own = self._ours()
        with reaching(self._base_url, own.closed.is_set):
            return answer_of(own.http.request(**request_of(call)))

    @contextmanager
    def open(self, stream: Following) -> Iterator[Iterator[bytes]]:
        """Open the next connection of a stream and give what arrives; raise ApiError if refused."""
        own = self._ours()
        with (
            reaching(self._base_url, own.closed.is_set),
            own.http.stream(**stream_of(stream)) as response,
        ):
            if response.is_error:
                raise refusal(response.status_code, response.read())
            stream.opened(response.status_code, response.headers)
            with own.waking(response):
                yield response.iter_raw()

    def pause(self, seconds: float) -> None:
        """Wait."""
        if self._ours().closed.wait(seconds):
            raise closed()

    def _ours(self) -> "_Own":
        own = self._own
        if own.pid != os.getpid() and not own.closed.is_set():
            own = self._own = _Own(self._settings)
        return own


class _Own:
    """What one process has: nothing of it may be shared with another."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.pid = os.getpid()
        self.http = httpx2.Client(**settings)
        self.turn = threading.Lock()
        self.closed = threading.Event()
        self._sockets: set[socket.socket] = set()

    def close(self) -> None:
        self.closed.set()
        # To close a socket does not wake who reads from it.
        for waiting in list(self._sockets):
            with suppress(OSError):
                socket.socket.shutdown(waiting, socket.SHUT_RDWR)
        self.http.close()

    @contextmanager
    def waking(self, response: httpx2.Response) -> Iterator[None]:
        """Let `close` wake who reads this response within the block."""
        read_from = response.extensions["network_stream"].get_extra_info("socket")
        self._sockets.add(read_from)
        try:
            yield
        finally:
            self._sockets.discard(read_from)
