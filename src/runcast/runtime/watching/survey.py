"""Surveys: what a look at all files of an entry finds, compared with what is known of them."""

import os
import time
from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

from runcast.config_watch import WatchEntry
from runcast.runtime.watching.glances import Glance, Strangers, glance_at, modified_at
from runcast.runtime.watching.newcomers import Newcomer, Newcomers
from runcast.runtime.watching.source import States, Watched
from runcast.tail.markers import MARKER_BYTES, Ending, read_marker
from runcast.tail.marks import Seen, State, behind
from runcast.tail.names import marker_path
from runcast.tail.opened import seen
from runcast.tail.scan import SETTLED_S, Found, Scanner

WRITTEN_S = 0.5  # a marker that changed within this time may still be in the making
_NOTHING = State()
_COMPLETED = Ending("completed")

Hinted = Mapping[str, Collection[str]]  # names that something happened to, by folder


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
    """What one survey found; of sources of which there is nothing to be noted, it says nothing.

    `older` are the found files that are older generations of others, and no source.
    """

    found: Found
    newcomers: list[Newcomer]
    sights: list[Sight]
    older: int


class Surveyor:
    """Looks at all files of an entry, again and again; blocks, and is used by one thread."""

    def __init__(self, entry: WatchEntry, interval_s: float) -> None:
        """A path that is missing for longer than the interval does not come back at once."""
        self._entry = entry
        self._interval_s = interval_s
        self._scanner = Scanner(entry.root, entry.glob, entry.files, follow=entry.follow_links)
        self._markers = _Markers()
        self._newcomers = Newcomers(entry)
        self._strangers = Strangers()
        self._changes: dict[str, _Change] = {}

    def survey(
        self,
        sources: Mapping[str, Watched],
        left: Mapping[str, States],
        hinted: Hinted | None = None,
    ) -> Survey:
        """Look at everything once, or only at what was hinted at.

        `sources` are those that have a run; `left` tells which files are to have none, by path.
        """
        found = self._scanner.scan(hinted)
        newcomers, older = self._newcomers.judge(found.sources, sources, left)
        looked_at = [
            one
            for one in self._hinted(sources.values(), hinted)
            if one.stage == "open" or one.path in found.sources
        ]
        sights = [sight for one in looked_at if (sight := self._sight(one)) is not None]
        return Survey(found, newcomers, sights, older)

    def _hinted(
        self, sources: Collection[Watched], hinted: Hinted | None
    ) -> Iterator[Watched] | Collection[Watched]:
        if hinted is None:
            return sources
        paths = {f"{folder}/{name}" for folder, names in hinted.items() for name in names}
        if self._entry.marker is None:
            return (one for one in sources if not paths.isdisjoint(one.files.values()))
        # A marker lies beside the files.
        return (one for one in sources if _folder(one) in hinted)

    def _sight(self, source: Watched) -> Sight | None:
        """Compare a source with its files; None if there is nothing to be noted."""
        if (glance := glance_at(source.files)) is None:
            return None
        if source.stage == "closed":
            return self._stranger(source, glance)
        states = source.states
        compared = {
            stream: (states.get(stream, _NOTHING), at)
            for stream, at in glance.items()
            if at is not None and behind(states.get(stream, _NOTHING), at) != "same"
        }
        ending = self._ending(source, glance) if source.stage == "open" else None
        if not compared and source.stage == "ended":
            return self._stranger(source, glance)  # it may have the size and the inode of the last
        if not (compared or ending or source.ending or source.unread):
            return None
        more = any(_says_more(state, at) for state, at in compared.values())
        replaced = any(behind(state, at) == "replaced" for state, at in compared.values())
        return Sight(source, glance, more, replaced, ending)

    def _stranger(self, source: Watched, glance: Glance) -> Sight | None:
        """See a file that took the place of one that is done with, once something is in it."""
        if not any(at is not None and at.size for at in glance.values()):
            return None
        if not self._strangers.at(source.source, glance, source.states):
            return None
        return Sight(source, glance, says_more=True, replaced=True, ending=None)

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
        untouched_s = time.time() - modified_at(glance)
        return untouched_s >= idle_s and (change.age_s >= idle_s or not change.witnessed)

    def _change(self, source: Watched, glance: Glance) -> "_Change":
        change = self._changes.get(source.path)
        if change is None or change.glance != glance:
            change = _Change(glance, time.monotonic(), witnessed=change is not None)
            self._changes[source.path] = change
        return change


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


def _folder(source: Watched) -> str:
    return next(iter(source.files.values())).rpartition("/")[0]


def _says_more(state: State, at: Seen) -> bool:
    """Tell whether a file holds something that was not read of it."""
    offsets = [mark.kept.offset for mark in state.all() if mark.identity == at.identity]
    return at.size > 0 and at.size not in offsets


def _open_marker(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)  # a FIFO would never open
