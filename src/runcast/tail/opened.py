"""One open log file: read forward, and known to be the same file at every step."""

import errno
import os
import stat
import sys
from pathlib import Path

from runcast.tail.marks import BEFORE_BYTES, HEAD_BYTES, Identity, Mark, Seen
from runcast.tail.unfinished import Kept

_STRIDE_BYTES = 65_536  # of NUL that are stepped over at a time


class Unreadable(OSError):
    """The file exists but is not to be read; the text says why."""


class Shrunk(Exception):
    """The file does not begin with what was read of it: it was truncated, or is another one."""


class Opened:
    """A descriptor, and what is known of the file behind it; `position` is where to read on."""

    __slots__ = ("before", "device", "fd", "head", "inode", "position", "renewed")

    def __init__(self, fd: int) -> None:
        """Take over a descriptor of a regular file."""
        found = os.fstat(fd)
        self.fd = fd
        self.device, self.inode = found.st_dev, found.st_ino
        self.position = 0
        self.renewed = False
        self.head = b""
        self.before = b""

    @classmethod
    def at(cls, path: str, within: str | None = None) -> "Opened":
        """Open a path; raise Unreadable for what is no log file, OSError for the rest."""
        # NONBLOCK: a FIFO in the place of a log would hang here for ever.
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise Unreadable("not a regular file")
            if within is not None and not _lies_in(fd, path, within):
                raise Unreadable("a symbolic link leads out of the watched folder")
            return cls(fd)
        except BaseException:
            os.close(fd)
            raise

    @property
    def identity(self) -> Identity:
        """Return what tells this file from others that exist now."""
        return self.device, self.inode

    @property
    def deleted(self) -> bool:
        """Whether no path leads to the file any more."""
        return os.fstat(self.fd).st_nlink == 0

    @property
    def size(self) -> int:
        """How many bytes it has."""
        return os.fstat(self.fd).st_size

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self.fd)

    def resume(self, mark: Mark) -> bool:
        """Go to where a file was left, if this is it; tell whether it surely still is.

        If it is but was truncated since, the next read finds that out.
        """
        if self.identity != mark.identity:
            return False
        self.head, self.before = mark.head, mark.before
        self.position = mark.kept.offset
        return self._is_the_same()

    def rewind(self) -> None:
        """Forget what was known of the file: nothing of it was read."""
        self.head = self.before = b""
        self.position = 0

    def restart(self) -> None:
        """Read from the beginning: the file was truncated."""
        self.rewind()
        self.renewed = True

    def end(self) -> None:
        """Go to the end: what is there already is not to be read."""
        self.position = self.size
        self._remember_head()
        self.before = self._at(max(self.position - BEFORE_BYTES, 0), self.position)

    def read(self, limit: int) -> bytes:
        """Return the next bytes, none at the end; raise Shrunk if the file is not what it was.

        A hole at its beginning is stepped over: then `position` moves further than by what is read.
        """
        data = os.pread(self.fd, limit, self.position)
        if self.position == 0 and data.startswith(b"\0"):
            self._skip_hole()
            data = os.pread(self.fd, limit, self.position)
        # Afterwards: what was read before a truncation is good, what was read after it is not.
        if not self._is_the_same(len(data)):
            raise Shrunk
        if not data:
            return data
        if len(self.head) < HEAD_BYTES:
            self._remember_head()
        self.renewed = False
        self.position += len(data)
        self.before = (self.before + data)[-BEFORE_BYTES:]
        return data

    def mark(self, kept: Kept) -> Mark:
        """Note the file, and that it is read up to what a framing has kept."""
        start = max(kept.offset - BEFORE_BYTES, 0)
        is_here = kept.offset == self.position
        before = self.before if is_here else self._at(start, kept.offset)
        if not self.head:
            self._remember_head()
        return Mark(device=self.device, inode=self.inode, kept=kept, head=self.head, before=before)

    def _skip_hole(self) -> None:
        """Step over what a truncation left empty, because somebody writes on at his old place."""
        size = self.size
        try:
            start = os.lseek(self.fd, 0, os.SEEK_DATA)
        except OSError as error:
            start = size if error.errno == errno.ENXIO else 0  # or the system knows no holes
        if not start and not self.renewed:
            return  # somebody did write that
        while page := os.pread(self.fd, _STRIDE_BYTES, start):
            text = page.lstrip(b"\0")
            start += len(page) - len(text)
            if text:
                break
        self.position = start

    def _is_the_same(self, more: int = 0) -> bool:
        if self.size < self.position + more:
            return False
        start = self.position - len(self.before)
        return self._at(0, len(self.head)) == self.head and (
            self._at(start, self.position) == self.before
        )

    def _remember_head(self) -> None:
        self.head = self._at(0, HEAD_BYTES)

    def _at(self, start: int, end: int) -> bytes:
        return os.pread(self.fd, end - start, start) if end > start else b""


def seen(path: str) -> Seen | None:
    """Look at a path; None if nothing is there. Raise OSError if it cannot be looked at."""
    try:
        found = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return Seen(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


def _lies_in(fd: int, path: str, folder: str) -> bool:
    # What was opened counts: the path may lead elsewhere by now.
    linux = sys.platform == "linux"
    real = os.readlink(f"/proc/self/fd/{fd}") if linux else os.path.realpath(path)
    return Path(real.removesuffix(" (deleted)")).is_relative_to(folder)
