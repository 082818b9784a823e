"""One file of a folder: followed, or left out because it has been printed or is no text."""

import os
import time
from collections.abc import Callable

from runcast.cli.following import HINTED_IDLE_S, IDLE_S, QUIET_S, Followed
from runcast.cli.printed import Printed
from runcast.tail.marks import HEAD_BYTES, Identity, Seen
from runcast.tail.opened import Opened, seen

SAMPLE_BYTES = 1024  # of a file, to tell text from something else
NO_TEXT = "not shown, since it is no text"


class Member:
    """One path below the root, and what is at it.

    `open_file` makes what follows the file from its last lines, or with None from its beginning.
    A file that is no `newcomer` was there when the program began. `tell` is given why a file is
    not shown; `is_shown` says whether a path below the root is one of a file of its own. `due` is
    when to look again without a hint.
    """

    def __init__(
        self,
        open_file: Callable[[int | None], Followed],
        lines: int | None,
        printed: Printed,
        tell: Callable[[str], None],
        is_shown: Callable[[str], bool],
        *,
        newcomer: bool,
    ) -> None:
        self.due = 0.0
        self.gone_since: float | None = None  # the path was not found since then
        self._open_file = open_file
        self.followed = open_file(lines)
        self.places = {self.followed.path, self.followed.real_path}  # where hints mean it
        self._printed = printed
        self._tell = tell
        self._is_shown = is_shown
        self._newcomer = newcomer
        self._hidden = False
        self._identity: Identity | None = None  # of the last file that had something in it
        self._found: Seen | None = None

    def look(self, *, hinted: bool) -> None:
        """Print what is new; what is printed already under another name is left out."""
        found = _seen(self.followed.path)
        other = found is not None and found.size > 0 and found.identity != self._identity
        if found is not None and other:
            self._identity = found.identity
            self._judge()
            self._newcomer = True  # what takes its place was not there from the beginning
        if self._hidden or (found == self._found and not self.followed.reading.tail.descriptors):
            self.due = time.monotonic() + (HINTED_IDLE_S if hinted else IDLE_S)
        else:
            self._follow(found, hinted=hinted)
            if other or _may_begin_anew(self._found, found):
                self._printed.note(self.followed.reading.tail)
        self._found = found

    def close(self) -> None:
        """Print what is unfinished and forget the file: it is gone."""
        if not self._hidden:
            self.followed.finish()
        self._printed.forget(self.followed.reading.tail)

    def _follow(self, found: Seen | None, *, hinted: bool) -> None:
        followed = self.followed
        judged = found is not None and found.identity == self._identity
        # What is empty now may be the copy of a printed file in a moment.
        look = followed.look if judged else followed.look_back
        # A line that is too long for one look is not left to be cut by those of other files.
        while look(hinted=hinted) and followed.inside_line:
            pass
        self.due = followed.due
        if found is not None and time.time() - found.mtime_ns / 1e9 > QUIET_S:
            followed.close_if_quiet()

    def _judge(self) -> None:
        """See whether the file that is at the path now is to be shown."""
        reason = self._why_not()
        if reason:
            self._tell(reason)
        was_hidden, self._hidden = self._hidden, reason is not None
        if was_hidden and not self._hidden:
            self.followed = self._open_file(None)
        elif self._hidden and self._found is None:
            self.followed.reading.close()  # nothing was at the path before, or it is read
        elif self._hidden and not was_hidden:
            self.followed.leave()

    def _why_not(self) -> str | None:
        """Return why the file is not shown, empty if nobody needs to know; None if it is."""
        real = os.path.realpath(self.followed.path)
        if real != self.followed.path and self._is_shown(real):
            return ""  # whoever rotates the file leaves the link as it is
        try:
            file = Opened.at(self.followed.path)
        except OSError:
            return None  # whoever follows it says what is wrong
        try:
            if b"\0" in os.pread(file.fd, SAMPLE_BYTES, 0).lstrip(b"\0"):
                return NO_TEXT
            if self._printed.is_known(file, self.followed.reading.tail):
                return ""
            copied = self._newcomer and self._printed.is_copy(file, self.followed.path)
            return "" if copied else None
        finally:
            file.close()


def _seen(path: str) -> Seen | None:
    try:
        return seen(path)
    except OSError:
        return None  # whoever follows it says what is wrong


def _may_begin_anew(before: Seen | None, found: Seen | None) -> bool:
    if before is None or found is None:
        return True
    return found.size < before.size or before.size < HEAD_BYTES
