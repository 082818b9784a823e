"""Surveys: what a look at all files of an entry finds, compared with what is known of them."""

import os
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

from runcast.config_watch import WatchEntry
from runcast.runtime.watching.source import States, Watched, reach
from runcast.tail.files import standing
from runcast.tail.generations import is_known
from runcast.tail.markers import MARKER_BYTES, Ending, read_marker
from runcast.tail.marks import Seen, State, behind, known
from runcast.tail.names import marker_path
from runcast.tail.opened import seen
from runcast.tail.scan import SETTLED_S, Found, Scanner, Source

WRITTEN_S = 0.5  # a marker that changed within this time may still be in the making
_NOTHING = State()
_COMPLETED = Ending("completed")

Glance = dict[str, Seen | None]  # what is at the paths of a source, by stream


class Newcomer(NamedTuple):
    """A source without a run, and where its files stood when they were seen first."""

    source: Source
    states: States


class Sight(NamedTuple):
    """What is to be noted of a source: whether there is something to be read, and how it ends.

    `says_more` is what the files at its paths do; if one was `replaced`, so may the one before it.
    """

    source: Watched
    glance: Glance
    says_more: bool
    replaced: bool
    ending: Ending | None


class Survey(NamedTuple):
    """What one survey found; of sources of which there is nothing to be noted, it says nothing."""

    found: Found
    newcomers: list[Newcomer]
    sights: list[Sight]


class Surveyor:
    """Looks at all files of an entry, again and again; blocks, and is used by one thread."""

    def __init__(self, entry: WatchEntry, interval_s: float) -> None:
        """A path that is missing for longer than the interval does not come back at once."""
        self._entry = entry
        self._interval_s = interval_s
        self._scanner = Scanner(entry.root, entry.glob, entry.files)
        self._markers = _Markers()
        self._first = True
        self._waiting: dict[str, States] = {}  # of sources that have no run yet
        self._rotated: dict[str, Seen] = {}  # files that were renamed away from other sources
        self._changes: dict[str, _Change] = {}

    def survey(self, sources: Mapping[str, Watched], others: Collection[str]) -> Survey:
        """Look at everything once.

        `sources` are those that have a run, `others` those that are to have none, by their paths.
        """
        found = self._scanner.scan()
        unknown = [
            one for path, one in found.sources.items() if path not in sources and path not in others
        ]
        newcomers = list(self._newcomers(unknown, sources))
        self._first = False
        looked_at = [
            one for path, one in sources.items() if one.stage == "open" or path in found.sources
        ]
        sights = [sight for one in looked_at if (sight := self._sight(one)) is not None]
        return Survey(found, newcomers, sights)

    def _newcomers(
        self, unknown: list[Source], sources: Mapping[str, Watched]
    ) -> Iterator[Newcomer]:
        waiting, self._waiting = self._waiting, {}
        if not unknown:
            self._rotated.clear()
            return
        renamed = _Renamed(self._rotated, sources.values())
        self._rotated = {}
        for source in unknown:
            glance = _glance(source.files)
            if glance is None or not any(glance.values()):
                continue
            if rotated := renamed.find(source, glance):
                self._rotated[source.path] = rotated
                continue
            states = waiting.get(source.path) or self._standing(source)
            self._waiting[source.path] = states
            if self._is_fresh(glance):
                yield Newcomer(source, states)

    def _standing(self, source: Source) -> States:
        from_end = self._entry.from_end and self._first
        within = reach(self._entry)
        return {
            stream: standing(path, from_end=from_end, within=within)
            for stream, path in source.files.items()
        }

    def _is_fresh(self, glance: Glance) -> bool:
        age = self._entry.max_age_s
        return age is None or time.time() - _modified_at(glance) <= age

    def _sight(self, source: Watched) -> Sight | None:
        """Compare a source with its files; None if there is nothing to be noted."""
        if source.stage == "closed" or (glance := _glance(source.files)) is None:
            return None
        states = source.states
        compared = {
            stream: (states.get(stream, _NOTHING), at)
            for stream, at in glance.items()
            if at is not None and behind(states.get(stream, _NOTHING), at) != "same"
        }
        ending = self._ending(source, glance) if source.stage == "open" else None
        if not (compared or ending or source.ending or source.unread):
            return None
        more = any(_says_more(state, at) for state, at in compared.values())
        replaced = any(behind(state, at) == "replaced" for state, at in compared.values())
        return Sight(source, glance, more, replaced, ending)

    def _ending(self, source: Watched, glance: Glance) -> Ending | None:
        match self._entry.end:
            case "marker":
                return self._markers.read(marker_path(self._entry, source.source))
            case "idle":
                return _COMPLETED if self._is_idle(source, glance) else None
            case "rename":
                gone_s = self._change(source, glance).age_s
                missing = not any(glance.values())
                return _COMPLETED if missing and gone_s > self._interval_s else None
        return None

    def _is_idle(self, source: Watched, glance: Glance) -> bool:
        # Both: a file may be older than its last change, and nobody knows what was before us.
        idle_s = self._entry.idle_s
        change = self._change(source, glance)
        untouched_s = time.time() - _modified_at(glance)
        return untouched_s >= idle_s and (change.age_s >= idle_s or not change.witnessed)

    def _change(self, source: Watched, glance: Glance) -> "_Change":
        change = self._changes.get(source.path)
        if change is None or change.glance != glance:
            change = _Change(glance, time.monotonic(), witnessed=change is not None)
            self._changes[source.path] = change
        return change


