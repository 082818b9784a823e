"""From the command's pipes into the spool, without loss even where the disk is full.

stdout and stderr are two pipes, read as they become readable. In which order a command wrote to
one and the other cannot be known: the order of the records of two streams is the order in which
they were read.

The first text after silence is read at once, what follows at a pace: a command that prints fast
fills its pipe meanwhile, instead of waking a reader with each of its writes.
"""

from __future__ import annotations

import fcntl
import os
import time

from runcast.spool.cri import PART_BYTES, Framer, output_bytes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_PARTIAL_SECONDS = 0.1  # an unfinished line, such as a prompt, is shown after this long
_QUIET_SECONDS = 0.2  # nothing for this long after the command's end: there is no more
_DRAIN_SECONDS = 2.0  # but who goes on printing then is listened to no longer than this
_RETRY_SECONDS = 0.25  # between two tries to write to a full disk
_PACE_SECONDS = 0.001  # a command that prints fast writes some 200 KiB meanwhile
_PIPE_BYTES = 1_048_576  # the most that a pipe can hold unless root has raised the limit
_READS = _PIPE_BYTES // PART_BYTES
# What a full pipe of the usual size may hold is little more: the end of each write gets a page of
# its own.
_MUCH_BYTES = 32_768
_SET_PIPE_SIZE = getattr(fcntl, "F_SETPIPE_SZ", -1)  # Linux; elsewhere, no such command


class Spool:
    """The spool as its only writer sees it; what the disk refuses is kept and tried again."""

    __slots__ = ("_fd", "_pending", "_whole")

    def __init__(self, path: str) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
        self._pending = bytearray()
        self._whole = self.size()  # where the last whole record ends

    @property
    def stalled(self) -> bool:
        """Whether something waits for room on the disk."""
        return bool(self._pending)

    def write(self, records: bytes) -> None:
        """Append whole records, or keep what the disk does not take."""
        self._pending += records[0 if self._pending else self._put(records) :]

    def retry(self) -> None:
        """Try again to write what is kept."""
        del self._pending[: self._put(bytes(self._pending))]

    def abandon(self) -> int:
        """Give up what is kept and the record torn by it; return the bytes of output lost."""
        torn = os.pread(self._fd, self.size() - self._whole, self._whole)
        lost = output_bytes(torn + self._pending)
        os.ftruncate(self._fd, self._whole)
        self._pending.clear()
        return lost

    def sync(self) -> int:
        """Make the spool safe from a power cut and return its size; raises OSError."""
        os.fsync(self._fd)
        return self.size()

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._fd)

    def size(self) -> int:
        """Return how many bytes the spool has."""
        return os.fstat(self._fd).st_size

    def _put(self, data: bytes) -> int:
        start = self.size()
        view = memoryview(data)
        written = 0
        while written < len(data):
            try:
                written += os.write(self._fd, view[written:])
            except OSError:  # no room, or an I/O error: never a reason to drop what was said
                break
        newline = data.rfind(b"\n", 0, written)
        if newline >= 0:
            self._whole = start + newline + 1
        return written


