"""Orders from the server, a line each, through the control FIFO."""

from __future__ import annotations

import os


class Orders:
    """The reading end of the FIFO, and as long as it is open the sign that orders are taken."""

    __slots__ = ("_partial", "fd")

    def __init__(self, path: str) -> None:
        # Also open for writing: else every writer that closes it would leave an endless EOF.
        self.fd = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self._partial = b""

    def take(self) -> list[list[bytes]]:
        """Return the orders that came, each split into words."""
        try:
            text = self._partial + os.read(self.fd, 65_536)
        except BlockingIOError:
            return []
        *lines, self._partial = text.split(b"\n")
        return [line.split() for line in lines if line.strip()]
