"""Glances: what is at the paths of a source, and whether it is what was there before."""

from collections.abc import Mapping

from runcast.runtime.watching.source import States
from runcast.tail.marks import Seen, State
from runcast.tail.opened import Opened, seen
from runcast.tail.scan import Source

Glance = dict[str, Seen | None]  # what is at the paths of a source, by stream

_NOTHING = State()


def glance_at(files: Mapping[str, str]) -> Glance | None:
    """Look at the files of a source; None if they cannot be looked at."""
    try:
        return {stream: seen(path) for stream, path in files.items()}
    except OSError:
        return None


def modified_at(glance: Glance) -> float:
    """Return when the last of the files changed, in seconds since the epoch."""
    return max((at.mtime_ns for at in glance.values() if at is not None), default=0) / 1e9


class Strangers:
    """Tells other files from those that are done with, opening them only if they changed."""

    def __init__(self) -> None:
        self._same: dict[str, Glance] = {}

    def at(self, source: Source, glance: Glance, states: States) -> bool:
        """Tell whether all that is at the paths is none of what these states know."""
        if self._same.get(source.path) == glance:
            return False
        held = [
            _holds(states.get(stream, _NOTHING), source.files[stream], at)
            for stream, at in glance.items()
            if at is not None and any(states.get(stream, _NOTHING).all())
        ]
        if held and not any(held):
            self._same.pop(source.path, None)
            return True
        self._same[source.path] = glance
        return False


def _holds(state: State, path: str, at: Seen) -> bool:
    marks = [mark for mark in state.all() if mark.identity == at.identity]
    if not marks:
        return False
    try:
        file = Opened.at(path)
    except OSError:
        return True  # nobody can tell, and its identity is the same
    try:
        return any(not mark.head or file.resume(mark) for mark in marks)
    finally:
        file.close()