class Stream:
    """One pipe of the command and what of it is not yet in the spool."""

    __slots__ = ("_framer", "_pace", "_spool", "_wide", "fd", "flush_at", "heard_at")

    def __init__(self, name: str, fd: int, spool: Spool) -> None:
        self.fd: int | None = fd
        self.flush_at: float | None = None
        self.heard_at = 0.0
        self._pace = _PACE_SECONDS
        self._wide = False
        self._framer = Framer(name)
        self._spool = spool

    def copy(self) -> None:
        """Copy what is there, unless the disk has just become full: both pipes may be ready."""
        if self._spool.stalled:
            return
        early = self._pace - (time.monotonic() - self.heard_at)
        if early > 0:
            time.sleep(early)
        self._read()

    def _read(self) -> None:
        """Copy what is there, at most what a pipe can hold."""
        for _ in range(_READS):
            chunk = self._chunk()
            if not chunk:
                return
            self._keep(chunk)
            if len(chunk) >= _MUCH_BYTES and self.fd is not None and not self._wide:
                self._widen(self.fd)
            if len(chunk) < PART_BYTES:  # there was no more
                return

    def _keep(self, chunk: bytes) -> None:
        self.heard_at = time.monotonic()
        records = self._framer.feed(chunk, time.time_ns())
        if records or self.flush_at is None:  # what is held back now has begun just now
            self.flush_at = self.heard_at + _PARTIAL_SECONDS if self._framer.waiting else None
        self._spool.write(records)

    def _chunk(self) -> bytes:
        """Read once; nothing if nothing is there or the pipe is closed, by others or now."""
        if self.fd is None:
            return b""
        try:
            chunk = os.read(self.fd, PART_BYTES)
        except BlockingIOError:
            return b""
        if not chunk:
            self.close()
        return chunk

    def _widen(self, fd: int) -> None:
        """Give the pipe more room, or never make the command wait for us in a narrow one."""
        self._wide = True
        try:
            fcntl.fcntl(fd, _SET_PIPE_SIZE, _PIPE_BYTES)
        except OSError:  # another system, or the user's pipes have all the memory they may have
            self._pace = 0.0

    def flush(self, now: float) -> None:
        """Write an unfinished line as a part if its time has come."""
        if self.flush_at is not None and now >= self.flush_at:
            self.flush_at = None
            self._spool.write(self._framer.flush(time.time_ns()))

    def finish(self) -> None:
        """Copy what the pipe still holds, then close it, even if others keep it open."""
        self._read()
        self.close()

    def close(self) -> None:
        """Write what is held back, as a part: its line has not ended."""
        if self.fd is None:
            return
        os.close(self.fd)
        self.fd = None
        self.flush_at = None
        self._spool.write(self._framer.close(time.time_ns()))


class Output:
    """Both streams on their way into the spool, and when there is no more to come."""

    __slots__ = ("_drain_from", "_quiet_from", "_retry_at", "_spool", "_streams", "_ticked_at")

    def __init__(self, path: str) -> None:
        self._spool = Spool(path)
        self._streams: tuple[Stream, ...] = ()
        self._drain_from = self._quiet_from = self._ticked_at = time.monotonic()
        self._retry_at = 0.0

    def attach(self, stdout: int, stderr: int) -> None:
        """Begin to copy from these pipes."""
        self._streams = (
            Stream("stdout", stdout, self._spool),
            Stream("stderr", stderr, self._spool),
        )

    @property
    def stalled(self) -> bool:
        """Whether the disk is full."""
        return self._spool.stalled

    @property
    def closed(self) -> bool:
        """Whether nobody holds the other end of a pipe any more."""
        return all(stream.fd is None for stream in self._streams)

    def readers(self) -> dict[int, Callable[[], None]]:
        """Return what to call when a pipe is readable; nothing while the disk is full."""
        if self.stalled:
            return {}
        return {stream.fd: stream.copy for stream in self._streams if stream.fd is not None}

    def tick(self, now: float) -> None:
        """Write what is due: unfinished lines, and what a full disk has refused."""
        if self.stalled:
            # Nothing is read meanwhile, so neither silence nor patience is running out.
            self._drain_from += now - self._ticked_at
            self._quiet_from = now
            if now >= self._retry_at:
                self._spool.retry()
                self._retry_at = now + _RETRY_SECONDS
        else:
            for stream in self._streams:
                stream.flush(now)
        self._ticked_at = now

    def due(self) -> float:
        """Return when to tick again."""
        if self.stalled:
            return self._retry_at
        times = (stream.flush_at for stream in self._streams)
        return min((at for at in times if at is not None), default=float("inf"))

    def drain(self, now: float) -> None:
        """Note that the command, or all of its tree, has ended just now."""
        self._drain_from = self._quiet_from = now

    def quiet_at(self) -> float:
        """Return when, after the latest `drain`, no more output is to be expected."""
        heard_at = max(stream.heard_at for stream in self._streams)
        quiet_at = max(heard_at, self._quiet_from) + _QUIET_SECONDS
        return min(quiet_at, self._drain_from + _DRAIN_SECONDS)

    def finish(self) -> None:
        """Copy what the pipes hold by now and close them; the disk may stall that too."""
        for stream in self._streams:
            stream.finish()

    def abandon(self) -> int:
        """Give up all that the full disk has not taken; return how many bytes were lost."""
        self.finish()
        return self._spool.abandon()

    def sync(self) -> tuple[int, str | None]:
        """Make the spool safe from a power cut; return its size and what went wrong, if so."""
        try:
            return self._spool.sync(), None
        except OSError as error:
            return self._spool.size(), f"the end of the output may be lost: {error.strerror}"
