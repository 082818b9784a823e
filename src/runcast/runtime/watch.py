"""inotify: a hint that a run folder changed; a poll behind it makes a lost hint harmless."""

import asyncio
import ctypes
import os
import struct
from collections.abc import Callable

PACE_S = 0.003  # hints are read at most this often; the kernel merges equal ones meanwhile
_IN_MODIFY = 0x2
_IN_MOVED_TO = 0x80
_IN_Q_OVERFLOW = 0x4000
_HEADER = struct.Struct("iIII")
_READ_BYTES = 65_536


class Watch:
    """Calls back when a watched folder's files are written to or renamed into it.

    One pace for all folders: the first hint after a quiet spell is given at once, the next no
    sooner than PACE_S later. Where inotify cannot be had, `available` is False and nothing
    is ever called back.
    """

    def __init__(self) -> None:
        self._callbacks: dict[int, tuple[Callable[[], None], Callable[[], None]]] = {}
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._libc = ctypes.CDLL(None, use_errno=True)
        try:
            self._fd = int(self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
        except AttributeError:
            self._fd = -1
        if self.available:
            self._loop.add_reader(self._fd, self._readable)

    @property
    def available(self) -> bool:
        """Whether the system gives hints."""
        return self._fd >= 0

    def add(
        self, folder: str, written: Callable[[], None], renamed: Callable[[], None]
    ) -> int | None:
        """Watch a folder; return a handle for `remove`, or None if it cannot be watched.

        `written` is called when a file grew, `renamed` when one was put in place.
        """
        if not self.available:
            return None
        mask = _IN_MODIFY | _IN_MOVED_TO
        handle = int(self._libc.inotify_add_watch(self._fd, os.fsencode(folder), mask))
        if handle < 0:
            return None
        self._callbacks[handle] = (written, renamed)
        return handle

    def remove(self, handle: int | None) -> None:
        """Stop watching."""
        if handle is not None and self._callbacks.pop(handle, None) is not None:
            self._libc.inotify_rm_watch(self._fd, handle)

    def close(self) -> None:
        """Stop everything."""
        if self._timer is not None:
            self._timer.cancel()
        if self.available:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1

    def _readable(self) -> None:
        self._loop.remove_reader(self._fd)
        self._timer = self._loop.call_later(PACE_S, self._resume)
        data = os.read(self._fd, _READ_BYTES)
        due: set[Callable[[], None]] = set()
        start = 0
        while start < len(data):
            handle, mask, _, name_size = _HEADER.unpack_from(data, start)
            start += _HEADER.size + name_size
            if mask & _IN_Q_OVERFLOW:
                due.update(renamed for _, renamed in self._callbacks.values())
            elif handle in self._callbacks:
                due.add(self._callbacks[handle][bool(mask & _IN_MOVED_TO)])
        for callback in due:
            callback()

    def _resume(self) -> None:
        self._timer = None
        self._loop.add_reader(self._fd, self._readable)
