"""inotify: hints that a folder has changed; a poll behind them makes a lost one harmless."""

import asyncio
import ctypes
import os
import struct
from collections.abc import Callable, Iterator
from functools import reduce
from operator import or_

PACE_S = 0.003  # hints are read at most this often; the kernel merges equal ones meanwhile
ASKED = 2  # times in a row: who put reading off may know better by then, but not for ever

MODIFY = 0x2
ATTRIB = 0x4
CLOSE_WRITE = 0x8
MOVED_FROM = 0x40
MOVED_TO = 0x80
CREATE = 0x100
DELETE = 0x200
MOVE_SELF = 0x800
OVERFLOW = 0x4000  # IN_Q_OVERFLOW: hints were lost
IGNORED = 0x8000  # the folder is gone, and its watch with it
IS_DIR = 0x4000_0000  # beside the others: what the name names is a folder

_ONLY_DIR = 0x100_0000
_MASK_ADD = 0x2000_0000
_ENDS = IGNORED | MOVE_SELF  # a watch follows its folder, not the path: the path needs a new one
_UNASKED = _ENDS | OVERFLOW
_HEADER = struct.Struct("iIII")
_READ_BYTES = 65_536

Callback = Callable[[str, int], None]


class Ticket:
    """One caller's interest in a folder, until it is given back or the folder goes away."""

    __slots__ = ("alive", "callback", "folder", "mask", "watch")

    def __init__(self, watch: int, folder: str, mask: int, callback: Callback) -> None:
        self.watch = watch
        self.folder = folder
        self.mask = mask
        self.callback = callback
        self.alive = True


class Hints:
    """Calls back when something happens in a folder; several callers may watch the same one.

    One pace for all folders: the first hint after a quiet spell is given at once, the next no
    sooner than PACE_S later, and what has happened to one name until then is one call with the
    masks joined. `hold` is asked then, and may put it off by so many seconds more, after which it
    is asked once again. Where inotify cannot be had, `available` is False and nothing is ever
    called back. Belongs to the event loop that it was made in, and is used from there alone.
    """

    def __init__(self, hold: Callable[[], float] = float) -> None:
        self._hold = hold
        self._tickets: dict[int, list[Ticket]] = {}
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

    def add(self, folder: str, mask: int, callback: Callback) -> Ticket | None:
        """Watch a folder for what the mask says; return None if it cannot be watched.

        `callback` gets the name of what changed, and how. The name is empty if it is the folder
        itself, and after an OVERFLOW, when anything may have changed. That a folder was deleted
        or moved is said unasked, by IGNORED or MOVE_SELF, and is the last that its tickets hear:
        they are not `alive` then, and what has the folder's name now is to be added anew.
        """
        watch = self._ask(folder, mask | _MASK_ADD)
        if watch < 0:
            return None
        ticket = Ticket(watch, folder, mask, callback)
        self._tickets.setdefault(watch, []).append(ticket)
        return ticket

    def remove(self, ticket: Ticket | None) -> None:
        """Stop calling back; None, or a ticket that is not alive, changes nothing."""
        if ticket is None or not ticket.alive:
            return
        ticket.alive = False
        others = self._tickets[ticket.watch]
        others.remove(ticket)
        if not others:
            del self._tickets[ticket.watch]
            self._libc.inotify_rm_watch(self._fd, ticket.watch)
        elif ticket.mask & ~_joined(others):
            self._narrow(ticket.watch, ticket.folder)

    def close(self) -> None:
        """Stop everything."""
        for ticket in self._all():
            ticket.alive = False
        self._tickets.clear()
        if self._timer is not None:
            self._timer.cancel()
        if self.available:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1

    def _ask(self, folder: str, mask: int) -> int:
        if not self.available:
            return -1
        wanted = mask | MOVE_SELF | _ONLY_DIR
        return int(self._libc.inotify_add_watch(self._fd, os.fsencode(folder), wanted))

    def _narrow(self, watch: int, folder: str) -> None:
        """Ask for no more than is still wanted: every hint wakes the whole process."""
        found = self._ask(folder, _joined(self._tickets[watch]))
        if found in (watch, -1):
            return
        # The path leads to another folder by now, whose watch this was no business of.
        if found in self._tickets:
            self._ask(folder, _joined(self._tickets[found]))
        else:
            self._libc.inotify_rm_watch(self._fd, found)

    def _readable(self) -> None:
        self._loop.remove_reader(self._fd)
        self._look()

    def _look(self) -> None:
        """Tell what has happened, and look again later; where nothing has, wait for it."""
        due: dict[tuple[int, str], int] = {}
        for watch, mask, name in _read(self._fd):
            due[watch, name] = due.get((watch, name), 0) | mask
        if due:
            self._timer = self._loop.call_later(PACE_S, self._resume)
        else:
            self._timer = None
            self._loop.add_reader(self._fd, self._readable)
        for (watch, name), mask in due.items():
            self._tell(watch, name, mask)

    def _tell(self, watch: int, name: str, mask: int) -> None:
        tickets = self._all() if mask & OVERFLOW else self._tickets.get(watch, [])[:]
        ended = bool(mask & _ENDS) and self._tickets.pop(watch, None) is not None
        if ended and not mask & IGNORED:
            self._libc.inotify_rm_watch(self._fd, watch)
        for ticket in tickets:
            asked = mask & (ticket.mask | _UNASKED)
            if ticket.alive and asked:
                ticket.alive = not ended
                ticket.callback(name, asked | mask & IS_DIR)

    def _all(self) -> list[Ticket]:
        return [ticket for tickets in self._tickets.values() for ticket in tickets]

    def _resume(self, asked: int = 0) -> None:
        if asked < ASKED and (pause := self._hold()) > 0:
            self._timer = self._loop.call_later(pause, self._resume, asked + 1)
        else:
            self._look()


def _joined(tickets: list[Ticket]) -> int:
    return reduce(or_, (ticket.mask for ticket in tickets), 0)


def _read(fd: int) -> Iterator[tuple[int, int, str]]:
    """Yield what has happened: the watch, how, and to which name in the folder."""
    try:
        data = os.read(fd, _READ_BYTES)
    except BlockingIOError:
        return
    start = 0
    while start < len(data):
        watch, mask, _, size = _HEADER.unpack_from(data, start)
        start += _HEADER.size
        yield watch, mask, os.fsdecode(data[start : start + size].rstrip(b"\0"))
        start += size
