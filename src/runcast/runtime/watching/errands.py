"""Errands: what must be read although nobody follows, one source at a time."""

from collections.abc import Callable

from runcast.runtime.watching.source import Watched


class Errands:
    """Has sources read up to their end: those that were replaced, and those whose run ends.

    They come in order, each once, and one at a time: what people follow comes first.
    """

    def __init__(self, look: Callable[[Watched], None], turn: Callable[[Watched], None]) -> None:
        """Have a source looked at with `look`, and no more with `turn`."""
        self._look = look
        self._turn = turn
        self._waiting: dict[Watched, None] = {}
        self._current: Watched | None = None

    def add(self, source: Watched) -> None:
        """Have a source read, unless that is planned already."""
        if source is not self._current:
            self._waiting[source] = None
            self._begin()

    def done(self, source: Watched) -> None:
        """Note that a source is read as far as it can be, or is not to be read any more."""
        self._waiting.pop(source, None)
        if source is self._current:
            self._current = None
            source.errand = False
            self._turn(source)
            self._begin()

    def _begin(self) -> None:
        if self._current is None and self._waiting:
            source = self._current = next(iter(self._waiting))
            del self._waiting[source]
            source.errand = True
            self._look(source)
