"""Interest: who follows what, and which sources are read because of it."""

from collections import Counter, defaultdict
from collections.abc import Callable

from runcast.runtime.pages import Key
from runcast.runtime.watching.source import Watched


class Interest:
    """Counts followers, and tells when the first of a source has come or the last has left.

    What a follower costs does not grow with the sources, but with those that it follows.
    """

    def __init__(self, turned: Callable[[Watched], None]) -> None:
        """Call `turned` with each source that is followed from now on, or no more."""
        self._turned = turned
        self._followers: Counter[Key] = Counter()
        self._sources: defaultdict[Key, set[Watched]] = defaultdict(set)

    def note(self, key: Key, change: int) -> None:
        """Note that a follower of this joined (1) or left (-1)."""
        before = self._followers[key]
        self._followers[key] = before + change
        if not self._followers[key]:
            del self._followers[key]
        if not before or not before + change:
            for source in self._sources.get(key, ()):
                self._look(source)

    def sources(self, key: Key) -> list[Watched]:
        """Return the sources that who follows this follows."""
        return list(self._sources.get(key, ()))

    def add(self, source: Watched) -> None:
        """Take in a source with its run, and say whether it is followed already."""
        for key in source.keys:
            self._sources[key].add(source)
        self._look(source)

    def remove(self, source: Watched) -> None:
        """Forget a source, before its run becomes another or for good."""
        for key in source.keys:
            self._sources[key].discard(source)
            if not self._sources[key]:
                del self._sources[key]
        source.followed = False
        self._turned(source)

    def _look(self, source: Watched) -> None:
        source.followed = any(key in self._followers for key in source.keys)
        self._turned(source)
