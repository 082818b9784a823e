"""Finding what there is to follow below a folder, again and again and cheaply."""

import errno
import os
import re
import stat
import time
from collections import deque
from collections.abc import Callable, Container, Iterable, Mapping
from fnmatch import translate
from pathlib import PurePath
from typing import NamedTuple

FOLDERS = 20_000  # looked at in one scan: a root such as / must not keep it going for minutes
SOURCES = 20_000  # found in one scan; each becomes a run
SETTLED_S = 2.0  # the coarsest clock of a file system: within one tick, changes look alike
RELIST_S = 60.0  # some network file systems never change a folder's mtime
_GONE = frozenset({errno.ENOENT, errno.ENOTDIR})
_DEEP = "**"
_NOWHERE = 0  # a symbolic link whose target may appear without a trace in the link's folder


class Source(NamedTuple):
    """What becomes one run.

    `path` is relative to the root, of the file or of the folder of a pair, with `/` between its
    parts; it can be written as UTF-8 whatever the name's bytes. `files` are absolute paths by
    stream as the system takes them, of a pair also the one that is not there yet.
    """

    path: str
    files: dict[str, str]


class Found(NamedTuple):
    """What a scan found.

    `folders` are the absolute paths of all folders where something may appear that matches.
    `problem` says what could not be looked at, and is no reason to forget what was known of it.
    """

    sources: dict[str, Source]
    folders: list[str]
    problem: str | None


class Scanner:
    """Finds the sources below a root.

    The glob's parts match the names on the way to a source: `*`, `?` and `[...]` within a name,
    `**` any number of folders. Names that begin with a dot match only a part that does so.
    Folders behind symbolic links are entered where a part names them, never by `**`; only with
    `follow` if they lie outside of the root. Without `files` a source is a file that matches. With
    `files`, names by stream, it is a folder that matches and has at least one of them.

    A folder that has not changed is not listed again. One scan at a time.
    """

    def __init__(
        self, root: str, glob: str, files: Mapping[str, str] | None, *, follow: bool = True
    ) -> None:
        self._root = root
        self._pattern = _Pattern(glob, files)
        self._top = _Folder(root, "", self._pattern.start)
        self._follow = follow
        self._found = Found({}, [], None)

    def scan(self, changed: Container[str] | None = None) -> Found:
        """Look at all folders; return the same object as last time if nothing is different.

        If it is known which of them have `changed`, by their paths, the others are taken as they
        were, but for those that were not certain then. Blocks. Never raises: what cannot be read is
        the `problem`. What lies beyond the limits of one scan is left out, the deepest folders
        first, and so is the `problem`, too.
        """
        now = time.time()
        within = None if self._follow else os.path.realpath(self._root)
        sources: dict[str, Source] = {}
        folders: list[str] = []
        problems: list[str] = []
        waiting = deque([self._top])
        while waiting and len(folders) < FOLDERS and len(sources) < SOURCES:
            folder = waiting.popleft()
            trouble = None
            if changed is None or folder.path in changed or not folder.certain:
                trouble = folder.look(self._pattern, now, within)
            gone = trouble is not None and trouble.errno in _GONE
            if trouble is not None and (not gone or folder is self._top):
                problems.append(f"{folder.path}: {trouble.strerror}")
            if gone:
                continue
            folders.append(folder.path)
            sources |= folder.sources
            waiting.extend(folder.children.values())
        if waiting or len(sources) > SOURCES:
            problems.insert(0, self._too_much())
        found = Found(sources, folders, problems[0] if problems else None)
        if found != self._found:
            self._found = found
        return self._found

    def _too_much(self) -> str:
        return (
            f"{self._root}: more than {FOLDERS:,} folders or {SOURCES:,} matches below it; "
            "not all of them are looked at"
        )


