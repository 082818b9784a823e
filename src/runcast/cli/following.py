"""Following one log file in this process: when to look at it, and what to print of it."""

import errno
import os
import time
from collections.abc import Callable, Iterable
from typing import NoReturn

from runcast.cli.changes import Changes
from runcast.cli.files import Reading
from runcast.cli.printer import Printer
from runcast.core.events import Entry, Lines
from runcast.tail.opened import Opened, Unreadable

POLL_S = 0.1  # of a file that is being written
IDLE_S = 1.0  # of one that is not
HINTED_IDLE_S = 5.0  # the same where there are hints, which are hardly ever lost
QUIET_S = 10.0  # after this, a file is taken for one that is not being written
UNFINISHED_S = 1.0  # for how long the end of a line is waited for


class Followed:
    """One file, and the printer that shows it.

    The longer nothing was written, the less often it is looked at; `due` is when to look again
    without a hint. `tell` is given why the file cannot be read, once for each reason.
    """

    def __init__(self, reading: Reading, printer: Printer, tell: Callable[[str], None]) -> None:
        self.path = reading.path
        self.real_path = os.path.realpath(reading.path)
        self.folder = self.real_path.rpartition("/")[0] or "/"
        self.reading = reading
        self.due = 0.0
        self._printer = printer
        self.tell = tell
        self._trouble: str | None = None

    @property
    def inside_line(self) -> bool:
        """Whether the end of what was printed last is yet to come."""
        return self._printer.inside_line

    def look(self, *, hinted: bool) -> bool:
        """Print what is new; tell whether there is more at once.

        `hinted` says whether the next change will be hinted at.
        """
        return self._show(*self.reading.look(), hinted=hinted)

    def look_back(self, *, hinted: bool) -> bool:
        """Do the same without what is at the path now, if that is another file."""
        return self._show(*self.reading.look_back(), hinted=hinted)

    def _show(self, entries: list[Entry], more: bool, *, hinted: bool) -> bool:
        tail = self.reading.tail
        quiet = time.monotonic() - tail.grown_at
        if quiet >= UNFINISHED_S and tail.unfinished:
            entries += self.reading.flush()
        show(entries, self._printer)
        if tail.trouble is not None and tail.trouble != self._trouble:
            self.tell(tail.trouble)
        self._trouble = tail.trouble
        idle = HINTED_IDLE_S if hinted else IDLE_S
        pause = 0 if more else max(POLL_S, idle * min(quiet / QUIET_S, 1))
        self.due = time.monotonic() + pause
        return more

    def close_if_quiet(self) -> None:
        """Give the file back if nothing more is expected of it soon; a look opens it again."""
        if self.due > time.monotonic():
            self.give_back()

    def give_back(self) -> None:
        """Give the file back, unless it cannot be taken up again just as well."""
        tail = self.reading.tail
        if not tail.unfinished and tail.descriptors == 1:
            self.reading.close()

    def leave(self) -> None:
        """Print the rest of what was at the path before: what is there now is not to be shown."""
        more = True
        while more:
            entries, more = self.reading.look_back()
            show(entries, self._printer)
        self.finish()

    def finish(self) -> None:
        """Print what is unfinished, for nothing more will come, and give the file back."""
        show(self.reading.finish(), self._printer)
        self.reading.close()


def print_file(reading: Reading, printer: Printer) -> None:
    """Print what the file has; raise OSError if it cannot be read."""
    try:
        Opened.at(reading.path).close()
    except Unreadable as error:
        raise OSError(errno.EINVAL, str(error), reading.path) from None
    more = True
    while more:
        entries, more = reading.look()
        show(entries, printer)
    show(reading.finish(), printer)
    reading.close()


def follow_file(followed: Followed) -> NoReturn:
    """Print what the file has and what comes for ever; wait for one that is not there yet."""
    if not os.path.lexists(followed.path):
        followed.tell("not there yet; waiting for it")
    with Changes() as changes:
        while True:
            paths = {followed.path, os.path.realpath(followed.path)}
            folders = {path.rpartition("/")[0] or "/" for path in paths}
            changes.watch(folders)
            followed.look(hinted=all(map(changes.is_hinted, folders)))
            _wait(changes, paths, followed.due)


def _wait(changes: Changes, paths: set[str], until: float) -> None:
    """Wait for a hint at one of the paths, or the time."""
    while (left := until - time.monotonic()) > 0:
        if paths & changes.wait(left).keys():
            return


def show(entries: Iterable[Entry], printer: Printer) -> None:
    """Print entries, all at once."""
    for entry in entries:
        if isinstance(entry, Lines):
            printer.add_lines(entry)
        else:
            printer.add_draft(entry)
    printer.flush()
