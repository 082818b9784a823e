"""Nudges: hints that a folder has changed, passed on to the sources whose files lie in it."""

import os
from collections.abc import Callable, Sequence

from runcast.runtime.watching.source import Watched
from runcast.tail import hints
from runcast.tail.hints import Hints, Ticket

_MASK = hints.MODIFY | hints.CREATE | hints.MOVED_TO | hints.MOVED_FROM | hints.DELETE


class _Folder:
    """A folder with files of sources, by their names, and the hints that are given on it."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.sources: dict[str, set[Watched]] = {}
        self.ticket: Ticket | None = None

    def all(self) -> list[Watched]:
        return [source for sources in self.sources.values() for source in sources]


class Nudges:
    """Asks for hints once per folder, however many sources lie in it."""

    def __init__(self, hints: Hints, nudge: Callable[[Watched], None]) -> None:
        """Call `nudge` with each source of which a file may have changed."""
        self._hints = hints
        self._nudge = nudge
        self._folders: dict[str, _Folder] = {}
        self._asked: dict[Watched, Sequence[str]] = {}

    def covers(self, source: Watched, files: Sequence[str]) -> bool:
        """Tell whether hints come for these files of a source."""
        return self._asked.get(source) == files

    def add(self, source: Watched, files: Sequence[str]) -> bool:
        """Ask for hints on the files of a source, by their real paths; tell if they will come."""
        self.remove(source)
        self._asked[source] = files
        folders = [self._folder(file, source) for file in files]
        if any(folder.ticket is None for folder in folders):
            self.remove(source)
        return source in self._asked

    def remove(self, source: Watched) -> None:
        """Give no more hints on the files of a source."""
        for file in self._asked.pop(source, ()):
            path, name = os.path.split(file)
            if (folder := self._folders.get(path)) is not None:
                sources = folder.sources.get(name, set())
                sources.discard(source)
                if not sources:
                    folder.sources.pop(name, None)
                if not folder.sources:
                    self._hints.remove(folder.ticket)
                    del self._folders[path]

    def _folder(self, file: str, source: Watched) -> _Folder:
        path, name = os.path.split(file)
        folder = self._folders.setdefault(path, _Folder(path))
        folder.sources.setdefault(name, set()).add(source)
        if folder.ticket is None:
            folder.ticket = self._hints.add(path, _MASK, lambda *told: self._told(folder, *told))
        return folder

    def _told(self, folder: _Folder, name: str, _mask: int) -> None:
        sources = list(folder.sources.get(name, ())) if name else folder.all()
        if folder.ticket is not None and not folder.ticket.alive:
            # The folder is gone: if there is another at its path, hints must be asked for anew.
            for source in folder.all():
                self.remove(source)
        for source in sources:
            self._nudge(source)