class _Folder:
    """A folder as it was when it was last listed; `places` say what of the glob is still ahead."""

    def __init__(
        self, path: str, under: str, places: frozenset[int], *, link: bool = False
    ) -> None:
        self.path = path
        self.under = under
        self.places = places
        self.children: dict[str, _Folder] = {}
        self.sources: dict[str, Source] = {}
        self._link = link
        self._mark: tuple[int, int, int] | None = None  # None: to be listed again at any rate
        self._listed_at = 0.0

    @property
    def certain(self) -> bool:
        """Whether it is as it was listed, unless it has changed since."""
        return self._mark is not None

    def look(self, pattern: "_Pattern", now: float, within: str | None) -> OSError | None:
        """List it if it may have changed; return what kept us from doing so.

        What is behind a link is taken as gone if it is not `within` this real folder.
        """
        try:
            if self._link and within is not None and not _lies_in(self.path, within):
                raise FileNotFoundError(errno.ENOENT, "outside of the root", self.path)
            facts = os.stat(self.path)
            mark = (facts.st_dev, facts.st_ino, facts.st_mtime_ns)
            if mark != self._mark or not 0 <= now - self._listed_at < RELIST_S:
                certain = self._list(pattern)
                # The mark is older than the list: what comes while listing makes another mark,
                # unless the clock of the file system has not moved on since.
                settled = now - facts.st_mtime >= SETTLED_S
                self._mark = mark if certain and settled else None
                self._listed_at = now
        except OSError as error:
            self._mark = None
            if error.errno in _GONE:
                self.children, self.sources = {}, {}
            return error
        return None

    def _list(self, pattern: "_Pattern") -> bool:
        """Read the names in it; return whether it is certain what all of them are."""
        children: dict[str, _Folder] = {}
        sources: dict[str, Source] = {}
        certain = True
        with os.scandir(self.path) as entries:
            for entry in entries:
                kind = _kind(entry)
                certain = certain and kind != _NOWHERE
                if kind == stat.S_IFREG and pattern.wants(self.places, entry.name):
                    source = pattern.source(self, entry.name)
                    sources[source.path] = source
                elif kind == stat.S_IFDIR:
                    link = entry.is_symlink()
                    if places := pattern.enter(self.places, entry.name, link=link):
                        children[entry.name] = self._child(entry.name, places, link=link)
                if len(sources) > SOURCES or len(children) > FOLDERS:
                    break
        self.children, self.sources = children, sources
        return certain

    def _child(self, name: str, places: frozenset[int], *, link: bool) -> "_Folder":
        known = self.children.get(name)
        if known is not None and (known.places, known._link) == (places, link):
            return known
        return _Folder(os.path.join(self.path, name), _below(self.under, name), places, link=link)


class _Part(NamedTuple):
    """One part of a glob."""

    deep: bool
    dotted: bool
    matches: Callable[[str], object]

    def takes(self, name: str) -> bool:
        """Tell whether a name matches."""
        return (self.dotted or name[0] != ".") and self.matches(name) is not None


class _Pattern:
    """A glob, taken part by part.

    A place is the number of parts that the folders on the way have used up. With `**` there are
    several at a time, since nobody knows yet how many folders it stands for.
    """

    def __init__(self, glob: str, files: Mapping[str, str] | None) -> None:
        self._files = dict(files or {})
        self._parts = [
            _Part(text == _DEEP, text.startswith("."), re.compile(translate(text)).match)
            for text in glob.split("/")
        ]
        self._end = len(self._parts)
        self.start = self._closed({0}) - {self._end}

    def wants(self, places: frozenset[int], name: str) -> bool:
        """Tell whether a file of this name makes a source where the folders have led to."""
        if self._files:
            return self._end in places and name in self._files.values()
        return self._end - 1 in places and self._parts[-1].takes(name)

    def enter(self, places: frozenset[int], name: str, *, link: bool) -> frozenset[int]:
        """Return the places in a folder of this name; none if nothing in it could match."""
        found: set[int] = set()
        for place in places - {self._end}:
            part = self._parts[place]
            if part.takes(name) and not (part.deep and link):
                found.add(place if part.deep else place + 1)
        closed = self._closed(found)
        return closed if self._files else closed - {self._end}

    def source(self, folder: _Folder, name: str) -> Source:
        """Return the source that a wanted file of a folder belongs to."""
        if not self._files:
            path = os.path.join(folder.path, name)
            return Source(_below(folder.under, name), {"stdout": path})
        paths = {stream: os.path.join(folder.path, file) for stream, file in self._files.items()}
        return Source(folder.under, paths)

    def _closed(self, places: Iterable[int]) -> frozenset[int]:
        """Add the places that are reached when a `**` stands for no folder at all."""
        found = set(places)
        for place, part in enumerate(self._parts):
            if part.deep and place in found:
                found.add(place + 1)
        return frozenset(found)


def _kind(entry: os.DirEntry[str]) -> int:
    """Return the file type of an entry or of what it links to; _NOWHERE if that cannot be told."""
    try:
        if entry.is_file():
            return stat.S_IFREG
        if entry.is_dir():
            return stat.S_IFDIR
        return stat.S_IFMT(entry.stat().st_mode)
    except OSError:
        return _NOWHERE


def _lies_in(path: str, folder: str) -> bool:
    return PurePath(os.path.realpath(path)).is_relative_to(folder)


def _below(under: str, name: str) -> str:
    shown = os.fsencode(name).decode("utf-8", "backslashreplace")
    return f"{under}/{shown}" if under else shown
