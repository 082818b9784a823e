"""Generations: the files that are or were at one path, found again and opened in their order."""

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from runcast.tail.marks import Identity, Mark, State
from runcast.tail.opened import Opened
from runcast.tail.rotated import between, find
from runcast.tail.unfinished import Kept


class Lost(NamedTuple):
    """Output is missing here, or may be: the event `gap` says so, with this reason."""

    reason: str
    bytes: int | None = None


class Generation(NamedTuple):
    """An open file, what was lost before it, and how far it was read; None if it never was."""

    file: Opened
    lost: Lost | None = None
    kept: Kept | None = None


class Place(NamedTuple):
    """A path, and the real folder that links from it may not leave."""

    path: str
    within: str | None = None

    def take_up(self, state: State) -> list[Generation]:
        """Open the files of a state, and what has come to the path since; raise OSError.

        Where a file is gone that was not seen to be read to its end, the next one says so. If there
        is none at all, nothing can.
        """
        found: list[Generation] = []
        lost: Lost | None = None
        with _closing(found):
            for mark in state.marks:
                file = self.reopen(mark)
                if file is None:
                    lost = Lost("rotated")
                else:
                    found.append(Generation(file, lost, mark.kept))
                    lost = None
            if lost is not None or not found:
                others = {one.file.identity for one in found}
                found += self.newer(others, list(state.all()), state.confirmed, lost)
        return found

    def newer(
        self,
        others: Collection[Identity],
        past: Collection[Mark],
        since_ns: int,
        lost: Lost | None = None,
    ) -> list[Generation]:
        """Open what is at the path now, and before it what came and went since then.

        `others` are open, and none of these; `past` were left and may be deleted, so that their
        identity is another file's now. Returns nothing if nothing is at the path; raises OSError.
        """
        try:
            newest = Opened.at(*self)
        except FileNotFoundError:
            return []
        kept = _again(newest, past)
        found: list[Generation] = []
        with _closing([Generation(newest)]), _closing(found):
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

        One that is at the path but no longer begins with what was read will say so when it is read.
        """
        for path in (self.path, find(self.path, mark.identity)):
            try:
                file = None if path is None else Opened.at(path, self.within)
            except FileNotFoundError:
                continue
            if file is None:
                continue
            if file.resume(mark) or (file.identity == mark.identity and path == self.path):
                return file
            file.close()
        return None


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
