"""Where rotation puts the older generations of a log file: beside it, under a name like its own."""

import os
import re
import stat
from collections.abc import Collection, Iterator
from pathlib import PurePath
from typing import NamedTuple

from runcast.tail.marks import Identity

# What is put behind a name, or before its suffix: a number, a date, a time, or a word for old.
_ADDED = re.compile(r"[-._~]?(\d[\dTZ._:+-]*|old|prev|bak)", re.ASCII)
CLOCK_NS = 50_000_000  # a file's times come from a clock that stands still for a few ms
_LARGEST_INDEX = 99_999  # what is larger is a date


class Sibling(NamedTuple):
    """An older generation of a log file, perhaps; `age` puts the newest first."""

    path: str
    identity: Identity
    mtime_ns: int
    age: int


def siblings(path: str) -> Iterator[Sibling]:
    """Yield the files beside `path` that rotation may have renamed it to."""
    folder, name = os.path.split(path)
    stem, suffix = PurePath(name).stem, PurePath(name).suffix
    try:
        entries = list(os.scandir(folder or "."))
    except FileNotFoundError:
        return
    for entry in entries:
        added = _added(entry.name, name, "") or _added(entry.name, stem, suffix)
        if added is None:
            continue
        try:
            found = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            continue
        if stat.S_ISREG(found.st_mode):
            identity = (found.st_dev, found.st_ino)
            yield Sibling(entry.path, identity, found.st_mtime_ns, _age(added))


def find(path: str, identity: Identity) -> str | None:
    """Return where the file that was at `path` is now, None if it is not beside it."""
    return next((one.path for one in siblings(path) if one.identity == identity), None)


def between(path: str, known: Collection[Identity], since_ns: int) -> list[str]:
    """Return the files that were at `path` and away again since then, oldest first.

    They were written to after that, are beside it now, and are none of those that are known.
    """
    missed = [
        one
        for one in siblings(path)
        if one.identity not in known and one.mtime_ns >= since_ns - CLOCK_NS
    ]
    if all(one.age <= _LARGEST_INDEX for one in missed):
        missed.sort(key=lambda one: -one.age)
    else:
        missed.sort(key=lambda one: one.mtime_ns)
    return [one.path for one in missed]


def _added(name: str, start: str, end: str) -> str | None:
    """Return what was put between `start` and `end`, None if this is no name made of them."""
    if not (name.startswith(start) and name.endswith(end)):
        return None
    middle = name[len(start) : len(name) - len(end)]
    found = _ADDED.fullmatch(middle)
    return found[1] if found else None


def _age(added: str) -> int:
    return int(added) if added.isdigit() else _LARGEST_INDEX + 1