class _Renamed:
    """Knows the files that were at the path of a source before, wherever they are now."""

    def __init__(self, before: Mapping[str, Seen], sources: Iterable[Watched]) -> None:
        """Take what was found to be renamed before, by path, and all sources."""
        self._before = before
        self._seen = set(before.values())
        self._states = {
            identity: state
            for source in sources
            for state in source.states.values()
            for identity in known(state)
        }

    def find(self, source: Source, glance: Glance) -> Seen | None:
        """Return what the file of a source looks like if it was another source's before."""
        before = self._before.get(source.path)
        for stream, at in glance.items():
            if at is None:
                continue
            if at in self._seen or (before is not None and before.identity == at.identity):
                return at
            # Its identity alone may be that of a file that was deleted meanwhile.
            state = self._states.get(at.identity)
            if state is not None and is_known(source.files[stream], state):
                return at
        return None


class _Change(NamedTuple):
    """Since when files look as they do; `witnessed` if they were seen to look otherwise before."""

    glance: Glance
    since: float
    witnessed: bool

    @property
    def age_s(self) -> float:
        return time.monotonic() - self.since


class _Markers:
    """Reads markers, each again only if it may have changed."""

    def __init__(self) -> None:
        self._read: dict[str, tuple[Seen, Ending | None]] = {}

    def read(self, path: str | None) -> Ending | None:
        """Return how a run ends by its marker; None as long as that does not say so."""
        if path is None:
            return None
        try:
            found = seen(path)
            if found is None:
                return None
            kept = self._read.get(path)
            if kept is not None and kept[0] == found:
                return kept[1]
            if 0 <= time.time() - found.mtime_ns / 1e9 < WRITTEN_S:
                return None  # half a record can look like the end
            with open(path, "rb", opener=_open_marker) as file:
                ending = read_marker(file.read(MARKER_BYTES))
        except OSError:
            return None
        if time.time() - found.mtime_ns / 1e9 > SETTLED_S:
            self._read[path] = found, ending
        return ending


def _glance(files: Mapping[str, str]) -> Glance | None:
    """Look at the files of a source; None if they cannot be looked at."""
    try:
        return {stream: seen(path) for stream, path in files.items()}
    except OSError:
        return None


def _says_more(state: State, at: Seen) -> bool:
    """Tell whether a file holds something that was not read of it."""
    offsets = [mark.kept.offset for mark in state.all() if mark.identity == at.identity]
    return at.size > 0 and at.size not in offsets


def _modified_at(glance: Glance) -> float:
    return max((at.mtime_ns for at in glance.values() if at is not None), default=0) / 1e9


def _open_marker(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)  # a FIFO would never open
