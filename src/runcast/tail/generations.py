"""Generations: the files that are or were at one path, found again and opened in their order."""

import os
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from runcast.tail.marks import Identity, Mark, State
from runcast.tail.opened import Opened, Unreadable, seen
from runcast.tail.rotated import between, find
from runcast.tail.unfinished import Kept


class Lost(NamedTuple):
    """Output is missing here, or may be: the event `gap` says so, with this reason."""

    reason: str


class Generation(NamedTuple):
    """An open file, what was lost before it, and how far it was read; None if it never was."""

    file: Opened
    lost: Lost | None = None
    kept: Kept | None = None


class TakenUp(NamedTuple):
    """The files of a state, open: those to be read, oldest first, and the late ones.

    `lost` came last, and nothing new is at the path since. `gone` are the others.
    """

    files: list[Generation]
    late: list[Generation]
    gone: list[Mark]
    lost: Lost | None


class Place(NamedTuple):
    """A path, and the real folder that links from it may not leave."""

    path: str
    within: str | None = None

    def take_up(self, state: State) -> TakenUp:
        """Open the files of a state, and what has come to the path since; raise OSError.

        Where a file is gone that was not seen to be read to its end, the next one says so.
        """
        found: list[Generation] = []
        late: list[Generation] = []
        lost: Lost | None = None
        with _closing(found), _closing(late):
            for mark in state.marks:
                lost = lost or (Lost(mark.lost) if mark.lost else None)
                if (file := self.reopen(mark)) is None:
                    lost = Lost("rotated")
                else:
                    found.append(Generation(file, lost, mark.kept))
                    lost = None
            if lost is not None or not found:
                others = {one.file.identity for one in found}
                newer = self.newer(others, list(state.all()), state.confirmed, lost)
                found += newer
                lost = None if newer or lost is None else Lost("deleted")
            others = {one.file.identity for one in found}
            for mark in state.late if found else []:
                if mark.identity in others or not mark.head:
                    continue  # what was there has been deleted; or nobody could tell
                if (file := self.reopen(mark)) is not None:
                    late.append(Generation(file, None, mark.kept))
        here = {one.file.identity for one in (*found, *late)}
        gone = [one for one in (*state.marks, *state.late) if one.identity not in here]
        if found and any(mark.head for mark in state.late if mark in gone):
            found[0] = found[0]._replace(lost=found[0].lost or Lost("rotated"))
        return TakenUp(found, late, gone, lost)

    def newer(
        self,
        others: Collection[Identity],
        past: Collection[Mark],
        since_ns: int,
        lost: Lost | None = None,
    ) -> list[Generation]:
        """Open what is at the path now, and before it what came and went since then.

        `others` are open, and none of these; `past` were left and may be deleted, so that their
        identity is another file's now. Returns nothing if nothing new is there; raises OSError.
        """
        try:
            newest = Opened.at(*self)
        except FileNotFoundError:
            return []
        if newest.identity in others:
            newest.close()
            return []
        found: list[Generation] = []
        with _closing([Generation(newest)]), _closing(found):
            kept = _again(newest, past)
            for path in between(self.path, {newest.identity, *others}, since_ns):
                try:
                    file = Opened.at(path, self.within)
                except (FileNotFoundError, PermissionError):
                    lost = Lost("rotated")
                    continue
                if _again(file, past) is not None:
                    file.close()
                    continue
                found.append(Generation(file, lost))
                lost = None
        return [*found, Generation(newest, lost, kept)]

    def reopen(self, mark: Mark) -> Opened | None:
        """Find and open the file of a mark, at the path or beside it, and go to where it was left.

        Where rotation gives it no name of its kind, only its content shows that it is this file.
        One that is at the path but no longer begins with what was read will say so when it is read.
        """
        for path in self._places_of(mark):
            try:
                file = Opened.at(path, self.within)
            except FileNotFoundError:
                continue
            if file.resume(mark) or (file.identity == mark.identity and path == self.path):
                return file
            file.close()
        return None

    def _places_of(self, mark: Mark) -> Iterator[str]:
        yield self.path
        # Only if it is not there: this lists the folder.
        if (beside := find(self.path, mark.identity)) is not None:
            yield beside
        elif mark.head:
            yield from _renamed(self.path, mark.inode)


def standing(path: str, *, from_end: bool = False, within: str | None = None) -> State:
    """Return the state of a tail that has read nothing: it knows the file that is there now.

    With `from_end` it will read only what is written from now on.
    """
    clock = time.time_ns()
    try:
        file = Opened.at(path, within)
    except Unreadable:  # it is no log, so what comes to be there is another file
        return State(confirmed=clock)
    except OSError:
        return State(marks=unopened(path, from_end=from_end), confirmed=clock)
    try:
        if from_end:
            file.end()
        return State(marks=[file.mark(Kept(offset=file.position))], confirmed=clock)
    finally:
        file.close()


def unopened(path: str, *, from_end: bool) -> list[Mark]:
    """Note a file that cannot be opened now as well as can be; nothing if it cannot be seen."""
    try:
        found = seen(path)
    except OSError:
        return []
    if found is None:
        return []
    kept = Kept(offset=found.size if from_end else 0)
    return [Mark(device=found.device, inode=found.inode, kept=kept)]


def is_known(path: str, state: State) -> bool:
    """Tell whether a path leads to a file that a tail in this state has to do with."""
    try:
        file = Opened.at(path)
    except OSError:
        return False
    try:
        return _again(file, state.all()) is not None
    finally:
        file.close()


def _renamed(path: str, inode: int) -> Iterator[str]:
    """Yield the files in the folder of a path that may be the one that was there."""
    for folder in {os.path.dirname(path), os.path.dirname(os.path.realpath(path))}:
        try:
            entries = list(os.scandir(folder or "."))
        except FileNotFoundError:
            continue
        for entry in entries:
            if entry.inode() != inode or not entry.is_file(follow_symlinks=False):
                continue
            # It may be the inode of another file by now, whose troubles are none of ours.
            if os.access(entry.path, os.R_OK):
                yield entry.path


def _again(file: Opened, marks: Iterable[Mark]) -> Kept | None:
    """Go to where a file was left if one of the marks is its own; None if none is."""
    for mark in marks:
        if mark.head and file.resume(mark):
            return mark.kept
    file.rewind()
    return None


@contextmanager
def _closing(found: list[Generation]) -> Iterator[None]:
    """Close what was opened if not all could be."""
    try:
        yield
    except BaseException:
        for one in found:
            one.file.close()
        raise
