"""Feeding the command's standard input from the input log."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runcast.spool.folder import RunFolder

_PIECE_BYTES = 65_536


class Feeder:
    """Copies the input log into a pipe, as far as the pipe takes it, and closes it at the end.

    Nothing is buffered: what the pipe did not take is read from the log again.
    """

    __slots__ = ("_eof_path", "_log", "_offset", "fd")

    def __init__(self, folder: RunFolder, fd: int) -> None:
        self.fd: int | None = fd
        self._log = os.open(folder.input_path, os.O_RDONLY | os.O_CLOEXEC)
        self._eof_path = folder.eof_path
        self._offset = 0

    def feed(self) -> bool:
        """Copy what is there; True if the pipe is full and there may be more."""
        while self.fd is not None:
            # Looked at before the read: whatever comes before the mark is then surely read.
            ended = os.path.exists(self._eof_path)
            piece = os.pread(self._log, _PIECE_BYTES, self._offset)
            if not piece:
                if ended:
                    self.close()
                return False
            try:
                self._offset += os.write(self.fd, piece)
            except BlockingIOError:
                return True
            except OSError:  # the command has closed its input, as it may
                self.close()
        return False

    def close(self) -> None:
        """Give the command the end of its input."""
        if self.fd is not None:
            os.close(self.fd)
            self.fd = None
