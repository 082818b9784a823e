"""Paces: how often sources are looked at of which no hint may tell."""

import time

from runcast.runtime.watching.source import Watched


class _Round:
    """The sources of one pace, which are looked at together."""

    def __init__(self) -> None:
        self.sources: set[Watched] = set()
        self.at = 0.0


class Paces:
    """Tells which sources are to be looked at again, each at the pace that was chosen for it."""

    def __init__(self) -> None:
        self._rounds: dict[float, _Round] = {}  # by the pause between two looks, in seconds

    def choose(self, source: Watched, pause_s: float | None) -> None:
        """Have a source looked at so often from now on; not at all if no pause is given."""
        for pause, one in self._rounds.items():
            if pause != pause_s:
                one.sources.discard(source)
        if pause_s is not None:
            chosen = self._rounds.setdefault(pause_s, _Round())
            if not chosen.sources:
                chosen.at = time.monotonic() + pause_s
            chosen.sources.add(source)

    def left_s(self) -> float | None:
        """Return how long nothing will be due; None if nothing ever will."""
        times = [one.at for one in self._rounds.values() if one.sources]
        return max(0.0, min(times) - time.monotonic()) if times else None

    def due(self) -> list[Watched]:
        """Return what is due by now; it will be due again after its pause."""
        now = time.monotonic()
        found: list[Watched] = []
        for pause_s, one in self._rounds.items():
            if one.sources and one.at <= now:
                one.at = now + pause_s
                found += one.sources
        return found
