"""Where rotation puts the older generations of a log file: beside it, under a name like its own."""

import os
import re
import stat
from collections.abc import Collection, Iterator
from pathlib import PurePath
from typing import NamedTuple

from runcast.tail.marks import Identity

# What is put behind a name, or before its suffix: a number, a date, a time, or a word for old.
# A number that nothing divides from the name is part of it: worker1.log belongs to no worker.log.
_ADDED = re.compile(r"[-._~](\d[\dTZ._:+-]*|old|prev|bak)|(\d{8}[\dTZ._:+-]*)", re.ASCII)
CLOCK_NS = 50_000_000  # a file's times come from a clock that stands still for a few ms
_LARGEST_INDEX = 99_999  # what is larger is a date
_DATE_DIGITS = 6  # at least


class Sibling(NamedTuple):
    """An older generation of a log file, perhaps; `age` puts the newest first.

    One that is `doubtful` has a small number before its suffix: app-1.log may be an older app.log,
    or the log of somebody else.
    """

    path: str
    identity: Identity
    mtime_ns: int
    age: int
    doubtful: bool


def siblings(path: str) -> Iterator[Sibling]:
    """Yield the files that rotation may have renamed `path` to: beside it, and where it leads."""
    yield from _beside(path)
    if os.path.islink(path):
        yield from _beside(os.path.realpath(path))


def _beside(path: str) -> Iterator[Sibling]:
    folder, name = os.path.split(path)
    stem, suffix = PurePath(name).stem, PurePath(name).suffix
    try:
        entries = list(os.scandir(folder or "."))
    except FileNotFoundError:
        return
    for entry in entries:
        behind, before = _added(entry.name, name, ""), _added(entry.name, stem, suffix)
        added = behind or before
        if added is None:
            continue
        try:
            found = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            continue
        if stat.S_ISREG(found.st_mode):
            identity = (found.st_dev, found.st_ino)
            doubtful = behind is None and _is_doubtful(added)
            yield Sibling(entry.path, identity, found.st_mtime_ns, _age(added), doubtful)


def originals(path: str) -> Iterator[tuple[str, bool]]:
    """Yield the paths of which this may be an older generation, by its name alone.

    With each comes whether that is doubtful, in the sense of `Sibling`.
    """
    folder, slash, name = path.rpartition("/")
    stem, suffix = PurePath(name).stem, PurePath(name).suffix
    for at in range(1, len(name)):
        if _ADDED.fullmatch(name, at):
            yield f"{folder}{slash}{name[:at]}", False
    for at in range(1, len(stem) if suffix else 0):
        if found := _ADDED.fullmatch(stem, at):
            yield f"{folder}{slash}{stem[:at]}{suffix}", _is_doubtful(found[1] or found[2])


def find(path: str, identity: Identity) -> str | None:
    """Return where the file that was at `path` is now, None if it is not beside it."""
    return next((one.path for one in siblings(path) if one.identity == identity), None)


def between(path: str, known: Collection[Identity], since_ns: int) -> list[str]:
    """Return the files that were at `path` and away again since then, oldest first.

    They were written to after that, are beside it now under a name that says so, and are none of
    those that are known.
    """
    newer = {one.identity: one for one in siblings(path) if one.mtime_ns >= since_ns - CLOCK_NS}
    sure = [one for one in newer.values() if not one.doubtful]
    missed = [one for one in sure if one.identity not in known]
    if all(one.age <= _LARGEST_INDEX for one in missed):
        missed.sort(key=lambda one: -one.age)
    else:
        missed.sort(key=lambda one: (one.mtime_ns, one.path))
    return [one.path for one in missed]


def _added(name: str, start: str, end: str) -> str | None:
    """Return what was put between `start` and `end`, None if this is no name made of them."""
    if not (name.startswith(start) and name.endswith(end)):
        return None
    middle = name[len(start) : len(name) - len(end)]
    found = _ADDED.fullmatch(middle)
    return found[1] or found[2] if found else None


def _is_doubtful(added: str) -> bool:
    return sum(map(str.isdigit, added)) < _DATE_DIGITS


def _age(added: str) -> int:
    return int(added) if added.isdigit() else _LARGEST_INDEX + 1
